// Other programs that do the work of a bench. One is measured when its command is on the PATH; another is a file and a line here.
import type { BenchContext, Peer } from '../support/bench.ts';
import { findCommand } from '../../support/needs.ts';
import { cfssl } from './cfssl.ts';
import { opensslOcsp } from './openssl-ocsp.ts';

export interface PeerAdapter {
  readonly name: string;
  /** Bench whose unit and work are the peer's too. */
  readonly bench: string;
  readonly command: string;
  /** In the bench's unit, per second of CPU of the peer's own processes. */
  readonly measure: (context: BenchContext, commandPath: string) => Promise<number>;
}

const adapters: readonly PeerAdapter[] = [cfssl, opensslOcsp];

/** Those that are installed. One that fails or is missing is a note, not a failure of the bench. */
export async function measurePeers(bench: string, context: BenchContext): Promise<readonly Peer[]> {
  const peers: Peer[] = [];
  for (const adapter of adapters) {
    if (adapter.bench !== bench) continue;
    const path = findCommand(adapter.command);
    if (path === undefined) {
      context.note(`not here to compare with: ${adapter.name} (${adapter.command})`);
      continue;
    }
    try {
      peers.push({ name: adapter.name, value: await adapter.measure(context, path) });
    } catch (error) {
      context.note(`${adapter.name}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return peers;
}
