// The entries of a CRL as bytes, in chunks: a million of them are a second's work, done in slices.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { KeylineError } from '@keyline/kernel';
import { crlReasonCodes, der, encodeExtension, oids } from '@keyline/x509';
import type { CrlEntry, DeltaCrlEntry } from './ports.ts';

/** Entries as bytes: plain data, whose chunks could also come from another thread. */
export interface EncodedCrlEntries {
  /** The entries one after the other, without the SEQUENCE around them. Each owns its whole ArrayBuffer or the start of it. */
  readonly chunks: readonly Uint8Array<ArrayBuffer>[];
  readonly bytes: number;
  readonly count: number;
  /** True when one of them is `removeFromCRL`, which only a delta may have (RFC 5280 §5.3.1). */
  readonly hasRemovals: boolean;
}

/**
 * Entries of a CRL: any iterable; pages as they come from a database; or encoded beforehand. The last are used up by the CRL they
 * go into: their memory is freed while it is put together.
 */
export type CrlEntries<Entry extends DeltaCrlEntry = CrlEntry> =
  Iterable<Entry> | AsyncIterable<Iterable<Entry>> | EncodedCrlEntries;

// The crlEntryExtensions of each reason; "unspecified" is left out (§5.3.1).
const reasonExtensions = Object.fromEntries(
  Object.entries(crlReasonCodes).map(([name, code]) => [
    name,
    code === 0
      ? new Uint8Array()
      : der.sequence(
          encodeExtension({
            oid: oids.reasonCode,
            critical: false,
            valueDer: der.enumerated(code),
          }),
        ),
  ]),
) as Record<DeltaCrlEntry['reason'], Uint8Array>;

const chunkBytes = 1 << 18;
// Largest entry: header 2, serial 2 + 21, time 17, reason 14.
const maxEntryBytes = 64;
const daySeconds = 86_400;
/** HHMMSSZ */
const timeOfDayOctets = 7;
const digitZero = 0x30;
const letterZ = 0x5a;

class EntryWriter {
  readonly #chunks: Uint8Array<ArrayBuffer>[] = [];
  // Not from the pool: a pooled one could not be transferred or freed alone.
  #chunk = Buffer.allocUnsafeSlow(chunkBytes);
  #offset = 0;
  #bytes = 0;
  #count = 0;
  #hasRemovals = false;
  // Of the last entry: what is the same all day, of its time.
  #day = Number.NaN;
  #dayDer: Uint8Array = new Uint8Array();

  add({ serial, revokedAt, reason }: DeltaCrlEntry): void {
    if (this.#offset + maxEntryBytes > chunkBytes) {
      this.#chunks.push(this.#chunk.subarray(0, this.#offset));
      this.#chunk = Buffer.allocUnsafeSlow(chunkBytes);
      this.#offset = 0;
    }
    if (reason === 'removeFromCRL') this.#hasRemovals = true;
    const chunk = this.#chunk;
    const start = this.#offset;
    const reasonDer = reasonExtensions[reason];
    // The header is patched below: an entry's content is always shorter than 128 octets.
    let offset = writeSerial(chunk, start + 2, serial);
    offset = this.#writeTime(offset, Math.floor(revokedAt / 1000));
    chunk.set(reasonDer, offset);
    offset += reasonDer.length;
    chunk[start] = der.tags.sequence;
    chunk[start + 1] = offset - start - 2;
    this.#bytes += offset - start;
    this.#count++;
    this.#offset = offset;
  }

  /** The same as `der.time`, at a tenth of the price. @param second since the epoch */
  #writeTime(start: number, second: number): number {
    const day = Math.floor(second / daySeconds);
    if (day !== this.#day) {
      const midnight = der.time(day * daySeconds * 1000);
      this.#dayDer = midnight.subarray(0, midnight.length - timeOfDayOctets);
      this.#day = day;
    }
    const chunk = this.#chunk;
    chunk.set(this.#dayDer, start);
    let offset = start + this.#dayDer.length;
    const rest = second - day * daySeconds;
    for (const two of [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60]) {
      chunk[offset++] = digitZero + Math.floor(two / 10);
      chunk[offset++] = digitZero + (two % 10);
    }
    chunk[offset++] = letterZ;
    return offset;
  }

  finish(): EncodedCrlEntries {
    this.#chunks.push(this.#chunk.subarray(0, this.#offset));
    return {
      chunks: this.#chunks,
      bytes: this.#bytes,
      count: this.#count,
      hasRemovals: this.#hasRemovals,
    };
  }
}

/**
 * All at once: for the few that are merged into a list.
 * @throws {KeylineError} INTERNAL for a serial that is none
 */
export function encodeCrlEntries(entries: Iterable<DeltaCrlEntry>): EncodedCrlEntries {
  const writer = new EntryWriter();
  for (const entry of entries) writer.add(entry);
  return writer.finish();
}

/** How long work is done in one go, in milliseconds, before the event loop gets its turn. */
const sliceTime = 8;
const entriesPerLook = 256;

/** In slices of a few milliseconds, so that a request that comes meanwhile hardly waits. */
export async function encodeInSlices(
  entries: CrlEntries<DeltaCrlEntry>,
): Promise<EncodedCrlEntries> {
  if ('chunks' in entries) return entries;
  const writer = new EntryWriter();
  let sliceEnd = performance.now() + sliceTime;
  let untilLook = entriesPerLook;
  const addAll = async (page: Iterable<DeltaCrlEntry>): Promise<void> => {
    for (const entry of page) {
      writer.add(entry);
      if (--untilLook > 0) continue;
      untilLook = entriesPerLook;
      if (performance.now() < sliceEnd) continue;
      await nextTurn();
      sliceEnd = performance.now() + sliceTime;
    }
  };
  if (Symbol.asyncIterator in entries) {
    for await (const page of entries) await addAll(page);
  } else {
    await addAll(entries);
  }
  return writer.finish();
}

/** INTEGER of a SerialHex; returns the offset after it. */
function writeSerial(target: Buffer, offset: number, serialHex: string): number {
  const signOctet = serialHex.charCodeAt(0) >= 0x38 ? 1 : 0;
  const length = serialHex.length / 2;
  target[offset] = der.tags.integer;
  target[offset + 1] = length + signOctet;
  if (signOctet === 1) target[offset + 2] = 0;
  const start = offset + 2 + signOctet;
  const written = length > 0 && length <= 20 ? target.write(serialHex, start, length, 'hex') : 0;
  if (written !== length || length === 0) {
    throw new KeylineError(
      'INTERNAL',
      `"${serialHex.slice(0, 50)}" is not a certificate serial in hex.`,
    );
  }
  return start + length;
}
