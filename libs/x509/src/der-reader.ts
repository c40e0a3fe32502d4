// A strict DER reader over untrusted bytes: definite, minimal lengths, low tag numbers, bounded depth. It knows X.690 and nothing of
// certificates.
import { KeylineError } from '@keyline/kernel';
import { latin1Of } from './bytes.ts';
import { tags } from './der-writer.ts';

/** Where one TLV lies in the reader's bytes. */
export interface DerElement {
  readonly tag: number;
  readonly start: number;
  readonly contentStart: number;
  readonly end: number;
}

const maxDepth = 24;
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @returns a KeylineError to throw: `DER_MALFORMED`, with the offset */
export function derMalformed(what: string, offset?: number): KeylineError {
  const where = offset === undefined ? '' : ` at byte ${String(offset)}`;
  return new KeylineError('DER_MALFORMED', `Not valid DER: ${what}${where}.`);
}

/** Reads the elements of one constructed value in order; every method throws `DER_MALFORMED` when the bytes do not fit. */
export class DerReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  offset: number;
  readonly #depth: number;

  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length, depth = 0) {
    if (depth > maxDepth)
      throw derMalformed(`nested deeper than ${String(maxDepth)} levels`, start);
    this.bytes = bytes;
    this.offset = start;
    this.end = end;
    this.#depth = depth;
  }

  isAtEnd(): boolean {
    return this.offset >= this.end;
  }

  /** The next element's tag octet; undefined at the end. */
  peekTag(): number | undefined {
    return this.offset < this.end ? this.bytes[this.offset] : undefined;
  }

  /** The next element, whatever its tag or only with the given one. */
  read(tag?: number): DerElement {
    const { bytes, end } = this;
    const start = this.offset;
    if (start + 2 > end) throw derMalformed('an element is missing or cut short', start);
    const found = bytes[start] ?? 0;
    if ((found & 0x1f) === 0x1f) throw derMalformed('a tag number above 30', start);
    if (tag !== undefined && found !== tag) {
      throw derMalformed(`tag 0x${found.toString(16)} where 0x${tag.toString(16)} belongs`, start);
    }
    let length = bytes[start + 1] ?? 0;
    let contentStart = start + 2;
    if (length >= 0x80) {
      const count = length & 0x7f;
      // 0x80 is the indefinite form, which X.690 §10.1 forbids; four octets are 4 GiB already.
      if (count === 0 || count > 4) throw derMalformed('an indefinite or oversized length', start);
      if (contentStart + count > end) throw derMalformed('a length is cut short', start);
      length = 0;
      for (let i = 0; i < count; i++) length = length * 256 + (bytes[contentStart + i] ?? 0);
      if (length < 0x80 || length < 256 ** (count - 1)) {
        throw derMalformed('a length that is not minimal (X.690 §10.1)', start);
      }
      contentStart += count;
    }
    const elementEnd = contentStart + length;
    if (elementEnd > end) throw derMalformed('an element reaches past its container', start);
    this.offset = elementEnd;
    return { tag: found, start, contentStart, end: elementEnd };
  }

  /** The next element if it has this tag. */
  readOptional(tag: number): DerElement | undefined {
    return this.peekTag() === tag ? this.read(tag) : undefined;
  }

  /** A reader over the content of the next element, which must have this (constructed) tag. */
  enter(tag: number = tags.sequence): DerReader {
    return this.inside(this.read(tag));
  }

  enterOptional(tag: number): DerReader | undefined {
    return this.peekTag() === tag ? this.enter(tag) : undefined;
  }

  /** A reader over an element that was read here. */
  inside(element: DerElement): DerReader {
    return new DerReader(this.bytes, element.contentStart, element.end, this.#depth + 1);
  }

  /** The element's content octets (a view, not a copy). */
  content(element: DerElement): Uint8Array {
    return this.bytes.subarray(element.contentStart, element.end);
  }

  /** The element with its header (a view, not a copy). */
  whole(element: DerElement): Uint8Array {
    return this.bytes.subarray(element.start, element.end);
  }

  /** Throws when something follows. */
  finish(): void {
    if (this.offset !== this.end) throw derMalformed('trailing bytes', this.offset);
  }

  /** INTEGER content octets, minimal two's complement. */
  readInteger(tag: number = tags.integer): Uint8Array {
    const element = this.read(tag);
    const content = this.content(element);
    const [first, second] = content;
    if (first === undefined) throw derMalformed('an empty INTEGER', element.start);
    if (
      second !== undefined &&
      ((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
    ) {
      throw derMalformed('an INTEGER that is not minimal (X.690 §8.3.2)', element.start);
    }
    return content;
  }

  /** A non-negative INTEGER that fits 31 bits. */
  readSmallInteger(tag: number = tags.integer): number {
    const start = this.offset;
    const content = this.readInteger(tag);
    if (content.length > 4 || (content[0] ?? 0) >= 0x80) {
      throw derMalformed('a number that is negative or too large here', start);
    }
    return content.reduce((value, octet) => value * 256 + octet, 0);
  }

  readBoolean(tag: number = tags.boolean): boolean {
    const element = this.read(tag);
    const content = this.content(element);
    const [value] = content;
    if (content.length !== 1 || (value !== 0 && value !== 0xff)) {
      throw derMalformed('a BOOLEAN other than 00 and FF (X.690 §11.1)', element.start);
    }
    return value === 0xff;
  }

  readNull(): void {
    const element = this.read(tags.null);
    if (element.end !== element.contentStart)
      throw derMalformed('a NULL with content', element.start);
  }

  /** OBJECT IDENTIFIER in dotted text. */
  readOid(tag: number = tags.oid): string {
    const element = this.read(tag);
    return decodeOid(this.content(element), element.start);
  }

  readOctetString(tag: number = tags.octetString): Uint8Array {
    return this.content(this.read(tag));
  }

  /** BIT STRING with its unused bits checked to be zero (X.690 §11.2.1). */
  readBits(tag: number = tags.bitString): {
    readonly unusedBits: number;
    readonly bytes: Uint8Array;
  } {
    const element = this.read(tag);
    const content = this.content(element);
    const unusedBits = content[0];
    if (unusedBits === undefined || unusedBits > 7 || (content.length === 1 && unusedBits !== 0)) {
      throw derMalformed('a malformed BIT STRING', element.start);
    }
    const last = content[content.length - 1] ?? 0;
    if (content.length > 1 && (last & ((1 << unusedBits) - 1)) !== 0) {
      throw derMalformed('a BIT STRING whose unused bits are not zero', element.start);
    }
    return { unusedBits, bytes: content.subarray(1) };
  }

  /** BIT STRING of whole octets: keys and signatures. */
  readBitString(tag: number = tags.bitString): Uint8Array {
    const start = this.offset;
    const { unusedBits, bytes } = this.readBits(tag);
    if (unusedBits !== 0) throw derMalformed('a BIT STRING that is not whole octets', start);
    return bytes;
  }

  /** UTCTime or GeneralizedTime in the one form RFC 5280 §4.1.2.5 allows; epoch milliseconds. */
  readTime(): number {
    const tag = this.peekTag();
    if (tag !== tags.utcTime && tag !== tags.generalizedTime) {
      throw derMalformed('a time is missing', this.offset);
    }
    const element = this.read();
    return decodeTime(tag, this.content(element), element.start);
  }
}

/** A reader over bytes that must be exactly one SEQUENCE: nothing may follow. */
export function readSequence(bytes: Uint8Array, tag: number = tags.sequence): DerReader {
  const outer = new DerReader(bytes);
  const inner = outer.enter(tag);
  outer.finish();
  return inner;
}

const knownOids = new Map<string, string>();

function decodeOid(content: Uint8Array, offset: number): string {
  const key = latin1Of(content);
  const known = knownOids.get(key);
  if (known !== undefined) return known;
  const last = content[content.length - 1];
  if (last === undefined || last >= 0x80 || content.length > 64) {
    throw derMalformed('a malformed OBJECT IDENTIFIER', offset);
  }
  const arcs: bigint[] = [];
  let arc = 0n;
  let fresh = true;
  for (const octet of content) {
    if (fresh && octet === 0x80)
      throw derMalformed('an OBJECT IDENTIFIER with padded arcs', offset);
    arc = (arc << 7n) | BigInt(octet & 0x7f);
    fresh = octet < 0x80;
    if (fresh) {
      arcs.push(arc);
      arc = 0n;
    }
  }
  const [head = 0n, ...rest] = arcs;
  const first = head < 40n ? 0n : head < 80n ? 1n : 2n;
  const text = [first, head - first * 40n, ...rest].join('.');
  // Bounded: the bytes are anybody's.
  if (knownOids.size < 256) knownOids.set(key, text);
  return text;
}

function decodeTime(tag: number, content: Uint8Array, offset: number): number {
  const text = latin1Of(content);
  const expected = tag === tags.utcTime ? 13 : 15;
  if (text.length !== expected || !/^\d+Z$/.test(text)) {
    throw derMalformed(
      'a time that is not YYMMDDHHMMSSZ or YYYYMMDDHHMMSSZ (RFC 5280 §4.1.2.5)',
      offset,
    );
  }
  const digits = expected === 13 ? `${text < '50' ? '20' : '19'}${text}` : text;
  const iso = `${digits.slice(0, 4)}-${digits.slice(4, 6)}-${digits.slice(6, 8)}T${digits.slice(8, 10)}:${digits.slice(10, 12)}:${digits.slice(12, 14)}.000Z`;
  const instant = Date.parse(iso);
  // The round trip refuses 31 February and second 60.
  if (Number.isNaN(instant) || new Date(instant).toISOString() !== iso) {
    throw derMalformed(`a time that does not exist (${text})`, offset);
  }
  return instant;
}

const printable = /^[A-Za-z0-9 '()+,\-./:=?]*$/;

/**
 * Text of a character string element; undefined when its type is none that names use. The types of one octet a character are read as
 * Latin-1, whatever their alphabet is: "&", "_", "*" and "@" are written as PrintableString by enough software, and who takes text over
 * judges its characters.
 * @throws {KeylineError} DER_MALFORMED when the octets are no characters of the type's encoding
 */
export function decodeText(tag: number, content: Uint8Array): string | undefined {
  switch (tag) {
    case tags.utf8String:
      try {
        return utf8.decode(content);
      } catch {
        throw derMalformed('a UTF8String that is not UTF-8');
      }
    case tags.printableString:
    case tags.numericString:
    case tags.visibleString:
    case tags.ia5String:
    case tags.teletexString:
      return latin1Of(content);
    case tags.bmpString: {
      if (content.length % 2 !== 0) throw derMalformed('a BMPString of odd length');
      return Buffer.from(content).swap16().toString('utf16le');
    }
    case tags.universalString:
      return decodeUniversal(content);
    default:
      return undefined;
  }
}

/** UCS-4, big-endian. */
function decodeUniversal(content: Uint8Array): string {
  if (content.length % 4 !== 0) throw derMalformed('a UniversalString of odd length');
  const octets = new DataView(content.buffer, content.byteOffset, content.length);
  let text = '';
  for (let offset = 0; offset < content.length; offset += 4) {
    const character = octets.getUint32(offset);
    if (character > 0x10ffff) throw derMalformed('a UniversalString beyond Unicode');
    text += String.fromCodePoint(character);
  }
  return text;
}

/** IA5 content octets → text. @throws {KeylineError} DER_MALFORMED above 0x7f */
export function decodeAscii(content: Uint8Array): string {
  for (const octet of content) {
    if (octet > 0x7f) throw derMalformed('an IA5String beyond ASCII');
  }
  return latin1Of(content);
}

export function isPrintableString(text: string): boolean {
  return printable.test(text);
}
