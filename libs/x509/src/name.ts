// Distinguished names: written with one string type per attribute, read for what Keyline needs of them.
import { KeylineError } from '@keyline/kernel';
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
  while (!name.isAtEnd()) {
    const rdn = name.enter(tags.set);
    const attributes: string[] = [];
    while (!rdn.isAtEnd()) {
      const attribute = rdn.enter(tags.sequence);
      const type = attribute.readOid();
      const value = attribute.read();
      attribute.finish();
      const content = attribute.content(value);
      const text = decodeText(value.tag, content);
      const folded =
        text === undefined
          ? `#${String(value.tag)}:${latin1Of(content)}`
          : text.normalize('NFKC').toLowerCase().trim().replaceAll(/\s+/g, ' ');
      attributes.push(`${type}=${folded}`);
    }
    rdns.push(JSON.stringify(attributes.sort()));
  }
  return rdns;
}
