import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext } from '../support/bench.ts';
import { asPeer, hasMosquitto } from './beside-mosquitto.ts';
import { assertOpenFiles, startBroker, type BrokerKind } from './brokers.ts';
import { prepareFleet } from './fleet-certificates.ts';
import { deviceNames, stateFor } from './fleet-state.ts';
import { startLoad } from './load.ts';

export const reconnectHerd: Bench = {
  id: 'reconnect-herd',
  unit: 'handshakes/CPU-s',
  means:
    '5,000 devices (QUICK: 1,000) lose their connections and come back at once, each with a full mTLS handshake and CONNECT; who is turned away tries again within 1.5 s. All are back at the end.',
  reach: { atLeast: 0.95 },
  async run(context) {
    const embedded = await measure('embedded', context);
    const mosquitto = hasMosquitto() ? await measure('mosquitto', context) : undefined;
    const bare = await measure('bare', context);
    for (const [name, herd] of [
      ['embedded', embedded],
      ['Mosquitto', mosquitto],
      ['bare node:tls', bare],
    ] as const) {
      if (herd === undefined) continue;
      const { seconds, attempts, rate, refusals } = herd;
      const turned = refusals.length === 0 ? '' : `; ${refusals.join(', ')}`;
      context.note(
        `${name}: ${Math.round(rate)}/CPU-s, all back after ${seconds.toFixed(1)} s and ${attempts} attempts${turned}`,
      );
    }
    return { value: embedded.rate, ...asPeer(mosquitto?.rate) };
  },
};

interface Herd {
  readonly rate: number;
  readonly seconds: number;
  readonly attempts: number;
  readonly refusals: readonly string[];
}

async function measure(kind: BrokerKind, { folder, quick }: BenchContext): Promise<Herd> {
  const count = quick ? 1_000 : 5_000;
  assertOpenFiles(count * 2);
  const fleet = await prepareFleet(count);
  const broker = await startBroker(kind, { folder, fleet, state: stateFor(deviceNames(count)) });
  const load = startLoad();
  try {
    await load.call('prepare', {
      ...{ port: broker.port, caFile: fleet.ca, devicesFile: fleet.devices, from: 0, count },
    });
    await load.call('connectAll', { parallel: 16 });
    let best: Herd | undefined;
    for (let i = 0; i < (quick ? 1 : 2); i++) {
      await load.call('dropAll', undefined);
      await sleep(1_000);
      const before = broker.cpuSeconds();
      const { seconds, attempts, refusals } = await load.call('connectAll', {});
      const rate = count / (broker.cpuSeconds() - before);
      if (best === undefined || rate > best.rate) best = { rate, seconds, attempts, refusals };
      const standing = await load.call('standing', undefined);
      if (standing !== count) throw new Error(`only ${standing} of ${count} are back`);
    }
    return best!;
  } finally {
    load.stop();
    await broker.stop();
  }
}
