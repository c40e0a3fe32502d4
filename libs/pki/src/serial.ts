// Certificate serials: random, so that they can be neither guessed nor repeated.
import { randomFillSync } from 'node:crypto';

/** Octets of a serial: 134 random bits, at most 20 octets, the same length always (RFC 5280 §4.1.2.2). */
export const serialBytes = 17;

// One system call for 240 serials.
const pool = Buffer.allocUnsafe(serialBytes * 240);
let used = pool.length;

/** Positive, never zero, no leading zero octet. */
export function createSerial(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const serial = new Uint8Array(pool.subarray(used, used + serialBytes));
  used += serialBytes;
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40;
  return serial;
}
