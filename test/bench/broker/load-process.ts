// A load generator in a process of its own: many MQTT clients, told by its parent what to do.
import { readFileSync } from 'node:fs';
import { createSecureContext, type SecureContext } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { readProofs } from './fleet-certificates.ts';
import { benchTopic } from './fleet-state.ts';
import type { LoadHandlers, LoadQuestion } from './load-calls.ts';
import { LoadClient } from './mqtt-load-client.ts';

interface Seat {
  readonly clientId: string;
  readonly context: SecureContext;
  client: LoadClient | undefined;
}

/** Milliseconds without any message, while some are under way. */
const patience = 3_000;

let port = 0;
let seats: Seat[] = [];
let subscribers = 0;
/** How many subscribers get each message. */
let copies = 1;
let latencies: number[] = [];
let pings: number[] | undefined;

const handlers: LoadHandlers = {
  prepare(asked) {
    ({ port } = asked);
    const ca = readFileSync(asked.caFile, 'utf8');
    const { listener, devices } = readProofs(asked.devicesFile);
    const proofs = devices.slice(asked.from, asked.from + asked.count);
    if (proofs.length < asked.count) throw new Error('there are not so many device certificates');
    if (asked.withListener === true) proofs.push(listener);
    seats = proofs.map(({ id, cert, key }) => ({
      clientId: id,
      context: createSecureContext({
        ca,
        cert,
        key,
        ecdhCurve: process.env['CURVE'] ?? 'X25519:P-256',
      }),
      client: undefined,
    }));
    return undefined;
  },

  async connectAll({ parallel = seats.length, keepalive = 0 }) {
    const begun = performance.now();
    const refusals = new Map<string, number>();
    let attempts = 0;
    let next = 0;
    const seatAll = async (): Promise<void> => {
      for (let seat = seats[next++]; seat !== undefined; seat = seats[next++]) {
        while (seat.client === undefined) {
          attempts += 1;
          try {
            const client = await LoadClient.open({ port, ...seat, keepalive });
            seat.client = client;
          } catch (error) {
            const reason = (error as Error).message;
            refusals.set(reason, (refusals.get(reason) ?? 0) + 1);
            if (performance.now() - begun > 120_000) throw error;
            await sleep(500 + Math.random() * 1000);
          }
        }
      }
    };
    await Promise.all(Array.from({ length: parallel }, seatAll));
    return {
      seconds: (performance.now() - begun) / 1000,
      attempts,
      refusals: [...refusals].map(([reason, count]) => `${count} × ${reason}`),
    };
  },

  dropAll() {
    for (const seat of seats) {
      seat.client?.close();
      seat.client = undefined;
    }
    return undefined;
  },

  async subscribe({ count, qos, toAll = false }) {
    subscribers = count;
    copies = toAll ? count : 1;
    await Promise.all(
      clients()
        .slice(-count)
        .map((client, group) =>
          client.subscribe(toAll ? `${benchTopic}/+/+` : `${benchTopic}/${group}/+`, qos),
        ),
    );
    return undefined;
  },

  publish({ qos, burst, milliseconds, payloadBytes }) {
    return new Promise((resolve) => {
      const all = clients();
      const publishers = all.slice(0, -subscribers);
      const missing = new Int32Array(publishers.length);
      const unacknowledged = new Int32Array(publishers.length);
      const bursts = publishers.map((_, index) =>
        encodeBurst({ index, qos, burst, payloadBytes, group: index % subscribers }),
      );
      let delivered = 0;
      let waiting = 0;
      const begun = performance.now();
      const send = (index: number): void => {
        if (performance.now() - begun > milliseconds) {
          if (waiting > 0) return;
          clearInterval(watch);
          resolve({ delivered, lost: 0 });
          return;
        }
        waiting += 1;
        missing[index] = burst * copies;
        unacknowledged[index] = qos === 0 ? 0 : burst;
        publishers[index]!.socket.write(bursts[index]!);
      };
      const settle = (index: number): void => {
        if (missing[index] !== 0 || unacknowledged[index] !== 0) return;
        waiting -= 1;
        send(index);
      };
      for (const subscriber of all.slice(-subscribers)) {
        subscriber.onMessage = (payload) => {
          const index = payload.readUInt32LE(0);
          delivered += 1;
          missing[index]! -= 1;
          settle(index);
        };
      }
      for (const [index, publisher] of publishers.entries()) {
        publisher.onAcknowledged = () => {
          unacknowledged[index]! -= 1;
          settle(index);
        };
      }
      for (const index of publishers.keys()) send(index);
      let seen = -1;
      const watch = setInterval(() => {
        if (waiting > 0 && delivered === seen) {
          clearInterval(watch);
          const lost = missing.reduce((sum, count) => sum + count, 0);
          const open = unacknowledged.reduce((sum, count) => sum + count, 0);
          resolve({ delivered, lost: lost + open });
        }
        seen = delivered;
      }, patience);
    });
  },

  async beat({ interval, milliseconds }) {
    const all = clients();
    const begun = performance.now();
    const gap = interval / all.length;
    let sent = 0;
    let latest = 0;
    while (true) {
      const now = performance.now() - begun;
      if (now > milliseconds) return { sent, latest };
      for (; sent * gap <= now; sent++) {
        latest = Math.max(latest, now - sent * gap);
        const { clientId, socket } = all[sent % all.length]!;
        const payload = Buffer.alloc(64);
        payload.writeBigUInt64LE(process.hrtime.bigint());
        socket.write(
          generate({
            ...{ cmd: 'publish', topic: `${benchTopic}/${clientId}/telemetry`, payload },
            ...{ qos: 0, dup: false, retain: false },
          }),
        );
      }
      await sleep(Math.min(gap, 5));
    }
  },

  async listen(asked) {
    const [client] = clients();
    latencies = [];
    client!.onMessage = (payload) => {
      latencies.push(Number(process.hrtime.bigint() - payload.readBigUInt64LE()) / 1e6);
    };
    await client!.subscribe(`${benchTopic}/${asked?.filter ?? '#'}`, 0);
    return undefined;
  },

  heard() {
    const heard = Float64Array.from(latencies).sort();
    latencies = [];
    return heard;
  },

  ping() {
    const [client] = clients();
    const times: number[] = [];
    pings = times;
    let sent = performance.now();
    client!.onPing = () => {
      const now = performance.now();
      times.push(now - sent);
      if (pings !== times) return;
      sent = now;
      client!.ping();
    };
    client!.ping();
    return undefined;
  },

  async pinged() {
    const times = pings ?? [];
    pings = undefined;
    const count = times.length;
    // The one under way may be the longest.
    while (times.length === count) await sleep(1);
    return Float64Array.from(times).sort();
  },

  async ending({ id }) {
    const seat = seats.find(({ clientId }) => clientId === id);
    if (seat?.client === undefined) throw new Error(`${id} is not connected`);
    const { client } = seat;
    const cutAt = await new Promise<number>((resolve) => {
      if (client.socket.destroyed) resolve(clock());
      client.onClosed = () => resolve(clock());
    });
    seat.client = undefined;
    let letIn = 0;
    for (;;) {
      const refusal = await tryToEnter(seat);
      if (refusal !== undefined && isRefusal(refusal)) {
        return { cutAt, refusedAt: clock(), refusal, letIn };
      }
      if (refusal === undefined) letIn += 1;
      if (clock() - cutAt > 90_000) throw new Error(`${id} is let in after 90 s: ${refusal ?? ''}`);
      await sleep(5);
    }
  },

  async letIn({ ids }) {
    const found: string[] = [];
    for (const id of ids) {
      const seat = seats.find(({ clientId }) => clientId === id);
      if (seat === undefined || (await tryToEnter(seat)) === undefined) found.push(id);
    }
    return found;
  },

  standing: () => clients().filter(({ socket }) => !socket.destroyed).length,
};

/** @returns why not, or undefined when it was let in; it leaves again */
async function tryToEnter({ clientId, context }: Seat): Promise<string | undefined> {
  try {
    const client = await LoadClient.open({ port, context, clientId });
    client.close();
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A broker that is not there refuses nobody. */
function isRefusal(reason: string): boolean {
  return /return code|revoked/i.test(reason);
}

function clock(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

function clients(): LoadClient[] {
  return seats.flatMap(({ client }) => (client === undefined ? [] : [client]));
}

function encodeBurst(given: {
  readonly index: number;
  readonly group: number;
  readonly qos: 0 | 1;
  readonly burst: number;
  readonly payloadBytes: number;
}): Buffer {
  const { index, group, qos, burst, payloadBytes } = given;
  const payload = Buffer.alloc(payloadBytes);
  payload.writeUInt32LE(index);
  return Buffer.concat(
    Array.from({ length: burst }, (_, at) =>
      generate({
        ...{ cmd: 'publish', topic: `${benchTopic}/${group}/${index}`, payload, qos },
        ...{ dup: false, retain: false, messageId: at + 1 },
      }),
    ),
  );
}

process.on('message', (question: LoadQuestion) => {
  const handler = handlers[question.name] as (asked: unknown) => unknown;
  const { id } = question;
  Promise.resolve()
    .then(() => handler(question.asked))
    .then(
      (answer) => process.send?.({ id, answer }),
      (error: unknown) => process.send?.({ id, error: String((error as Error).stack) }),
    );
});
// Nobody is left to say what to do.
process.on('disconnect', () => process.exit());
