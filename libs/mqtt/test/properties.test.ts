import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  clientPacketLimits,
  encodePacket,
  MalformedPacket,
  readPacket,
  readPacketLength,
  type Packet,
  type ProtocolVersion,
  type ReadLimits,
} from '../src/index.ts';
import { clientPacket, connectPacket, protocolVersion, serverPacket } from './arbitrary-packets.ts';

const serverLimits: ReadLimits = { ...clientPacketLimits, from: 'server' };
const mostBytes = 1_000_000;

const anyPacket: fc.Arbitrary<{ packet: Packet; version: ProtocolVersion; limits: ReadLimits }> =
  protocolVersion.chain((version) =>
    fc.oneof(
      fc
        .oneof(clientPacket(version), connectPacket(version))
        .map((packet) => ({ packet, version, limits: clientPacketLimits })),
      serverPacket(version).map((packet) => ({ packet, version, limits: serverLimits })),
    ),
  );

/** `true` when it was taken; anything but a packet or MalformedPacket fails the test. */
function isTaken(bytes: Buffer, version: ProtocolVersion, limits: ReadLimits): boolean {
  try {
    const total = readPacketLength(bytes, 0, bytes.length, mostBytes);
    if (total === 0 || total > bytes.length) return false;
    readPacket(bytes, 0, total, version, limits);
    return true;
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedPacket);
    return false;
  }
}

describe('encodePacket and readPacket', () => {
  it('read what was encoded as the same packet, wherever in the bytes it stands', () => {
    fc.assert(
      fc.property(anyPacket, fc.nat(9), ({ packet, version, limits }, offset) => {
        const encoded = encodePacket(packet, version);
        const bytes = Buffer.concat([Buffer.alloc(offset, 0xff), encoded, Buffer.alloc(3, 0xff)]);
        const total = readPacketLength(bytes, offset, bytes.length, mostBytes);
        expect(total).toBe(encoded.length);
        const read = readPacket(bytes, offset, offset + total, version, limits);
        expect(read).toEqual(packet);
        expect(encodePacket(read, version)).toEqual(encoded);
      }),
      { numRuns: 2000 },
    );
  });

  it('refuse a packet that ends anywhere before its end, and one with a byte too many', () => {
    fc.assert(
      fc.property(anyPacket, fc.double({ min: 0, max: 0.999, noNaN: true }), (drawn, part) => {
        const { packet, version, limits } = drawn;
        const encoded = encodePacket(packet, version);
        const end = Math.floor(encoded.length * part);
        expect(() => readPacket(encoded, 0, end, version, limits)).toThrow(MalformedPacket);
        const longer = Buffer.concat([encoded, Buffer.alloc(1)]);
        expect(() => readPacket(longer, 0, longer.length, version, limits)).toThrow(
          MalformedPacket,
        );
      }),
      { numRuns: 1000 },
    );
  });
});

describe('readPacket', () => {
  it('throws nothing but MalformedPacket, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), protocolVersion, (array, version) => {
        const bytes = Buffer.from(array);
        for (const limits of [clientPacketLimits, serverLimits]) {
          isTaken(bytes, version, limits);
          try {
            readPacket(bytes, 0, bytes.length, version, limits);
          } catch (error) {
            expect(error).toBeInstanceOf(MalformedPacket);
          }
        }
      }),
      { numRuns: 5000 },
    );
  });

  it('throws nothing but MalformedPacket for packets with bytes changed, added and left out', () => {
    const edit = fc.record({
      at: fc.nat(400),
      remove: fc.nat(3),
      insert: fc.uint8Array({ maxLength: 3 }),
    });
    let taken = 0;
    fc.assert(
      fc.property(anyPacket, fc.array(edit, { minLength: 1, maxLength: 4 }), (drawn, edits) => {
        const { packet, version, limits } = drawn;
        let bytes = encodePacket(packet, version);
        for (const { at, remove, insert } of edits) {
          const position = at % bytes.length;
          const rest = bytes.subarray(position + remove);
          bytes = Buffer.concat([bytes.subarray(0, position), insert, rest]);
          if (bytes.length === 0) return;
        }
        if (isTaken(bytes, version, limits)) taken += 1;
      }),
      { numRuns: 5000 },
    );
    // Were every changed packet refused at its first bytes, nothing behind them would have been tried.
    expect(taken).toBeGreaterThan(100);
  });

  it('takes no packet whose encoding would read as something else', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(14),
        fc.nat(15),
        (array, type, flags) => {
          const body = Buffer.from(array);
          const bytes = Buffer.concat([Buffer.of(((type + 1) << 4) | flags, body.length), body]);
          for (const version of [4, 5] as const) {
            let packet: Packet;
            try {
              packet = readPacket(bytes, 0, bytes.length, version, clientPacketLimits);
            } catch {
              continue;
            }
            const again = encodePacket(packet, version);
            expect(readPacket(again, 0, again.length, version, clientPacketLimits)).toEqual(packet);
          }
        },
      ),
      { numRuns: 5000 },
    );
  });
});
