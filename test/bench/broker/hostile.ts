import { fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext } from '../support/bench.ts';
import { percentile } from '../support/http-load.ts';
import { assertOpenFiles, residentKibOf, startBroker } from './brokers.ts';
import { prepareFleet } from './fleet-certificates.ts';
import { deviceNames, stateFor } from './fleet-state.ts';
import { startLoad } from './load.ts';

const interval = 1_000;
const mib = 1_048_576;

/** What the broker is given, and what that comes to: budgets, connections of 60 KiB, subscriptions of 1.5, itself, and a quarter more. */
const limits: readonly (readonly [flag: string, value: number])[] = [
  ['--max-partial-bytes', 32 * mib],
  ['--max-unread-bytes-in-all', 32 * mib],
  ['--max-queued-bytes-in-all', 32 * mib],
  ['--max-retained-bytes-in-all', 32 * mib],
  ['--max-subscriptions', 50_000],
  ['--max-connections-per-identity', 5],
  ['--max-sessions-per-identity', 5],
];
const itselfMib = 120;
const memoryMib = Math.round(
  1.25 * (itselfMib + ((1_000 + 200 * 5) * 60) / 1024 + 4 * 32 + (50_000 * 1.5) / 1024),
);

export const hostileDevices: Bench = {
  id: 'hostile',
  unit: 'ms',
  means: `200 hostile devices at once (QUICK: 40; floods, packets without end, filters, retained and queued messages without end, answers nobody reads), and 1,000 good ones (QUICK: 200) that each send a message of 64 bytes every second to a service: from writing it to having it, p99. Nothing is lost, and the broker stays under ${memoryMib} MiB.`,
  reach: { atMost: 1 },
  run: measure,
};

async function measure({ folder, quick, note }: BenchContext) {
  const [good, hostile] = quick ? [200, 40] : [1_000, 200];
  assertOpenFiles(good + hostile);
  const fleet = await prepareFleet(good + hostile);
  const broker = await startBroker('embedded', {
    ...{ folder, fleet, state: stateFor(deviceNames(good + hostile)) },
    options: limits.flatMap(([flag, value]) => [flag, String(value)]),
  });
  const [devices, listener] = [startLoad(), startLoad()];
  const target = { port: broker.port, caFile: fleet.ca, devicesFile: fleet.devices };
  const attackers = fork(
    join(import.meta.dirname, 'hostile-process.ts'),
    [String(broker.port), fleet.ca, fleet.devices, String(good), String(hostile)],
    { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] },
  );
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, residentKibOf(broker.pid) / 1024);
  }, 50);
  try {
    await listener.call('prepare', { ...target, from: 0, count: 0, withListener: true });
    await listener.call('connectAll', {});
    await listener.call('listen', { filter: '+/telemetry' });
    await devices.call('prepare', { ...target, from: 0, count: good });
    await devices.call('connectAll', { parallel: 16 });
    await sleep(quick ? 3_000 : 10_000);
    await listener.call('heard', undefined);
    const milliseconds = quick ? 5_000 : 20_000;
    const { sent } = await devices.call('beat', { interval, milliseconds });
    await sleep(1_000);
    const latencies = await listener.call('heard', undefined);
    if (latencies.length !== sent) {
      throw new Error(`${sent} messages were sent, and ${latencies.length} have arrived`);
    }
    attackers.send('how many?');
    const [connected] = await once(attackers, 'message');
    note(
      `${sent} messages, p50 ${percentile(latencies, 0.5).toFixed(2)} ms, longest ${(latencies.at(-1) ?? Number.NaN).toFixed(1)} ms; the hostile were let in ${String(connected)} times; at most ${most.toFixed(0)} MiB of ${memoryMib}`,
    );
    return { value: percentile(latencies, 0.99), limit: 50, holds: most <= memoryMib };
  } finally {
    clearInterval(watch);
    attackers.kill();
    for (const load of [devices, listener]) load.stop();
    await broker.stop();
  }
}
