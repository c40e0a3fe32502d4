// The connection to a broker that misbehaves: a server of bytes in its place.
import { once } from 'node:events';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { encodePacket, readPacket, readPacketLength, type Packet } from '@keyline/mqtt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { clientPacketLimits } from '@keyline/mqtt';
import { openConnection, type Connection } from '../src/connection.ts';

type Behaviour = (packet: Packet, socket: Socket) => void;

let server: Server;
let behave: Behaviour;
const sockets = new Set<Socket>();
const received: Packet[] = [];
const answered: string[] = [];
const connack: Packet = { type: 'connack', sessionPresent: false, reasonCode: 0 };
const responseTopic = '$CONTROL/dynamic-security/v1/response';

/** What a broker does. */
const obliging: Behaviour = (packet, socket) => {
  if (packet.type === 'connect') socket.write(encodePacket(connack, 5));
  if (packet.type === 'subscribe') {
    socket.write(encodePacket({ type: 'suback', packetId: packet.packetId, reasonCodes: [0] }, 5));
  }
  if (packet.type === 'publish') {
    socket.write(encodePacket({ type: 'puback', packetId: packet.packetId, reasonCode: 0 }, 5));
  }
};

function answerOf(payload: string): Buffer {
  const flags = { qos: 0, dup: false, retain: false, packetId: 0 } as const;
  return encodePacket(
    { type: 'publish', topic: responseTopic, payload: Buffer.from(payload), ...flags },
    5,
  );
}

beforeEach(async () => {
  behave = obliging;
  received.length = 0;
  answered.length = 0;
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      for (let at = 0; at < chunk.length;) {
        const end = at + readPacketLength(chunk, at, chunk.length, 1 << 20);
        const packet = readPacket(chunk, at, end, 5, clientPacketLimits);
        at = end;
        received.push(packet);
        behave(packet, socket);
      }
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  server.close();
  await once(server, 'close');
});

function open(onLost: (reason: string) => void = () => undefined): Promise<Connection> {
  const { port } = server.address() as AddressInfo;
  return openConnection(
    { url: `mqtt://127.0.0.1:${port}`, handshakeTimeout: 300 },
    {
      signal: new AbortController().signal,
      onAnswers: (payload) => answered.push(Buffer.from(payload).toString()),
      onLost,
    },
  );
}

const lost = (): { readonly reason: Promise<string>; readonly onLost: (text: string) => void } => {
  let onLost: (text: string) => void = () => undefined;
  const reason = new Promise<string>((resolve) => (onLost = resolve));
  return { reason, onLost: (text) => onLost(text) };
};

describe('a connection to a dynamic-security API', () => {
  it('asks for a clean session of MQTT 5, and for the answers at QoS 0', async () => {
    const connection = await open();
    expect(received).toMatchObject([
      { type: 'connect', protocolVersion: 5, clean: true, keepAlive: 30 },
      { type: 'subscribe', subscriptions: [{ filter: responseTopic, qos: 0 }] },
    ]);
    await connection.close();
  });

  it('takes answers that come in pieces, several in one, and of megabytes', async () => {
    const connection = await open();
    const [socket] = sockets;
    const large = 'x'.repeat(3 << 20);
    for (const byte of answerOf('first')) socket?.write(Uint8Array.of(byte));
    socket?.write(Buffer.concat([answerOf('second'), answerOf('third'), answerOf(large)]));
    await expect.poll(() => answered.length).toBe(4);
    expect(answered).toEqual(['first', 'second', 'third', large]);
    await connection.close();
  });

  it.each([
    [0x87, 'TARGET_REFUSED'],
    [0x97, undefined],
  ])('rejects a payload that is refused with reason %i', async (reasonCode, code) => {
    const connection = await open();
    behave = (packet, socket) => {
      if (packet.type !== 'publish') return;
      socket.write(encodePacket({ type: 'puback', packetId: packet.packetId, reasonCode }, 5));
    };
    const outcome = await connection.publish('{}').catch((error: unknown) => error);
    expect(outcome).toBeInstanceOf(Error);
    expect((outcome as { code?: string }).code).toBe(code);
    await connection.close();
  });

  it.each<[string, Behaviour, string, RegExp]>([
    [
      'refuses it',
      (_packet, socket) => socket.write(encodePacket({ ...connack, reasonCode: 0x87 }, 5)),
      'TARGET_UNREACHABLE',
      /refused the connection \(0x87\)/,
    ],
    [
      'refuses the subscription',
      (packet, socket) =>
        packet.type === 'subscribe'
          ? socket.write(
              encodePacket({ type: 'suback', packetId: packet.packetId, reasonCodes: [0x87] }, 5),
            )
          : obliging(packet, socket),
      'TARGET_REFUSED',
      /subscription was refused \(0x87\)/,
    ],
    [
      'speaks no MQTT',
      (_packet, socket) => socket.write('HTTP/1.1 400 Bad Request\r\n\r\n'.padEnd(200, ' ')),
      'TARGET_UNREACHABLE',
      /not MQTT/,
    ],
    ['says nothing', () => undefined, 'TARGET_UNREACHABLE', /no answer in 300 ms/],
    [
      'hangs up',
      (_packet, socket) => socket.destroy(),
      'TARGET_UNREACHABLE',
      /closed the connection|ECONNRESET/,
    ],
  ])('is not opened to one that %s', async (_name, behaviour, code, detail) => {
    behave = behaviour;
    await expect(open()).rejects.toMatchObject({ code, detail: expect.stringMatching(detail) });
  });

  it('says why it was lost: the words of a DISCONNECT, and what is not MQTT', async () => {
    const first = lost();
    await open(first.onLost);
    const properties = { reasonString: 'maintenance' };
    for (const socket of sockets) {
      socket.write(encodePacket({ type: 'disconnect', reasonCode: 0x8b, properties }, 5));
    }
    expect(await first.reason).toBe('it disconnected with reason 0x8b: maintenance');
    const second = lost();
    const connection = await open(second.onLost);
    behave = () => undefined;
    const under = connection.publish('{}').catch((error: unknown) => error);
    for (const socket of sockets) socket.write(Uint8Array.of(0xf3, 0));
    expect(await second.reason).toMatch(/not MQTT/);
    expect(await under).toBeInstanceOf(Error);
    await expect(connection.publish('{}')).rejects.toThrow(/not MQTT/);
  });

  it('ends a connection whose broker does not answer a ping (MQTT 5 §3.1.2.10)', async () => {
    const properties = { serverKeepAlive: 1 };
    behave = (packet, socket) =>
      packet.type === 'connect'
        ? socket.write(encodePacket({ ...connack, properties }, 5))
        : obliging(packet, socket);
    const { reason, onLost } = lost();
    await open(onLost);
    expect(await reason).toBe('it did not answer a ping');
    expect(received.some(({ type }) => type === 'pingreq')).toBe(true);
  });
});
