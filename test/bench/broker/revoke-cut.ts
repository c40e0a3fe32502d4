import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext, Measured } from '../support/bench.ts';
import { encodeJson, openConnections, percentile, type Connection } from '../support/http-load.ts';
import { assertOpenFiles } from './brokers.ts';
import { startEnrolledFleet } from './enrolled-fleet.ts';
import type { Ending } from './load-calls.ts';
import { startLoad } from './load.ts';

export const revokeCutEmbedded = createRevokeCutBench('embedded', 100);
export const revokeCutMosquitto = createRevokeCutBench('mosquitto', 300);

function createRevokeCutBench(broker: 'embedded' | 'mosquitto', limit: number): Bench {
  return {
    id: `revoke-cut-${broker}`,
    unit: 'ms',
    means: `From the API's answer to a revocation until the device's session is cut, p99, 2,000 devices connected (QUICK: 200); and until the device, which comes back at once and again and again, is refused in so many words, p99: the same limit. At Mosquitto that is when the CRL is in force; before, it is let in without rights, which the note counts.`,
    reach: { atMost: 1 },
    ...(broker === 'mosquitto' ? { needs: broker } : {}),
    run: (context) => measure(broker, limit, context),
  };
}

async function measure(
  broker: 'embedded' | 'mosquitto',
  limit: number,
  { folder, quick, note }: BenchContext,
): Promise<Measured> {
  const devices = quick ? 200 : 2_000;
  const revocations = quick ? 50 : 300;
  assertOpenFiles(devices);
  const fleet = await startEnrolledFleet({ folder, broker, devices });
  const load = startLoad();
  try {
    await load.call('prepare', {
      ...{ port: fleet.brokerPort, caFile: fleet.caFile, devicesFile: fleet.devicesFile },
      ...{ from: 0, count: devices },
    });
    await load.call('connectAll', { parallel: 16, keepalive: 600 });
    // A fleet that stands, not a broker that starts: Mosquitto says its first figures after two seconds.
    await sleep(3_000);
    const [connection] = await openConnections(1, fleet.api);
    const ids = fleet.ids.filter((_, i) => i % Math.floor(devices / revocations) === 0);
    const revoked = ids.slice(0, revocations);
    const endings: Promise<Timed>[] = [];
    for (const id of revoked) {
      const ending = load.call('ending', { id });
      ending.catch(() => undefined); // awaited below
      const askedAt = clock();
      await revoke(connection!, id);
      const answeredAt = clock();
      endings.push(ending.then((end) => ({ ...end, askedAt, answeredAt })));
      // One after the other, as an operator or an incident tool would; the cut is not waited for.
      await sleep(20);
    }
    const timed = await Promise.all(endings);
    connection!.close();
    const back = await load.call('letIn', { ids: revoked });
    if (back.length > 0) throw new Error(`${back.length} revoked devices are let in again`);
    const standing = await load.call('standing', undefined);
    const lost = devices - revoked.length - standing;
    const cut = sortedOf(timed, ({ cutAt, answeredAt }) => cutAt - answeredAt);
    const refused = sortedOf(timed, ({ refusedAt, answeredAt }) => refusedAt - answeredAt);
    const [p99, refusedP99] = [percentile(cut, 0.99), percentile(refused, 0.99)];
    note(`cut: ${describe(cut)}; refused: ${describe(refused)} (limit ${limit})`);
    const whole = sortedOf(timed, ({ cutAt, askedAt }) => cutAt - askedAt);
    note(`from the request, of which the answer is a part: cut ${describe(whole)}`);
    note(
      `let in, without rights, before the refusal: ${timed.filter(({ letIn }) => letIn > 0).length} of ${timed.length}; the words: ${[...new Set(timed.map(({ refusal }) => refusal))].join(', ')}`,
    );
    if (lost > 0) note(`${lost} devices that were not revoked lost their sessions`);
    return { value: Math.max(0, p99), limit, holds: refusedP99 <= limit };
  } finally {
    load.stop();
    await fleet.stop();
  }
}

interface Timed extends Ending {
  readonly askedAt: number;
  readonly answeredAt: number;
}

async function revoke(connection: Connection, id: string): Promise<void> {
  const { status, body } = await connection.send(
    encodeJson(`/v1/devices/${id}/revoke`, { reason: 'keyCompromise' }),
  );
  if (status !== 200) throw new Error(`not revoked: ${body.toString('utf8')}`);
}

function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** What happened before the answer counts as 0. */
function sortedOf(timed: readonly Timed[], read: (one: Timed) => number): Float64Array {
  return Float64Array.from(timed, (one) => Math.max(0, read(one))).sort();
}

function describe(sorted: Float64Array): string {
  const [p50, p99] = [percentile(sorted, 0.5), percentile(sorted, 0.99)];
  return `p50 ${p50.toFixed(1)}, p99 ${p99.toFixed(1)}, longest ${(sorted.at(-1) ?? Number.NaN).toFixed(1)} ms`;
}
