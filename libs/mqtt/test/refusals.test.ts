import { describe, expect, it } from 'vitest';
import {
  clientPacketLimits,
  MalformedPacket,
  readPacket,
  readPacketLength,
  type Packet,
  type ProtocolVersion,
  type ReadLimits,
} from '../src/index.ts';
import { rules } from '../src/rules.ts';
import { connect, packet, properties, publish5, text } from './raw-packet.ts';
import { refusalCases } from './refusal-cases.ts';

const limitsFrom = (from: ReadLimits['from']): ReadLimits => ({ ...clientPacketLimits, from });

const read = (bytes: Buffer, version: ProtocolVersion, limits = clientPacketLimits): Packet =>
  readPacket(bytes, 0, bytes.length, version, limits);

function refusalOf(act: () => unknown): MalformedPacket {
  try {
    act();
  } catch (error) {
    if (error instanceof MalformedPacket) return error;
    throw error;
  }
  throw new Error('It was taken.');
}

/** Each refusal speaks of the version that is in force, which a CONNECT names itself. */
const nameOf = (version: ProtocolVersion): string => (version === 5 ? 'MQTT 5' : 'MQTT 3.1.1');

describe('readPacket', () => {
  for (const { what, clause, code, version, taken, refused, from } of refusalCases) {
    it(`refuses ${what} in ${nameOf(version)} (${clause})`, () => {
      const limits = limitsFrom(from ?? 'client');
      expect(() => read(taken, version, limits)).not.toThrow();
      const refusal = refusalOf(() => read(refused, version, limits));
      expect(refusal).toMatchObject({ clause, reasonCode: code });
    });
  }

  it('has a packet that is taken and one that is refused for each of its rules', () => {
    const elsewhere = ['packetTooLarge', 'valueTooLong'];
    const tried = new Set<string>([...refusalCases.map(({ rule }) => rule), ...elsewhere]);
    expect(Object.keys(rules).filter((rule) => !tried.has(rule))).toEqual([]);
  });

  it('refuses a string above the limit of the server, and takes one as long as it', () => {
    const limits = { ...clientPacketLimits, valueBytes: 10 };
    const withId = (length: number): Buffer => connect({ rest: text('c'.repeat(length)) });
    expect(() => read(withId(10), 5, limits)).not.toThrow();
    expect(refusalOf(() => read(withId(11), 5, limits)).reasonCode).toBe(0x97);
    const withData = (length: number): Buffer =>
      publish5(properties(0x09, text('d'.repeat(length))));
    expect(() => read(withData(10), 5, limits)).not.toThrow();
    expect(refusalOf(() => read(withData(11), 5, limits)).reasonCode).toBe(0x97);
  });

  it('says which version a refused CONNECT is in, so that it can be answered in that version', () => {
    const version = (bytes: Buffer): ProtocolVersion | undefined =>
      refusalOf(() => read(bytes, 4)).version;
    expect(version(connect({ level: 5, flags: 0x03 }))).toBe(5);
    expect(version(connect({ level: 4, flags: 0x03 }))).toBe(4);
    expect(version(connect({ level: 9 }))).toBeUndefined();
    expect(version(connect({ name: 'HTTP' }))).toBeUndefined();
  });

  it('says nothing in its message that the peer wrote', () => {
    const refusal = refusalOf(() => read(connect({ name: '\u001b[31m' }), 5));
    expect(refusal.message).toBe('the protocol name is not MQTT.');
  });

  it('takes a password without a user name in MQTT 5 (§3.1.2.9)', () => {
    const rest = Buffer.concat([text('client'), text('secret')]);
    expect(read(connect({ flags: 0x42, rest }), 5)).toMatchObject({
      password: Buffer.from('secret'),
      username: undefined,
    });
  });

  it('takes lengths in more bytes than needed in MQTT 3.1.1, which does not forbid them', () => {
    expect(read(Buffer.of(0xc0, 0x80, 0x00), 4)).toEqual({ type: 'pingreq' });
  });

  it('reads a PUBLISH of 127, 128 and 200,000 bytes alike', () => {
    for (const length of [124, 125, 126, 200_000]) {
      const payload = Buffer.alloc(length, 0x61);
      expect(read(packet(0x30, text('a'), payload), 4)).toMatchObject({ topic: 'a', payload });
    }
  });

  it('keeps nothing of the bytes it read but the payload of a PUBLISH', () => {
    const bytes = connect({
      flags: 0xc6,
      rest: Buffer.concat([
        text('client'),
        properties(0x09, text('data')),
        text('w'),
        text('will'),
        text('u'),
        text('p'),
      ]),
    });
    const packet = read(bytes, 5);
    bytes.fill(0);
    expect(packet).toMatchObject({
      clientId: 'client',
      will: { payload: Buffer.from('will'), properties: { correlationData: Buffer.from('data') } },
      username: 'u',
      password: Buffer.from('p'),
    });
  });
});

describe('readPacketLength', () => {
  it('asks for more bytes until the length is whole (MQTT 5 §2.1.4)', () => {
    const bytes = Buffer.of(0x30, 0xff, 0xff, 0x7f);
    expect([0, 1, 2, 3, 4].map((end) => readPacketLength(bytes, 0, end, 3_000_000))).toEqual([
      0,
      0,
      0,
      0,
      2_097_151 + 4,
    ]);
  });

  it('refuses what is above the limit before any of it is there (MQTT-3.2.2-15)', () => {
    expect(readPacketLength(Buffer.of(0x30, 98), 0, 2, 100)).toBe(100);
    const refusal = refusalOf(() => readPacketLength(Buffer.of(0x30, 99), 0, 2, 100));
    expect(refusal).toMatchObject({ reasonCode: 0x95, clause: 'MQTT-3.2.2-15' });
  });

  it('refuses a fifth byte of length, and packet type 0, at once (MQTT 5 §1.5.5, §2.1.2)', () => {
    const long = Buffer.of(0x30, 0x80, 0x80, 0x80, 0x80);
    expect(readPacketLength(long, 0, 4, 100)).toBe(0);
    expect(refusalOf(() => readPacketLength(long, 0, 5, 100)).reasonCode).toBe(0x81);
    expect(refusalOf(() => readPacketLength(Buffer.of(0x0f), 0, 1, 100)).reasonCode).toBe(0x81);
  });
});
