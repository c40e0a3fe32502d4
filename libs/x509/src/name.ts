// Distinguished names: written with one string type per attribute, read for what Keyline needs of them.
import { isKeylineError, KeylineError } from '@keyline/kernel';
import { equalBytes, latin1Of } from './bytes.ts';
import {
  decodeText,
  derMalformed,
  isPrintableString,
  readSequence,
  type DerReader,
} from './der-reader.ts';
import * as der from './der-writer.ts';
import { tags } from './der-writer.ts';
import { oids } from './oids.ts';

export type NameAttribute = 'CN' | 'O' | 'OU' | 'C' | 'serialNumber';
export interface RelativeName {
  readonly attribute: NameAttribute;
  readonly value: string;
}

interface AttributeRule {
  readonly oidDer: Uint8Array;
  readonly printable: boolean;
  readonly maxCharacters: number;
}

// Bounds: RFC 5280 Appendix A.1. C and serialNumber are PrintableString by definition; the others UTF8String always, so that a name
// has one spelling only (§4.1.2.4, §7.1).
const rules: Readonly<Record<NameAttribute, AttributeRule>> = {
  CN: { oidDer: der.oid(oids.commonName), printable: false, maxCharacters: 64 },
  O: { oidDer: der.oid(oids.organizationName), printable: false, maxCharacters: 64 },
  OU: { oidDer: der.oid(oids.organizationalUnitName), printable: false, maxCharacters: 64 },
  C: { oidDer: der.oid(oids.countryName), printable: true, maxCharacters: 2 },
  serialNumber: { oidDer: der.oid(oids.serialNumber), printable: true, maxCharacters: 64 },
};

const controls = /[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/;

/**
 * A Name of single-attribute RDNs, in order.
 * @throws {KeylineError} PROFILE_VIOLATION for a value that is empty, too long or has characters its type can't hold
 */
export function encodeName(parts: readonly RelativeName[]): Uint8Array<ArrayBuffer> {
  return der.sequence(...parts.map(encodeRelativeName));
}

function encodeRelativeName({ attribute, value }: RelativeName): Uint8Array {
  const { oidDer, printable, maxCharacters } = rules[attribute];
  // Surrogate pairs are single characters of the bound; a lone half is refused by `isWellFormed`.
  const length = value.length <= maxCharacters ? value.length : Array.from(value).length;
  if (length === 0 || length > maxCharacters || (attribute === 'C' && length !== 2)) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${value.slice(0, 80)}" can't be the ${attribute} of a certificate: 1 to ${String(maxCharacters)} characters (RFC 5280 Appendix A.1).`,
    );
  }
  if (printable ? !isPrintableString(value) : !isPlainText(value)) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${value}" can't be the ${attribute} of a certificate: ${
        printable
          ? "only letters, digits, space and '()+,-./:=? are allowed"
          : 'it has control characters'
      }.`,
    );
  }
  const text = printable ? der.printableString(value) : der.utf8String(value);
  return der.element(tags.set, der.sequence(oidDer, text));
}

function isPlainText(value: string): boolean {
  return (
    value.isWellFormed() && !controls.test(value.replace(/[\ud800-\udbff][\udc00-\udfff]/g, ''))
  );
}

/** What is read out of a Name. */
export interface ParsedName {
  /** All CN values, in order. */
  readonly commonNames: readonly string[];
  readonly isEmpty: boolean;
}

/**
 * Only common names are read; the values of other attributes are passed over, whatever they hold.
 * @param name a reader inside the Name's SEQUENCE
 * @throws {KeylineError} DER_MALFORMED
 */
export function parseName(name: DerReader): ParsedName {
  const commonNames: string[] = [];
  const isEmpty = name.isAtEnd();
  while (!name.isAtEnd()) {
    const rdn = name.enter(tags.set);
    while (!rdn.isAtEnd()) {
      const attribute = rdn.enter(tags.sequence);
      const type = attribute.content(attribute.read(tags.oid));
      const value = attribute.read();
      attribute.finish();
      if (!equalBytes(type, commonNameOid)) continue;
      const text = decodeText(value.tag, attribute.content(value));
      if (text === undefined) throw derMalformed('a common name that is no text', value.start);
      commonNames.push(text);
    }
  }
  return { commonNames, isEmpty };
}

const commonNameOid = der.oid(oids.commonName).subarray(2);

/**
 * Each RDN of a Name as text that is equal when the RDNs match (RFC 5280 §7.1): case, runs of spaces and the string type make no
 * difference. For comparing, not for showing.
 * @throws {KeylineError} DER_MALFORMED
 */
export function canonicalRdns(nameDer: Uint8Array): string[] {
  const name = readSequence(nameDer);
  const rdns: string[] = [];
  while (!name.isAtEnd()) rdns.push(canonicalRdn(name.enter(tags.set)));
  return rdns;
}

/**
 * @param rdn a reader inside the SET of a RelativeDistinguishedName
 * @throws {KeylineError} DER_MALFORMED
 */
export function canonicalRdn(rdn: DerReader): string {
  const attributes: string[] = [];
  while (!rdn.isAtEnd()) {
    const attribute = rdn.enter(tags.sequence);
    const type = attribute.readOid();
    const value = attribute.read();
    attribute.finish();
    attributes.push(`${type}=${canonicalValue(value.tag, attribute.content(value))}`);
  }
  return JSON.stringify(attributes.sort());
}

/** The whole Name as one text, with more RDNs after its own. @throws {KeylineError} DER_MALFORMED */
export function canonicalName(nameDer: Uint8Array, more: readonly string[] = []): string {
  return [...canonicalRdns(nameDer), ...more].join('\n');
}

const canonicalNames = new WeakMap<Uint8Array, string | undefined>();

/**
 * Whether two Names are the same (RFC 5280 §7.1). A name that can't be read is the same as its own bytes alone.
 * @param aDer an array that is not written to any more: what was found of it is remembered
 */
export function isSameName(aDer: Uint8Array, bDer: Uint8Array): boolean {
  if (equalBytes(aDer, bDer)) return true;
  const a = rememberedName(aDer);
  return a !== undefined && a === rememberedName(bDer);
}

function rememberedName(nameDer: Uint8Array): string | undefined {
  if (canonicalNames.has(nameDer)) return canonicalNames.get(nameDer);
  let canonical: string | undefined;
  try {
    canonical = canonicalName(nameDer);
  } catch (error) {
    if (!isKeylineError(error)) throw error;
  }
  canonicalNames.set(nameDer, canonical);
  return canonical;
}

/** Longer ones than any attribute may be (RFC 5280 Appendix A.1) are compared as they are. */
const maxPreparedOctets = 4096;

function canonicalValue(tag: number, content: Uint8Array): string {
  const raw = (): string => `#${String(tag)}:${latin1Of(content)}`;
  if (content.length > maxPreparedOctets) return raw();
  try {
    const text = decodeText(tag, content);
    return (text === undefined ? undefined : prepareText(text)) ?? raw();
  } catch (error) {
    if (!isKeylineError(error)) throw error;
    return raw();
  }
}

// RFC 4518 §2.2: these are mapped to nothing …
const mappedToNothing =
  /[\u0000-\u0008\u000e-\u001f\u007f-\u0084\u0086-\u009f\u00ad\u034f\u06dd\u070f\u1806\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2063\u206a-\u206f\ufe00-\ufe0f\ufeff\ufff9-\ufffc\u{1d173}-\u{1d17a}\u{e0001}\u{e0020}-\u{e007f}]/gu;
// … and these to a space.
const spaces = /[\t-\r\u0085\p{Z}]+/gu;
// §2.4: unassigned, private, no characters, halves of pairs, the replacement character.
const prohibited = /[\p{Cn}\p{Co}\p{Cs}\ufffd]/u;

/**
 * Text as caseIgnoreMatch compares it (RFC 4518, RFC 4517 §4.2.11); undefined when it has characters whose comparison is undefined.
 * Upper and then lower case stand in for the case folding of RFC 3454 §B.2: "ß" and "SS" become "ss".
 */
function prepareText(text: string): string | undefined {
  const mapped = text.replaceAll(mappedToNothing, '').replaceAll(spaces, ' ');
  const folded = mapped.toUpperCase().toLowerCase().normalize('NFKC').toLowerCase();
  if (prohibited.test(folded)) return undefined;
  // §2.6.1: spaces around do not count, and several count as one. Normalizing may have made some.
  return folded.replaceAll(spaces, ' ').trim();
}
