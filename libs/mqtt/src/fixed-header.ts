// Where a packet ends: the fixed header of MQTT 5 §2.1, read before the rest of the packet is there.
import { MalformedPacket } from './malformed-packet.ts';

const mostLengthBytes = 4;
const lowestType = 1;
const highestType = 15;

/**
 * How many bytes the packet at `start` has in all, its fixed header included; 0 when more bytes are needed to tell (at most five
 * are). Refused at once, before anything is kept of it: a packet type that does not exist, a length of more than four bytes, and a
 * packet above `maximumBytes`.
 *
 * That a length is written in the fewest bytes, as MQTT 5 demands, is for `readPacket`, which knows the version.
 *
 * @throws {MalformedPacket} 0x81, 0x95
 * @see MQTT 5 §2.1, MQTT 3.1.1 §2.2
 */
export function readPacketLength(
  bytes: Buffer,
  start: number,
  end: number,
  maximumBytes: number,
): number {
  if (start >= end) return 0;
  const type = (bytes[start] ?? 0) >> 4;
  if (type < lowestType || type > highestType) {
    throw new MalformedPacket({
      reasonCode: 0x81,
      clause: 'MQTT 5 §2.1.2',
      message: 'The control packet type 0 is reserved.',
    });
  }
  let length = 0;
  for (let at = 0; at < mostLengthBytes; at += 1) {
    const position = start + 1 + at;
    if (position >= end) return 0;
    const byte = bytes[position] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) {
      const total = length + at + 2;
      if (total > maximumBytes) {
        throw new MalformedPacket({
          reasonCode: 0x95,
          clause: 'MQTT-3.2.2-15',
          message: `A packet of ${total} bytes is above the limit of ${maximumBytes}.`,
        });
      }
      return total;
    }
  }
  throw new MalformedPacket({
    reasonCode: 0x81,
    clause: 'MQTT 5 §1.5.5',
    message: 'The remaining length is written in more than four bytes.',
  });
}
