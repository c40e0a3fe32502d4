import type { Bench, BenchContext } from '../support/bench.ts';
import { startBroker, type BrokerKind, type BrokerUnderTest } from './brokers.ts';
import { prepareFleet } from './fleet-certificates.ts';
import { deviceNames, stateFor } from './fleet-state.ts';
import { startLoad, type Load } from './load.ts';

const publishers = 64;
const subscribers = 32;
const payloadBytes = 64;
const burst = 10;

export const qos0 = createThroughputBench(0);
export const qos1 = createThroughputBench(1);

function createThroughputBench(qos: 0 | 1): Bench {
  return {
    id: `qos${qos}`,
    unit: 'messages/CPU-s',
    means: `QoS ${qos} messages of ${payloadBytes} bytes through the broker over mTLS, ${publishers} publishers with ${burst} in one write to ${subscribers} subscribers${qos === 1 ? ', acknowledged on both sides' : ''}; every one arrives.`,
    reach: { atLeast: 0.9 },
    async run(context) {
      const embedded = await measure('embedded', qos, context);
      const mosquitto = await measure('mosquitto', qos, context);
      context.note(
        `one message in each write: ${Math.round(embedded.single)}, Mosquitto ${Math.round(mosquitto.single)} (${(embedded.single / mosquitto.single).toFixed(2)})`,
      );
      return {
        value: embedded.bursts,
        peers: [{ name: 'Mosquitto', value: mosquitto.bursts }],
      };
    },
  };
}

interface Rates {
  readonly bursts: number;
  readonly single: number;
}

async function measure(
  kind: BrokerKind,
  qos: 0 | 1,
  { folder, quick, note }: BenchContext,
): Promise<Rates> {
  const fleet = await prepareFleet(publishers + subscribers);
  const broker = await startBroker(kind, {
    folder,
    fleet,
    state: stateFor(deviceNames(publishers + subscribers)),
  });
  const load = startLoad();
  try {
    await load.call('prepare', {
      ...{ port: broker.port, caFile: fleet.ca, devicesFile: fleet.devices },
      ...{ from: 0, count: publishers + subscribers },
    });
    await load.call('connectAll', { parallel: 16 });
    await load.call('subscribe', { count: subscribers, qos });
    const milliseconds = quick ? 500 : 1_000;
    const rounds = quick ? 3 : 6;
    const bestOf = async (size: number): Promise<number> => {
      let best = 0;
      for (let i = 0; i <= rounds; i++) {
        const { rate, lost } = await round(broker, load, { qos, burst: size, milliseconds });
        best = Math.max(best, rate);
        if (lost === 0) continue;
        if (kind !== 'mosquitto') throw new Error(`${lost} messages got lost`);
        note(
          `Mosquitto lost ${lost} messages with ${size} in one write and was measured up to there`,
        );
        break;
      }
      return best;
    };
    return { single: await bestOf(1), bursts: await bestOf(burst) };
  } finally {
    load.stop();
    await broker.stop();
  }
}

async function round(
  broker: BrokerUnderTest,
  load: Load,
  asked: { readonly qos: 0 | 1; readonly burst: number; readonly milliseconds: number },
): Promise<{ readonly rate: number; readonly lost: number }> {
  const before = broker.cpuSeconds();
  const { delivered, lost } = await load.call('publish', { ...asked, payloadBytes });
  return { rate: delivered / (broker.cpuSeconds() - before), lost };
}
