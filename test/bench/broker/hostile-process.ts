// Devices with good certificates and bad intentions, in a process of their own: each does one kind of harm, as fast as it can, and comes back
// when it is cut.
import { setPriority } from 'node:os';
import { connect, createSecureContext, type TLSSocket } from 'node:tls';
import { setTimeout as sleep } from 'node:timers/promises';
import { readFileSync } from 'node:fs';
import { encodePacket, type Packet } from '@keyline/mqtt';
import { readProofs, type Proof } from './fleet-certificates.ts';
import { benchTopic } from './fleet-state.ts';

const [portText, caFile, devicesFile, fromText, countText] = process.argv.slice(2);
if (caFile === undefined || devicesFile === undefined) {
  throw new Error('usage: hostile-process PORT CA DEVICES FROM COUNT');
}
const port = Number(portText);
const ca = readFileSync(caFile, 'utf8');
// They are on machines of their own: the broker's share of this one is not theirs to take.
setPriority(10);

const encode = (packet: Packet): Buffer => encodePacket(packet, 5);

const publish = (topic: string, bytes: number, more: { qos?: 0 | 1; retain?: boolean } = {}) =>
  encode({
    ...{ type: 'publish', topic: `${benchTopic}/hostile/${topic}`, payload: Buffer.alloc(bytes) },
    ...{ qos: 0, packetId: more.qos === 1 ? 1 : 0, dup: false, retain: false, ...more },
  });

const subscribe = (filters: readonly string[]): Buffer =>
  encode({
    type: 'subscribe',
    packetId: 1,
    subscriptions: filters.map((name) => ({
      filter: `${benchTopic}/hostile/${name}`,
      ...({ qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 } as const),
    })),
  });

interface Attack {
  /** Reads what it is sent. */
  readonly reads: boolean;
  /** The next bytes to send. @param round counts */
  readonly next: (id: string, round: number) => Buffer | undefined;
}

const flood = (bytes: Buffer): Buffer => Buffer.concat(Array.from({ length: 500 }, () => bytes));
const pings = Buffer.alloc(16_384, encode({ type: 'pingreq' }));
const large = publish('large', 1_000_000);

const attacks: readonly Attack[] = [
  // Many small messages.
  { reads: true, next: (id) => flood(publish(id, 8)) },
  // Answers that nobody reads.
  { reads: false, next: () => pings },
  // A packet that does not come to its end.
  {
    reads: true,
    next: (_id, round) => (round === 0 ? large.subarray(0, large.length - 100) : undefined),
  },
  // Filters without end.
  {
    reads: true,
    next: (id, round) =>
      subscribe(Array.from({ length: 100 }, (_, at) => `${id}/+/${String(round * 100 + at)}`)),
  },
  // Retained messages without end.
  {
    reads: true,
    next: (id, round) => publish(`${id}/${String(round)}`, 1000, { qos: 1, retain: true }),
  },
  // Messages that wait for a session which never takes them.
  {
    reads: false,
    next: (id, round) =>
      round === 0 ? subscribe([`${id}/q`]) : publish(`${id}/q`, 20_000, { qos: 1 }),
  },
  // What MQTT does not allow.
  {
    reads: true,
    next: (_id, round) => (round === 0 ? Buffer.of(0x36, 0x02, 0x00, 0x00) : undefined),
  },
  // Byte by byte.
  {
    reads: true,
    next: (_id, round) => large.subarray(round % large.length, (round % large.length) + 1),
  },
  // 30,000 filters at once.
  {
    reads: true,
    next: (id) => subscribe(Array.from({ length: 30_000 }, (_, at) => `${id}/${String(at)}`)),
  },
  // Wide filters, matched again and again.
  {
    reads: true,
    next: (id, round) =>
      round === 0
        ? subscribe(Array.from({ length: 64 }, (_, bits) => wide(bits)))
        : flood(publish(`w/w/w/w/w/w/${id}`, 8)),
  },
];

/** One of the 64 filters of six levels that are `+` or `w`. */
function wide(bits: number): string {
  const levels = Array.from({ length: 6 }, (_, at) => (((bits >> at) & 1) === 1 ? '+' : 'w'));
  return `${levels.join('/')}/#`;
}

let connected = 0;

async function harm(proof: Proof, attack: Attack): Promise<never> {
  const { id, cert, key } = proof;
  const secureContext = createSecureContext({ ca, cert, key });
  for (let attempt = 0; ; attempt += 1) {
    const socket = connect({ host: '127.0.0.1', port, servername: 'localhost', secureContext });
    socket.on('error', () => undefined);
    if (attack.reads) socket.resume();
    await new Promise((resolve) => socket.once('secureConnect', resolve).once('close', resolve));
    socket.write(
      encode({
        ...{ type: 'connect', protocolVersion: 5, clean: true, keepAlive: 0 },
        clientId: `${id}:${String(attempt % 50)}`,
        properties: { sessionExpiryInterval: 3600 },
      }),
    );
    if (!socket.destroyed) connected += 1;
    await attackOn(socket, id, attack);
    await sleep(200);
  }
}

async function attackOn(socket: TLSSocket, id: string, attack: Attack): Promise<void> {
  for (let round = 0; !socket.destroyed; round += 1) {
    const bytes = attack.next(id, round);
    const isTaken = bytes === undefined || socket.write(bytes);
    if (bytes === undefined) await sleep(200);
    else if (isTaken) await new Promise((resolve) => setImmediate(resolve));
    else await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
  }
}

const from = Number(fromText);
const proofs = readProofs(devicesFile).devices.slice(from, from + Number(countText));
for (const [at, proof] of proofs.entries()) {
  void harm(proof, attacks[at % attacks.length]!);
}
process.on('message', () => process.send?.(connected));
process.on('disconnect', () => process.exit());
