import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext } from '../support/bench.ts';
import { percentile } from '../support/http-load.ts';
import { besideMosquitto } from './beside-mosquitto.ts';
import { assertOpenFiles, startBroker, type BrokerKind } from './brokers.ts';
import { prepareFleet } from './fleet-certificates.ts';
import { deviceNames, stateFor } from './fleet-state.ts';
import { startLoad } from './load.ts';

const loads = 2;
const interval = 10_000;

export const fleetDelivery: Bench = {
  id: 'fleet-delivery',
  unit: 'ms',
  means:
    '10,000 devices connected (QUICK: 2,000), each sends a message of 64 bytes every 10 s to a service that hears all of them: from writing it to having it, p99 of the best window of 10 s. Nothing is lost.',
  reach: { atMost: 1 },
  async run(context) {
    const value = await measure('embedded', context);
    return { value, limit: 50, ...(await besideMosquitto(() => measure('mosquitto', context))) };
  },
};

async function measure(kind: BrokerKind, { folder, quick, note }: BenchContext): Promise<number> {
  const count = quick ? 2_000 : 10_000;
  assertOpenFiles(count);
  const fleet = await prepareFleet(count);
  const broker = await startBroker(kind, { folder, fleet, state: stateFor(deviceNames(count)) });
  const devices = Array.from({ length: loads }, startLoad);
  const listener = startLoad();
  const target = { port: broker.port, caFile: fleet.ca, devicesFile: fleet.devices };
  try {
    await listener.call('prepare', { ...target, from: 0, count: 0, withListener: true });
    await listener.call('connectAll', {});
    await listener.call('listen', undefined);
    const share = count / loads;
    await Promise.all(
      devices.map(async (load, i) => {
        await load.call('prepare', { ...target, from: i * share, count: share });
        await load.call('connectAll', { parallel: 8 });
      }),
    );
    let best = Infinity;
    for (let window = 0; window < (quick ? 1 : 3); window++) {
      await listener.call('heard', undefined);
      const before = broker.cpuSeconds();
      const beats = await Promise.all(
        devices.map((load) => load.call('beat', { interval, milliseconds: interval })),
      );
      const cpu = broker.cpuSeconds() - before;
      await sleep(500);
      const latencies = await listener.call('heard', undefined);
      const sent = beats.reduce((sum, beat) => sum + beat.sent, 0);
      if (latencies.length !== sent) {
        throw new Error(`${sent} messages were sent, and ${latencies.length} have arrived`);
      }
      const p99 = percentile(latencies, 0.99);
      note(
        `${kind}: ${sent} messages, p50 ${percentile(latencies, 0.5).toFixed(2)}, p99 ${p99.toFixed(2)}, longest ${(latencies.at(-1) ?? Number.NaN).toFixed(1)} ms; ${((cpu / interval) * 1e5).toFixed(0)} % of a core`,
      );
      best = Math.min(best, p99);
    }
    return best;
  } finally {
    for (const load of [...devices, listener]) load.stop();
    await broker.stop();
  }
}
