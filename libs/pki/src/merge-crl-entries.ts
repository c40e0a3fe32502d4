// The entries of the next complete CRL, made of those of the last one and what changed since: nothing is read or encoded again.
import { der, readSequence, type DerReader } from '@keyline/x509';
import { encodeCrlEntries, type EncodedCrlEntries } from './crl-entries.ts';
import type { DeltaCrlEntry } from './ports.ts';

const { tags } = der;

/**
 * What a relying party makes of a complete CRL and its delta (RFC 5280 §5.2.4), as entries for `createCrl`.
 * @param crlDer a complete CRL by `createCrl`
 * @param changes at most one for each serial; `removeFromCRL` takes its entry out
 * @returns undefined when the entries of the CRL do not stand in the order of their serials: then they have to be made anew
 * @throws {KeylineError} DER_MALFORMED for bytes that are no CRL
 */
export function mergeCrlEntries(
  crlDer: Uint8Array,
  changes: Iterable<DeltaCrlEntry>,
): EncodedCrlEntries | undefined {
  const sorted = [...changes].sort((a, b) => (a.serial < b.serial ? -1 : 1));
  const encoded = encodeCrlEntries(sorted);
  const added = Buffer.concat(encoded.chunks);
  const { bytes, start, end } = entriesOf(crlDer);
  // Of its own memory, which the CRL it goes into frees.
  const out = Buffer.allocUnsafeSlow(end - start + added.length);
  let length = 0;
  let count = 0;
  let change = 0;
  let changeAt = 0;
  let keptFrom = start;
  const keepUntil = (offset: number): void => {
    length += Buffer.from(bytes.buffer, bytes.byteOffset).copy(out, length, keptFrom, offset);
    keptFrom = offset;
  };
  const takeChange = (): void => {
    const next = endOf(added, changeAt);
    if (sorted[change]?.reason !== 'removeFromCRL') {
      length += added.copy(out, length, changeAt, next);
      count++;
    }
    changeAt = next;
    change++;
  };
  let before = -1;
  for (let at = start; at < end;) {
    const next = endOf(bytes, at);
    if (before >= 0 && compareSerials(bytes, before, bytes, at) >= 0) return undefined;
    before = at;
    let order = 1;
    while (change < sorted.length) {
      order = compareSerials(added, changeAt, bytes, at);
      if (order > 0) break;
      keepUntil(at);
      takeChange();
      if (order === 0) break;
    }
    if (order === 0) keptFrom = next;
    else count++;
    at = next;
  }
  keepUntil(end);
  while (change < sorted.length) takeChange();
  return { chunks: [out.subarray(0, length)], bytes: length, count, hasRemovals: false };
}

/** Where revokedCertificates lies (RFC 5280 §5.1); of no length when there are none. */
function entriesOf(crlDer: Uint8Array): {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
} {
  const tbs: DerReader = readSequence(crlDer).enter();
  tbs.read(tags.integer);
  tbs.read(tags.sequence); // signature
  tbs.read(tags.sequence); // issuer
  tbs.read(); // thisUpdate
  tbs.read(); // nextUpdate
  const list = tbs.readOptional(tags.sequence);
  return { bytes: tbs.bytes, start: list?.contentStart ?? 0, end: list?.end ?? 0 };
}

/** An entry's content is shorter than 128 octets: `EntryWriter`. */
function endOf(bytes: Uint8Array, entry: number): number {
  return entry + 2 + (bytes[entry + 1] ?? 0);
}

/** Octet by octet, as the database sorts them; the sign octet is none of the serial's. */
function compareSerials(a: Uint8Array, entryA: number, b: Uint8Array, entryB: number): number {
  const signA = octetAt(a, entryA + 4) === 0 ? 1 : 0;
  const signB = octetAt(b, entryB + 4) === 0 ? 1 : 0;
  const lengthA = octetAt(a, entryA + 3) - signA;
  const lengthB = octetAt(b, entryB + 3) - signB;
  const shorter = Math.min(lengthA, lengthB);
  for (let i = 0; i < shorter; i++) {
    const difference = octetAt(a, entryA + 4 + signA + i) - octetAt(b, entryB + 4 + signB + i);
    if (difference !== 0) return difference;
  }
  return lengthA - lengthB;
}

function octetAt(bytes: Uint8Array, offset: number): number {
  return bytes[offset] ?? 0;
}
