// A certificate revocation list read from DER, for brokers, `doctor` and tests. Writing one is libs/pki's work.
import type { SerialHex } from '@keyline/kernel';
import { equalBytes } from './bytes.ts';
import { readSerial } from './certificate.ts';
import { DerReader, derMalformed, readSequence } from './der-reader.ts';
import { contextConstructedTag, contextTag, tags } from './der-writer.ts';
import { parsePointNames } from './distribution-points.ts';
import {
  parseAuthorityKeyIdentifier,
  parseCrlDistributionPoints,
  parseDistributionPointName,
  parseExtensions,
  type Extension,
} from './extensions.ts';
import { oids } from './oids.ts';

/** CRLReason values by name (RFC 5280 §5.3.1). */
export const crlReasonCodes = {
  unspecified: 0,
  keyCompromise: 1,
  cACompromise: 2,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  removeFromCRL: 8,
  privilegeWithdrawn: 9,
  aACompromise: 10,
} as const;
export type CrlReasonName = keyof typeof crlReasonCodes;

export interface ParsedCrlEntry {
  readonly serial: SerialHex;
  /** Epoch milliseconds. */
  readonly revokedAt: number;
  /** Absent: unspecified. */
  readonly reason?: CrlReasonName;
}

export interface ParsedCrl {
  readonly der: Uint8Array;
  readonly tbsDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  /** CRLNumber; 0 when the extension is absent. */
  readonly number: bigint;
  /** Epoch milliseconds. */
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly authorityKeyId?: Uint8Array;
  /** From the issuing distribution point; absent when there is none. `other`: some reasons, indirect, attribute certificates. */
  readonly scope?: 'user' | 'ca' | 'all' | 'other';
  /** URIs among the names of the issuing distribution point. */
  readonly distributionPoints: string[];
  /** All its names, as `parsePointNames` writes them: the CRL speaks only of certificates with one of them. Absent: it has no name. */
  readonly pointNames?: readonly string[];
  readonly isDelta: boolean;
  /** BaseCRLNumber of a delta (§5.2.4). */
  readonly baseNumber?: bigint;
  /** Where a base's delta is (§5.2.6). */
  readonly freshestCrl: string[];
  readonly entries: ParsedCrlEntry[];
  readonly extensions: readonly Extension[];
  readonly signatureAlgorithmOid: string;
  readonly signature: Uint8Array;
}

const reasonNames = new Map<number, CrlReasonName>(
  Object.entries(crlReasonCodes).map(([name, code]) => [code, name as CrlReasonName]),
);

/** @throws {KeylineError} DER_MALFORMED; also for a CRL without nextUpdate (RFC 5280 §5.1.2.5) */
export function parseCrl(der: Uint8Array): ParsedCrl {
  const crl = readSequence(der);
  const tbsElement = crl.read(tags.sequence);
  const outerAlgorithm = crl.read(tags.sequence);
  const signature = crl.readBitString();
  crl.finish();

  const tbs = crl.inside(tbsElement);
  if (tbs.readSmallInteger() !== 1) throw derMalformed('a CRL that is not version 2', tbs.offset);
  const innerAlgorithm = tbs.read(tags.sequence);
  if (!equalBytes(tbs.whole(innerAlgorithm), crl.whole(outerAlgorithm))) {
    throw derMalformed(
      'the two signature algorithms differ (RFC 5280 §5.1.1.2)',
      innerAlgorithm.start,
    );
  }
  const issuerDer = tbs.whole(tbs.read(tags.sequence));
  const thisUpdate = tbs.readTime();
  const nextUpdate = tbs.readTime();
  const list = tbs.enterOptional(tags.sequence);
  const entries = list === undefined ? [] : readEntries(list);
  const wrapper = tbs.enterOptional(contextConstructedTag(0));
  tbs.finish();
  const extensions = wrapper === undefined ? [] : parseExtensions(wrapper.enter());
  wrapper?.finish();
  const value = (oid: string): Uint8Array | undefined =>
    extensions.find((extension) => extension.oid === oid)?.valueDer;
  const numberDer = value(oids.cRLNumber);
  const keyIdDer = value(oids.authorityKeyIdentifier);
  const keyId = keyIdDer === undefined ? undefined : parseAuthorityKeyIdentifier(keyIdDer);
  const pointDer = value(oids.issuingDistributionPoint);
  const baseDer = value(oids.deltaCRLIndicator);
  if (baseDer === undefined && entries.some(({ reason }) => reason === 'removeFromCRL')) {
    throw derMalformed('removeFromCRL in a CRL that is no delta (RFC 5280 §5.3.1)');
  }
  const freshestDer = value(oids.freshestCRL);
  if (baseDer !== undefined && freshestDer !== undefined) {
    throw derMalformed('a freshest CRL in a delta (RFC 5280 §5.2.6)');
  }
  return {
    der,
    tbsDer: crl.whole(tbsElement),
    issuerDer,
    number: numberDer === undefined ? 0n : readNumber(numberDer),
    thisUpdate,
    nextUpdate,
    ...(keyId === undefined ? {} : { authorityKeyId: keyId }),
    ...(pointDer === undefined
      ? { distributionPoints: [] }
      : readIssuingPoint(pointDer, issuerDer)),
    isDelta: baseDer !== undefined,
    ...(baseDer === undefined ? {} : { baseNumber: readNumber(baseDer) }),
    freshestCrl: freshestDer === undefined ? [] : parseCrlDistributionPoints(freshestDer),
    entries,
    extensions,
    signatureAlgorithmOid: tbs.inside(innerAlgorithm).readOid(),
    signature,
  };
}

function readEntries(list: DerReader): ParsedCrlEntry[] {
  const entries: ParsedCrlEntry[] = [];
  while (!list.isAtEnd()) {
    const entry = list.enter();
    const serial = readSerial(entry);
    const revokedAt = entry.readTime();
    const extensions = entry.isAtEnd() ? [] : parseExtensions(entry.enter());
    entry.finish();
    // A critical one changes what the entry means (§5.3: certificateIssuer), and none is processed here.
    if (extensions.some(({ oid, critical }) => critical && oid !== oids.reasonCode)) {
      throw derMalformed('a critical entry extension that is not known (RFC 5280 §5.3)');
    }
    const reasonDer = extensions.find(({ oid }) => oid === oids.reasonCode)?.valueDer;
    const reason = reasonDer === undefined ? undefined : readReason(reasonDer);
    entries.push(reason === undefined ? { serial, revokedAt } : { serial, revokedAt, reason });
  }
  return entries;
}

function readReason(valueDer: Uint8Array): CrlReasonName {
  const reader = new DerReader(valueDer);
  const code = reader.readSmallInteger(tags.enumerated);
  reader.finish();
  // A reason that is not known makes the certificate no less revoked.
  return reasonNames.get(code) ?? 'unspecified';
}

function readNumber(valueDer: Uint8Array): bigint {
  const reader = new DerReader(valueDer);
  const content = reader.readInteger();
  reader.finish();
  if ((content[0] ?? 0) >= 0x80 || content.length > 20) {
    throw derMalformed('a CRL number that is negative or longer than 20 octets (RFC 5280 §5.2.3)');
  }
  return content.reduce((value, octet) => (value << 8n) | BigInt(octet), 0n);
}

function readIssuingPoint(
  valueDer: Uint8Array,
  issuerDer: Uint8Array,
): Pick<ParsedCrl, 'scope' | 'distributionPoints' | 'pointNames'> {
  const point = readSequence(valueDer);
  const name = point.readOptional(contextConstructedTag(0));
  const distributionPoints =
    name === undefined ? [] : parseDistributionPointName(point.inside(name));
  const pointNames = name && parsePointNames(point.inside(name), issuerDer);
  let scope: ParsedCrl['scope'] = 'all';
  while (!point.isAtEnd()) {
    const element = point.read();
    const { tag } = element;
    // A FALSE that is written out, against X.690 §11.5, says nothing. (onlySomeReasons [3] is no flag.)
    if (tag !== contextTag(3) && point.content(element).every((octet) => octet === 0)) continue;
    if (scope !== 'all') scope = 'other';
    else if (tag === contextTag(1)) scope = 'user';
    else if (tag === contextTag(2)) scope = 'ca';
    else scope = 'other';
  }
  return {
    scope,
    distributionPoints,
    ...(pointNames === undefined ? {} : { pointNames }),
  };
}
