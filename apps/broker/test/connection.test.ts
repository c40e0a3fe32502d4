import { Duplex } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { clientPacketLimits, encodePacket, MalformedPacket, type Packet } from '@keyline/mqtt';
import { beforeEach, describe, expect, it } from 'vitest';
import { BusyConnections } from '../src/engine/busy-connections.ts';
import { Connection } from '../src/engine/connection.ts';
import { guard } from '../src/engine/guard.ts';
import { SharedBudget } from '../src/engine/shared-budget.ts';
import type { Surroundings } from '../src/engine/surroundings.ts';
import { defaultLimits } from '../src/options.ts';

let taken: Packet[];
let failures: unknown[];
let left: Connection[];

beforeEach(() => {
  taken = [];
  failures = [];
  left = [];
});

/** @param onPacket in place of doing nothing */
function open(onPacket: (packet: Packet) => void = () => undefined) {
  const conn = new Duplex({
    read: () => undefined,
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const partials = new SharedBudget('parts', 1_000_000);
  const surroundings: Surroundings = {
    limits: defaultLimits,
    readLimits: clientPacketLimits,
    busy: new BusyConnections(),
    partials,
    unread: new SharedBudget('unread', 1000),
    now: () => 0,
    onPublish: () => 0,
    onPacket(_connection, packet) {
      taken.push(packet);
      onPacket(packet);
      return 1;
    },
    onRefused: (_connection, error) => failures.push(error),
    onLimit: (_connection, _reasonCode, text) => failures.push(text),
    onFailure: (_connection, error) => failures.push(error),
    onDrained: () => undefined,
    onLeave: (connection) => left.push(connection),
    applyRights: () => undefined,
    onHeld: () => undefined,
    sendTo: () => undefined,
  };
  const connection = new Connection(
    { conn, peerIdentity: { names: {}, verdict: {} } as never, address: '' },
    surroundings,
  );
  connection.state = 'open';
  connection.version = 5;
  return { connection, conn, partials };
}

const ping = encodePacket({ type: 'pingreq' }, 5);
const subscribe = encodePacket(
  {
    ...{ type: 'subscribe', packetId: 1 },
    subscriptions: [
      { filter: 'a/b', qos: 1, noLocal: false, retainAsPublished: false, retainHandling: 0 },
    ],
  },
  5,
);

describe('whatever is thrown for one peer', () => {
  it('ends that one, is told once, and the next is served', async () => {
    const bad = open(() => {
      throw new Error('a fault of ours');
    });
    const good = open();
    bad.conn.push(ping);
    good.conn.push(ping);
    await expect.poll(() => bad.conn.destroyed || bad.conn.writableEnded).toBe(true);
    expect(failures).toEqual([new Error('a fault of ours')]);
    expect(left).toEqual([bad.connection]);
    expect(good.connection.state).toBe('open');
    guard(good.connection, () => {
      throw new TypeError('in a timer');
    });
    expect(failures).toHaveLength(2);
    expect(left).toEqual([bad.connection, good.connection]);
    // What comes for it after its end is nobody's matter.
    guard(good.connection, () => {
      throw new Error('late');
    });
    expect(failures).toHaveLength(2);
  });

  it('is told as refused when it is the packet that MQTT does not allow', async () => {
    const { conn } = open();
    conn.push(Buffer.of(0x00, 0x00));
    await expect.poll(() => failures).toHaveLength(1);
    expect(failures[0]).toBeInstanceOf(MalformedPacket);
    expect(left).toHaveLength(1);
  });
});

describe('packets', () => {
  it('are read whole, in whatever pieces they come', async () => {
    const stream = Buffer.concat([subscribe, ping, subscribe, ping, ping]);
    for (let size = 1; size <= stream.length; size += 1) {
      taken = [];
      const { conn } = open();
      for (let at = 0; at < stream.length; at += size) {
        conn.push(Buffer.from(stream.subarray(at, at + size)));
        if (size % 3 === 0) await nextTurn();
      }
      await expect.poll(() => taken.length).toBe(5);
      expect(taken.map(({ type }) => type)).toEqual([
        ...['subscribe', 'pingreq', 'subscribe', 'pingreq', 'pingreq'],
      ]);
    }
    expect(failures).toEqual([]);
  });

  it('of one peer are not all read in one turn, when there are many', async () => {
    const order: string[] = [];
    const flood = open(() => order.push('flood'));
    const other = open(() => order.push('other'));
    flood.conn.push(Buffer.alloc(10_000, ping));
    other.conn.push(ping);
    await expect.poll(() => order.length).toBe(5001);
    expect(order.indexOf('other')).toBeLessThan(1000);
    expect(failures).toEqual([]);
  });

  it('that are not whole take no more memory than came of them, doubled, and give it back', async () => {
    const { connection, conn, partials } = open();
    const packet = encodePacket(
      {
        ...{ type: 'publish', topic: 'a', payload: Buffer.alloc(100_000), packetId: 0 },
        ...{ qos: 0, dup: false, retain: false },
      },
      5,
    );
    conn.push(packet.subarray(0, 10));
    await expect.poll(() => partials.used).toBeGreaterThan(0);
    expect(partials.used).toBeLessThanOrEqual(64);
    conn.push(packet.subarray(10, 30_000));
    await expect.poll(() => partials.used).toBeGreaterThanOrEqual(30_000);
    expect(partials.used).toBeLessThanOrEqual(60_000);
    conn.push(packet.subarray(30_000));
    await expect.poll(() => taken).toHaveLength(1);
    expect(partials.used).toBe(0);
    conn.push(packet.subarray(0, 1000));
    await expect.poll(() => partials.used).toBeGreaterThan(0);
    connection.close();
    expect(partials.used).toBe(0);
    expect(left).toEqual([connection]);
  });
});
