// The verdict on a peer's certificate: at once, or after what has to be read again before a refusal can be the last word.
import type { TLSSocket } from 'node:tls';
import type { Clock } from '@keyline/kernel';
import type { ClientAuthorities } from './client-authorities.ts';
import type { Metrics } from './metrics.ts';
import { readPeerIdentity, type PeerIdentity } from './peer-identity.ts';
import type { PeerRules } from './peer-rules.ts';

interface PeerJudgeOptions {
  readonly authorities: Pick<ClientAuthorities, 'issuerOf'>;
  readonly admins: ReadonlySet<string>;
  readonly isRevoked: (serialHex: string) => boolean;
  readonly rules: Pick<PeerRules, 'prepare'>;
  readonly clock: Clock;
  readonly metrics: Pick<Metrics, 'handshakes'>;
}

export class PeerJudge {
  readonly #options: PeerJudgeOptions;

  constructor(options: PeerJudgeOptions) {
    this.#options = options;
  }

  /** @param socket whose handshake has ended well; counted by its verdict */
  judge(socket: TLSSocket): PeerIdentity | Promise<PeerIdentity> {
    const first = this.#read(socket);
    const preparation = this.#options.rules.prepare(first.verdict, {
      chainHolds: socket.authorized,
      address: socket.remoteAddress ?? '',
    });
    if (preparation === undefined) return this.#count(first);
    const judged = preparation.then(() => this.#count(this.#read(socket)));
    judged.catch(() => undefined); // whoever waits for it hears of it
    return judged;
  }

  #read(socket: TLSSocket): PeerIdentity {
    const { isRevoked, authorities, admins, clock } = this.#options;
    return readPeerIdentity(socket, { isRevoked, authorities, admins, now: clock.now() });
  }

  #count(peerIdentity: PeerIdentity): PeerIdentity {
    const { verdict } = peerIdentity;
    this.#options.metrics.handshakes.inc(
      'refusal' in verdict
        ? { result: 'refused', reason: verdict.refusal.reason }
        : { result: 'ok', reason: '' },
    );
    return peerIdentity;
  }
}
