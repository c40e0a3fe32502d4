// The lint of every single leaf, on the bytes that are about to be signed: what all certificates of a profile have in common stands
// where it stood in the template that was linted, byte for byte, and the rest keeps the rules for what varies. It reads DER by itself, in one go
// and without an object for each element: some thousands of certificates a second go through it.
import { isUtf8 } from 'node:buffer';
import { KeylineError } from '@keyline/kernel';
import { der, oids } from '@keyline/x509';
import type { CompiledProfile } from './compiled-profile.ts';
import { shardIndexOf } from './crl-shards.ts';

/** What the bytes must be about. */
export interface SplicedMeaning {
  readonly id: string;
  readonly spkiDer: Uint8Array;
  readonly keyId: Uint8Array;
  /** Epoch milliseconds, whole seconds. */
  readonly notBefore: number;
  readonly notAfter: number;
}

export interface SplicedFacts {
  /** A view of the bytes that were linted. */
  readonly serial: Uint8Array;
  /** Of the authority's CRLs; 0 where there is one. */
  readonly shard: number;
}

const { tags } = der;
const versionDer = der.explicit(0, der.integer(2));
const criticalDer = der.boolean(true);
const alternativeNamesOid = der.oid(oids.subjectAltName);
const keyIdOid = der.oid(oids.subjectKeyIdentifier);
const hardwareModuleOid = der.oid(oids.hardwareModuleName);
/** Those of profiles. */
const attributeOids = [
  oids.commonName,
  oids.organizationalUnitName,
  oids.organizationName,
  oids.serialNumber,
  oids.countryName,
].map(der.oid);
const extensionsTag = der.contextConstructedTag(3);
/** otherName, rFC822Name, dNSName, uniformResourceIdentifier, iPAddress (RFC 5280 §4.2.1.6). */
const general = {
  other: der.contextConstructedTag(0),
  dns: der.contextTag(2),
  uri: der.contextTag(6),
  ip: der.contextTag(7),
};
/** ub-common-name and its like (RFC 5280 Appendix A.1): 64 characters, in UTF-8 of up to four octets each. */
const mostNameBytes = 64 * 4;
/** What RFC 9608 §1 means by short-lived, and an hour for clocks that are slow. */
const mostWithoutRevocation = (7 * 24 + 1) * 3_600_000;

/** @throws {KeylineError} LINT_FAILED at the first rule that is broken */
export function lintSpliced(
  tbsDer: Uint8Array,
  compiled: CompiledProfile,
  meaning: SplicedMeaning,
): SplicedFacts {
  const walk = new Walk(tbsDer, meaning.id);
  const { profile, constants } = compiled;
  const end = walk.enter(tags.sequence, tbsDer.length);
  walk.expect(end === tbsDer.length, 'something follows it', 'X.690 §10');
  walk.same(versionDer, end, 'its version is not v3', 'RFC 5280 §4.1.2.1');
  const serial = readSerial(walk, end);
  walk.same(
    compiled.signatureAlgorithmAndIssuer,
    end,
    'its signature algorithm and issuer are not those of the authority',
    'RFC 5280 §4.1.2.3, §4.1.2.4',
  );
  checkValidity(walk, end, meaning, constants);
  const hasSubject = checkName(walk, end);
  walk.same(meaning.spkiDer, end, 'it is for another key', 'RFC 5280 §4.1.2.7');
  const wrapped = walk.enter(extensionsTag, end);
  const extensions = walk.enter(tags.sequence, wrapped);
  walk.expect(
    wrapped === end && extensions === end,
    'something follows its extensions',
    'X.690 §10',
  );
  const notTheTemplate = 'what it shares with the others of its profile is not what was linted';
  walk.same(compiled.extensionsHead, end, notTheTemplate, 'Keyline');
  const names = checkAlternativeNames(walk, end, hasSubject);
  if (profile.kind === 'device') {
    walk.expect(
      names.identities > 0,
      'a device certificate has its identity in subjectAltName (URI or DNS)',
      'RFC 5280 §4.2.1.12',
    );
  }
  if (profile.kind === 'server') {
    walk.expect(
      names.hosts > 0,
      'a server certificate needs a DNS name or IP address in subjectAltName',
      'RFC 9525 §2',
    );
  }
  checkKeyId(walk, end, meaning.keyId);
  const shard = compiled.crlShards === undefined ? 0 : shardIndexOf(serial, compiled.crlShards);
  walk.same(compiled.extensionsTails[shard] ?? nothing, end, notTheTemplate, 'Keyline');
  walk.expect(walk.at === end, 'something follows its extensions', 'X.690 §10');
  return { serial, shard };
}

const nothing = new Uint8Array();

function readSerial(walk: Walk, end: number): Uint8Array {
  const serialEnd = walk.enter(tags.integer, end);
  const serial = walk.bytes.subarray(walk.at, serialEnd);
  const first = serial[0] ?? 0;
  walk.expect(
    serial.length >= 8 && serial.length <= 20 && first > 0 && first < 0x80,
    'the serial is not positive, has fewer than 64 bits or more than 20 octets',
    'RFC 5280 §4.1.2.2',
  );
  walk.at = serialEnd;
  return serial;
}

function checkValidity(
  walk: Walk,
  end: number,
  meaning: SplicedMeaning,
  { authorityEnd, noRevAvail }: CompiledProfile['constants'],
): void {
  const validityEnd = walk.enter(tags.sequence, end);
  const notBefore = walk.time(validityEnd);
  const notAfter = walk.time(validityEnd);
  walk.expect(
    walk.at === validityEnd && notBefore === meaning.notBefore && notAfter === meaning.notAfter,
    'it begins or ends at another time than was meant',
    'RFC 5280 §4.1.2.5',
  );
  walk.expect(notBefore < notAfter, 'it ends before it begins', 'RFC 5280 §4.1.2.5');
  walk.expect(notAfter <= authorityEnd, 'it ends after the authority that signs it', 'Keyline');
  walk.expect(
    !noRevAvail || notAfter - notBefore <= mostWithoutRevocation,
    'noRevAvail is for certificates that live at most 7 days',
    'RFC 9608 §1',
  );
}

/** @returns whether there is an attribute */
function checkName(walk: Walk, end: number): boolean {
  const nameEnd = walk.enter(tags.sequence, end);
  const hasSubject = walk.at < nameEnd;
  while (walk.at < nameEnd) {
    const setEnd = walk.enter(tags.set, nameEnd);
    const attributeEnd = walk.enter(tags.sequence, setEnd);
    const isKnown = attributeOids.some((oid) => walk.has(oid));
    const isUnicode = walk.bytes[walk.at] === tags.utf8String;
    const textEnd = walk.enter(isUnicode ? tags.utf8String : tags.printableString, attributeEnd);
    const length = textEnd - walk.at;
    walk.expect(
      isKnown &&
        textEnd === attributeEnd &&
        attributeEnd === setEnd &&
        length > 0 &&
        length <= mostNameBytes &&
        walk.isPlain(textEnd, isUnicode),
      'an attribute of its subject is none that profiles give, empty, too long or no text',
      'RFC 5280 §4.1.2.4, Appendix A.1',
    );
    walk.at = textEnd;
  }
  return hasSubject;
}

/** @returns how many names tell who it is (URI, DNS), and how many where it is reached (DNS, IP address) */
function checkAlternativeNames(
  walk: Walk,
  end: number,
  hasSubject: boolean,
): { readonly identities: number; readonly hosts: number } {
  const start = walk.at;
  const extensionEnd = walk.enter(tags.sequence, end);
  if (!walk.has(alternativeNamesOid)) {
    walk.expect(hasSubject, 'it has neither a subject nor a subjectAltName', 'RFC 5280 §4.1.2.6');
    walk.at = start;
    return { identities: 0, hosts: 0 };
  }
  walk.expect(
    walk.has(criticalDer) === !hasSubject,
    'subjectAltName must be critical when, and only when, the subject is empty',
    'RFC 5280 §4.2.1.6',
  );
  const valueEnd = walk.enter(tags.octetString, extensionEnd);
  const namesEnd = walk.enter(tags.sequence, valueEnd);
  walk.expect(
    valueEnd === extensionEnd && namesEnd === valueEnd && walk.at < namesEnd,
    'its subjectAltName has no name, or something after them',
    'RFC 5280 §4.2.1.6',
  );
  let identities = 0;
  let hosts = 0;
  while (walk.at < namesEnd) {
    const tag = walk.bytes[walk.at] ?? 0;
    const nameEnd = walk.enter(tag, namesEnd);
    const length = nameEnd - walk.at;
    if (tag === general.dns || tag === general.uri) {
      walk.expect(
        length > 0 && walk.isPlain(nameEnd, false),
        'a name in subjectAltName is empty or no IA5String',
        'RFC 5280 §4.2.1.6',
      );
      identities++;
      if (tag === general.dns) hosts++;
    } else if (tag === general.ip) {
      walk.expect(
        length === 4 || length === 16,
        'an address has not 4 or 16 octets',
        'RFC 5280 §4.2.1.6',
      );
      hosts++;
    } else {
      walk.expect(
        tag === general.other && isHardwareModule(walk, nameEnd),
        'a name in subjectAltName is of a kind that no profile gives',
        'RFC 5280 §4.2.1.6',
      );
    }
    walk.at = nameEnd;
  }
  return { identities, hosts };
}

/** Goes into an otherName (RFC 4108 §5). */
function isHardwareModule(walk: Walk, end: number): boolean {
  if (!walk.has(hardwareModuleOid)) return false;
  const valueEnd = walk.enter(der.contextConstructedTag(0), end);
  const moduleEnd = walk.enter(tags.sequence, valueEnd);
  const typeEnd = walk.enter(tags.oid, moduleEnd);
  const isType = walk.at < typeEnd && (walk.bytes[typeEnd - 1] ?? 0xff) < 0x80;
  walk.at = typeEnd;
  const serialEnd = walk.enter(tags.octetString, moduleEnd);
  return (
    isType && walk.at < serialEnd && serialEnd === end && valueEnd === end && moduleEnd === end
  );
}

function checkKeyId(walk: Walk, end: number, keyId: Uint8Array): void {
  const extensionEnd = walk.enter(tags.sequence, end);
  const isOfKey = walk.has(keyIdOid);
  const valueEnd = isOfKey ? walk.enter(tags.octetString, extensionEnd) : 0;
  const keyIdEnd = isOfKey ? walk.enter(tags.octetString, valueEnd) : -1;
  walk.expect(
    keyIdEnd === extensionEnd && valueEnd === extensionEnd && keyIdEnd - walk.at === keyId.length,
    'it has no subject key identifier',
    'RFC 5280 §4.2.1.2',
  );
  walk.same(keyId, end, 'its subject key identifier is not of its key', 'RFC 5280 §4.2.1.2');
}

/** Goes forward through DER (X.690 §10): minimal lengths, and no element that reaches past the one around it. */
class Walk {
  readonly bytes: Uint8Array;
  readonly id: string;
  at = 0;

  constructor(bytes: Uint8Array, id: string) {
    this.bytes = bytes;
    this.id = id;
  }

  expect(holds: boolean, finding: string, rule: string): void {
    if (holds) return;
    throw new KeylineError(
      'LINT_FAILED',
      `The certificate for "${this.id}" breaks a rule: ${finding} (${rule}). Nothing was signed.`,
    );
  }

  /** Goes on to the content of the element here. @returns where that ends */
  enter(tag: number, limit: number): number {
    const { bytes, at } = this;
    let length = bytes[at + 1] ?? 0xff;
    let start = at + 2;
    if (length === 0x81) {
      length = bytes[at + 2] ?? 0;
      start = at + 3;
      if (length < 0x80) length = Infinity;
    } else if (length === 0x82) {
      length = (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
      start = at + 4;
      if (length < 0x100) length = Infinity;
    } else if (length >= 0x80) {
      length = Infinity;
    }
    const end = start + length;
    this.expect(
      bytes[at] === tag && end <= limit,
      'its bytes are not DER of a certificate',
      'X.690 §10',
    );
    this.at = start;
    return end;
  }

  /** Whether the bytes are here; then it goes on after them. */
  has(part: Uint8Array): boolean {
    const { bytes, at } = this;
    for (let i = 0; i < part.length; i++) if (bytes[at + i] !== part[i]) return false;
    this.at = at + part.length;
    return true;
  }

  same(part: Uint8Array, limit: number, finding: string, rule: string): void {
    this.expect(this.has(part) && this.at <= limit, finding, rule);
  }

  /** Characters without control characters up to there; in UTF-8 also those above ASCII. */
  isPlain(end: number, mayBeUtf8: boolean): boolean {
    let isAscii = true;
    for (let i = this.at; i < end; i++) {
      const octet = this.bytes[i] ?? 0;
      if (octet < 0x20 || octet === 0x7f) return false;
      if (octet > 0x7f) isAscii = false;
    }
    return isAscii || (mayBeUtf8 && isUtf8(this.bytes.subarray(this.at, end)));
  }

  /** UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5). @returns epoch milliseconds */
  time(limit: number): number {
    const isShort = this.bytes[this.at] === tags.utcTime;
    const end = this.enter(isShort ? tags.utcTime : tags.generalizedTime, limit);
    this.expect(
      end - this.at === (isShort ? 13 : 15),
      'a time is of no known form',
      'RFC 5280 §4.1.2.5',
    );
    const short = isShort ? this.#two() : 0;
    const year = isShort ? short + (short < 50 ? 2000 : 1900) : this.#two() * 100 + this.#two();
    const month = this.#two();
    const day = this.#two();
    const instant = Date.UTC(year, month - 1, day, this.#two(), this.#two(), this.#two());
    this.expect(
      this.bytes[this.at++] === 0x5a && !Number.isNaN(instant) && (isShort || year >= 2050),
      'a time is of no known form',
      'RFC 5280 §4.1.2.5',
    );
    return instant;
  }

  /** A number of two digits. */
  #two(): number {
    const tens = (this.bytes[this.at] ?? 0) - 0x30;
    const ones = (this.bytes[this.at + 1] ?? 0) - 0x30;
    this.at += 2;
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? tens * 10 + ones : Number.NaN;
  }
}
