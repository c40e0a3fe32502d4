// DER out: each function returns one complete element. Import it as `der`.
import { KeylineError } from '@keyline/kernel';

/** Tag octets that X.509 uses. */
export const tags = {
  boolean: 0x01,
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  null: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  utf8String: 0x0c,
  numericString: 0x12,
  printableString: 0x13,
  teletexString: 0x14,
  ia5String: 0x16,
  utcTime: 0x17,
  generalizedTime: 0x18,
  visibleString: 0x1a,
  universalString: 0x1c,
  bmpString: 0x1e,
  sequence: 0x30,
  set: 0x31,
} as const;

/** `[n]` primitive, for implicit tags over primitive types. */
export function contextTag(number: number): number {
  return 0x80 | number;
}

/** `[n]` constructed, for explicit tags and implicit tags over SEQUENCE or SET. */
export function contextConstructedTag(number: number): number {
  return 0xa0 | number;
}

/** Octets that a length takes, its marker octet included. */
export function lengthSize(length: number): number {
  return length < 0x80 ? 1 : length < 0x100 ? 2 : length < 0x10000 ? 3 : length < 0x1000000 ? 4 : 5;
}

/** Writes tag and length; returns the offset after them. */
export function writeHeader(
  target: Uint8Array,
  offset: number,
  tag: number,
  length: number,
): number {
  target[offset] = tag;
  const size = lengthSize(length);
  if (size === 1) {
    target[offset + 1] = length;
    return offset + 2;
  }
  target[offset + 1] = 0x80 | (size - 1);
  let rest = length;
  for (let i = size; i > 1; i--) {
    target[offset + i] = rest & 0xff;
    rest = Math.floor(rest / 256);
  }
  return offset + 1 + size;
}

const blockBytes = 64 * 1024;
const largestShared = 4096;
let block = new ArrayBuffer(blockBytes);
let blockUsed = 0;

/**
 * Zeroed octets. V8 keeps arrays up to 64 octets on its heap; above that each is an allocation of its own, ten times the price, so
 * small ones share a block. Who keeps one for long copies it, or keeps its neighbours too.
 */
function allocate(length: number): Uint8Array<ArrayBuffer> {
  if (length <= 64 || length > largestShared) return new Uint8Array(length);
  if (blockUsed + length > blockBytes) {
    block = new ArrayBuffer(blockBytes);
    blockUsed = 0;
  }
  const out = new Uint8Array(block, blockUsed, length);
  blockUsed += length;
  return out;
}

/** An element of the tag over the concatenated parts. */
export function element(tag: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = allocate(1 + lengthSize(length) + length);
  let offset = writeHeader(out, 0, tag, length);
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

export function concat(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = allocate(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

export function sequence(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return element(tags.sequence, ...parts);
}

/** SET OF with its elements sorted as DER wants (X.690 §11.6). */
export function set(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return element(tags.set, ...[...parts].sort((a, b) => Buffer.compare(a, b)));
}

/** INTEGER of a number or bigint. */
export function integer(value: number | bigint): Uint8Array<ArrayBuffer> {
  let rest = BigInt(value);
  const negative = rest < 0n;
  const octets: number[] = [];
  do {
    octets.unshift(Number(BigInt.asUintN(8, rest)));
    rest >>= 8n;
  } while (rest !== (negative ? -1n : 0n));
  const top = octets[0] ?? 0;
  if (!negative && top >= 0x80) octets.unshift(0);
  if (negative && top < 0x80) octets.unshift(0xff);
  return element(tags.integer, Uint8Array.from(octets));
}

/** INTEGER of an unsigned big-endian magnitude: leading zeros dropped, a sign octet added where needed. */
export function unsignedInteger(magnitude: Uint8Array): Uint8Array<ArrayBuffer> {
  let start = 0;
  while (start < magnitude.length - 1 && magnitude[start] === 0) start++;
  const octets = magnitude.subarray(start);
  const top = octets[0];
  if (top === undefined) return integer(0);
  return top >= 0x80
    ? element(tags.integer, new Uint8Array(1), octets)
    : element(tags.integer, octets);
}

const encodedOids = new Map<string, Uint8Array<ArrayBuffer>>();

/** The element is shared: not to be written to. */
export function oid(dotted: string): Uint8Array<ArrayBuffer> {
  const known = encodedOids.get(dotted);
  if (known !== undefined) return known;
  const encoded = encodeOid(dotted);
  // Programs name a few dozen; the bound is for one that would take them from outside.
  if (encodedOids.size < 256) encodedOids.set(dotted, encoded);
  return encoded;
}

function encodeOid(dotted: string): Uint8Array<ArrayBuffer> {
  const [first, second, ...rest] = dotted.split('.').map(Number);
  if (
    first === undefined ||
    second === undefined ||
    [first, second, ...rest].some((arc) => !Number.isSafeInteger(arc))
  ) {
    throw new KeylineError('INTERNAL', `"${dotted}" is not an object identifier.`);
  }
  const octets: number[] = [];
  for (const arc of [first * 40 + second, ...rest]) {
    const group: number[] = [arc & 0x7f];
    for (let left = Math.floor(arc / 128); left > 0; left = Math.floor(left / 128)) {
      group.unshift(0x80 | (left & 0x7f));
    }
    octets.push(...group);
  }
  return element(tags.oid, Uint8Array.from(octets));
}

export function octetString(content: Uint8Array): Uint8Array<ArrayBuffer> {
  return element(tags.octetString, content);
}

/** BIT STRING; `unusedBits` of the last octet must be zero in `content`. */
export function bitString(content: Uint8Array, unusedBits = 0): Uint8Array<ArrayBuffer> {
  return element(tags.bitString, Uint8Array.of(unusedBits), content);
}

/** BIT STRING of named bits: bit n of the set is bit n of the string, trailing zero bits cut (X.690 §11.2.2). */
export function namedBits(bits: readonly number[]): Uint8Array<ArrayBuffer> {
  const highest = Math.max(-1, ...bits);
  const content = new Uint8Array(Math.floor((highest + 8) / 8));
  for (const bit of bits) {
    const index = bit >> 3;
    content[index] = (content[index] ?? 0) | (0x80 >> (bit & 7));
  }
  return bitString(content, highest < 0 ? 0 : 7 - (highest & 7));
}

export function utf8String(text: string): Uint8Array<ArrayBuffer> {
  return element(tags.utf8String, Buffer.from(text, 'utf8'));
}

/** The caller has checked the alphabet. @see isPrintableString */
export function printableString(text: string): Uint8Array<ArrayBuffer> {
  return element(tags.printableString, Buffer.from(text, 'latin1'));
}

export function ia5String(text: string): Uint8Array<ArrayBuffer> {
  return element(tags.ia5String, Buffer.from(text, 'latin1'));
}

export function boolean(value: boolean): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(tags.boolean, 1, value ? 0xff : 0);
}

const nullElement = Uint8Array.of(tags.null, 0);
/** NULL. (`der.null()` would read better, but is a reserved word.) */
export function nullValue(): Uint8Array<ArrayBuffer> {
  return nullElement.slice();
}

export function enumerated(value: number): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(tags.enumerated, 1, value);
}

/** UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). @param instant epoch milliseconds; fractions of a second are cut */
export function time(instant: number): Uint8Array<ArrayBuffer> {
  const year = new Date(instant).getUTCFullYear();
  return year >= 1950 && year < 2050 ? utcTime(instant) : generalizedTime(instant);
}

function utcTime(instant: number): Uint8Array<ArrayBuffer> {
  return element(tags.utcTime, Buffer.from(timeText(instant).slice(2), 'latin1'));
}

export function generalizedTime(instant: number): Uint8Array<ArrayBuffer> {
  return element(tags.generalizedTime, Buffer.from(timeText(instant), 'latin1'));
}

function timeText(instant: number): string {
  const iso = new Date(instant).toISOString();
  if (iso.length !== 24) {
    throw new KeylineError('INTERNAL', `The year of ${iso} can't be written in a certificate.`);
  }
  return `${iso.slice(0, 4)}${iso.slice(5, 7)}${iso.slice(8, 10)}${iso.slice(11, 13)}${iso.slice(14, 16)}${iso.slice(17, 19)}Z`;
}

/** `[n] EXPLICIT` around whole elements. */
export function explicit(number: number, ...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  return element(contextConstructedTag(number), ...parts);
}

/** `[n] IMPLICIT`: the same element under another tag. */
export function implicit(number: number, whole: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = Uint8Array.from(whole);
  out[0] = 0x80 | ((whole[0] ?? 0) & 0x20) | number;
  return out;
}
