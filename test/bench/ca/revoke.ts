import type { Bench } from '../support/bench.ts';
import { loadCsrs } from '../support/csrs.ts';
import { enrollAll } from '../support/devices.ts';
import {
  encodeJson,
  openConnections,
  percentile,
  runLoad,
  type Connection,
} from '../support/http-load.ts';
import { startIssuingCa, type IssuingCa } from '../support/issuing-ca.ts';

const connectionCount = 32;

export const revoke: Bench = {
  id: 'revoke',
  unit: 'ms CPU',
  means: `POST /v1/devices/{id}/revoke, one per request on ${connectionCount} connections, durable before the answer, with 10,000 revoked before (QUICK: 2,000); CRL publishing included.`,
  reach: { atMost: 1 },
  async run({ quick, folder, note }) {
    const measured = quick ? 500 : 2_000;
    const before = quick ? 2_000 : 10_000;
    const csrs = await loadCsrs(measured * 5 + before);
    const service = await startIssuingCa(folder);
    try {
      const ids = (await enrollAll(service, csrs)).map(({ id }) => id);
      const { api, trust, adminProof } = service;
      const connections = await openConnections(connectionCount, {
        ...api,
        tls: { ca: trust, ...adminProof },
      });
      const revokeSome = (count: number): Promise<Cost> =>
        revokeAll(service, connections, ids.splice(0, count));
      // The first ones warm the code up; then with almost none revoked, and with many.
      await revokeSome(measured);
      const few = best([await revokeSome(measured), await revokeSome(measured)]);
      await revokeSome(before - 3 * measured);
      const many = best([await revokeSome(measured), await revokeSome(measured)]);
      const growth = many.cpu / few.cpu;
      note(
        `with few revoked ${few.cpu.toFixed(3)} ms: grows by ${growth.toFixed(2)} (at most 1.2)`,
      );
      note(`answered after ${many.p50.toFixed(0)} ms (p50), ${many.p99.toFixed(0)} ms (p99)`);
      return { value: many.cpu, limit: 0.3, holds: growth <= 1.2 };
    } finally {
      await service.stop();
    }
  },
};

interface Cost {
  /** Milliseconds of CPU for one. */
  readonly cpu: number;
  readonly p50: number;
  readonly p99: number;
}

function best(costs: readonly Cost[]): Cost {
  return costs.reduce((least, cost) => (cost.cpu < least.cpu ? cost : least));
}

async function revokeAll(
  service: IssuingCa,
  connections: readonly Connection[],
  ids: readonly string[],
): Promise<Cost> {
  const before = service.cpuSeconds();
  const { latencies } = await runLoad({
    connections,
    requests: ids.map((id) => encodeJson(`/v1/devices/${id}/revoke`, { reason: 'keyCompromise' })),
    status: 200,
  });
  const cpu = ((service.cpuSeconds() - before) * 1000) / ids.length;
  return { cpu, p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99) };
}
