import type { Bench, BenchContext } from '../support/bench.ts';
import { asPeer, hasMosquitto } from './beside-mosquitto.ts';
import { assertOpenFiles, startBroker, type BrokerUnderTest } from './brokers.ts';
import { prepareFleet } from './fleet-certificates.ts';
import { deviceNames, stateFor } from './fleet-state.ts';
import { startLoad, type Load } from './load.ts';

const payloadBytes = 64;

interface Shape {
  readonly qos: 0 | 1;
  /** Messages in one write. */
  readonly burst: number;
  readonly publishers: number;
  readonly subscribers: number;
  /** Everything goes to every subscriber; otherwise each message to one. */
  readonly toAll: boolean;
}

const pairs = { publishers: 64, subscribers: 32, toAll: false } as const;

export const qos0Single = createThroughputBench('qos0-single', 1.15, {
  ...{ ...pairs, qos: 0, burst: 1 },
});
export const qos0 = createThroughputBench('qos0', 4, { ...pairs, qos: 0, burst: 10 });
export const qos1Single = createThroughputBench('qos1-single', 1, {
  ...{ ...pairs, qos: 1, burst: 1 },
});
export const qos1 = createThroughputBench('qos1', 3, { ...pairs, qos: 1, burst: 10 });
export const fanOut = createThroughputBench('fan-out', 0.85, {
  ...{ qos: 0, burst: 1, publishers: 1, subscribers: 500, toAll: true },
});

function createThroughputBench(id: string, atLeast: number, shape: Shape): Bench {
  const { qos, burst, publishers, subscribers, toAll } = shape;
  const many = burst === 1 ? 'one message' : `${burst} messages`;
  return {
    id,
    unit: 'messages/CPU-s',
    means: toAll
      ? `Deliveries of one QoS ${qos} message of ${payloadBytes} bytes at a time to ${subscribers} subscribers over mTLS; every one arrives.`
      : `QoS ${qos} messages of ${payloadBytes} bytes through the broker over mTLS, ${publishers} publishers with ${many} in each write to ${subscribers} subscribers${qos === 1 ? ', acknowledged on both sides' : ''}; every one arrives.`,
    reach: { atLeast },
    run: (context) => compare(shape, context),
  };
}

interface Candidate {
  readonly broker: BrokerUnderTest;
  readonly load: Load;
  readonly rates: number[];
}

/** Both serve at once and are measured in turn, so that what else the machine does hits both; the medians count. */
async function compare(shape: Shape, context: BenchContext) {
  const rounds = context.quick ? 5 : 9;
  const candidates: Candidate[] = [];
  try {
    const embedded = await open('embedded', shape, context);
    candidates.push(embedded);
    const mosquitto = hasMosquitto() ? await open('mosquitto', shape, context) : undefined;
    if (mosquitto !== undefined) candidates.push(mosquitto);
    for (let round = 0; round <= rounds; round++) {
      for (const candidate of candidates) {
        const rate = await measure(candidate, shape, context);
        // The first is a warm-up.
        if (round > 0) candidate.rates.push(rate);
      }
    }
    return {
      value: median(embedded.rates),
      ...asPeer(mosquitto && median(mosquitto.rates)),
    };
  } finally {
    for (const { broker, load } of candidates) {
      load.stop();
      await broker.stop();
    }
  }
}

async function open(
  kind: 'embedded' | 'mosquitto',
  { publishers, subscribers, qos, toAll }: Shape,
  { folder }: BenchContext,
): Promise<Candidate> {
  const count = publishers + subscribers;
  assertOpenFiles(count * 2);
  const fleet = await prepareFleet(count);
  const broker = await startBroker(kind, { folder, fleet, state: stateFor(deviceNames(count)) });
  const load = startLoad();
  await load.call('prepare', {
    ...{ port: broker.port, caFile: fleet.ca, devicesFile: fleet.devices, from: 0, count },
  });
  await load.call('connectAll', { parallel: 16 });
  await load.call('subscribe', { count: subscribers, qos, toAll });
  return { broker, load, rates: [] };
}

async function measure(
  { broker, load }: Candidate,
  { qos, burst }: Shape,
  { quick, note }: BenchContext,
): Promise<number> {
  const before = broker.cpuSeconds();
  const milliseconds = quick ? 500 : 1_000;
  const asked = { qos, burst, milliseconds, payloadBytes };
  const { delivered, lost } = await load.call('publish', asked);
  if (lost > 0) {
    if (broker.kind !== 'mosquitto') throw new Error(`${lost} messages got lost`);
    note(`Mosquitto lost ${lost} messages in one round`);
  }
  return delivered / (broker.cpuSeconds() - before);
}

function median(rates: readonly number[]): number {
  return rates.toSorted((a, b) => a - b)[Math.floor(rates.length / 2)] ?? 0;
}
