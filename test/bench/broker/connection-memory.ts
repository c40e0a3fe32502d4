import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext } from '../support/bench.ts';
import { besideMosquitto } from './beside-mosquitto.ts';
import { assertOpenFiles, startBroker, type BrokerKind } from './brokers.ts';
import { prepareFleet } from './fleet-certificates.ts';
import { deviceNames, stateFor } from './fleet-state.ts';
import { startLoad } from './load.ts';

export const connectionMemory: Bench = {
  id: 'connection-memory',
  unit: 'KiB',
  means:
    'Resident memory of the broker per idle mTLS connection of a device that is connected over MQTT, 5,000 of them (QUICK: 1,000), Mosquitto and a node:tls server that does nothing else beside it.',
  reach: { atMost: 1 },
  async run(context) {
    const embedded = await measure('embedded', context);
    const beside = await besideMosquitto(() => measure('mosquitto', context));
    const bare = await measure('bare', context);
    context.note(
      `${(embedded - bare).toFixed(1)} KiB above bare node:tls with the same settings (at most ${aboveBare})`,
    );
    return {
      value: embedded,
      limit: 58,
      holds: embedded - bare <= aboveBare,
      ...beside,
      peers: [...beside.peers, { name: 'bare node:tls', value: bare }],
    };
  },
};

/** KiB. */
const aboveBare = 3;

async function measure(kind: BrokerKind, { folder, quick }: BenchContext): Promise<number> {
  const count = quick ? 1_000 : 5_000;
  const warming = 200;
  assertOpenFiles(count);
  const fleet = await prepareFleet(count);
  const broker = await startBroker(kind, { folder, fleet, state: stateFor(deviceNames(count)) });
  const [first, load] = [startLoad(), startLoad()];
  try {
    const target = { port: broker.port, caFile: fleet.ca, devicesFile: fleet.devices };
    // What the first connections bring with them (code, pools, tables) is no connection's own.
    await first.call('prepare', { ...target, from: 0, count: warming });
    await first.call('connectAll', { parallel: 16 });
    await first.call('dropAll', undefined);
    await load.call('prepare', { ...target, from: 0, count });
    await sleep(2_000);
    const before = broker.residentKib();
    await load.call('connectAll', { parallel: 16 });
    // The least within some seconds: garbage of the handshakes may still go.
    let least = Infinity;
    for (let i = 0; i < 10; i++) {
      await sleep(500);
      least = Math.min(least, broker.residentKib());
    }
    const standing = await load.call('standing', undefined);
    if (standing !== count) throw new Error(`only ${standing} of ${count} stand`);
    return (least - before) / count;
  } finally {
    first.stop();
    load.stop();
    await broker.stop();
  }
}
