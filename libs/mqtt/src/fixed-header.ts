// Where a packet ends: the fixed header of MQTT 5 §2.1, read before the rest of the packet is there.
import { refuse } from './rules.ts';

const mostLengthBytes = 4;

/**
 * How many bytes the packet at `start` has in all, its fixed header included; 0 when more bytes are needed to tell (at most five
 * are). Refused at once, before anything is kept of it: packet type 0, a length of more than four bytes, and a packet above
 * `maximumBytes`.
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
  if ((bytes[start] ?? 0) < 0x10) refuse('reservedType', { found: '0' });
  let length = 0;
  for (let at = 0; at < mostLengthBytes; at += 1) {
    const position = start + 1 + at;
    if (position >= end) return 0;
    const byte = bytes[position] ?? 0;
    length += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) {
      const total = length + at + 2;
      if (total > maximumBytes) {
        refuse('packetTooLarge', { found: `${total} bytes, at most ${maximumBytes}` });
      }
      return total;
    }
  }
  return refuse('longLength', {});
}
