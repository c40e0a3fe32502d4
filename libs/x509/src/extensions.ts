// Extension values of RFC 5280 §4.2, in and out. Which extensions a certificate should have is libs/pki's concern.
import { DerReader, decodeAscii, derMalformed, readSequence } from './der-reader.ts';
import { encodeUri } from './alternative-names.ts';
import * as der from './der-writer.ts';
import { contextConstructedTag, contextTag, tags } from './der-writer.ts';
import {
  extendedKeyUsageOids,
  keyUsageBits,
  oids,
  type ExtendedKeyUsageName,
  type KeyUsageName,
} from './oids.ts';

export interface Extension {
  readonly oid: string;
  readonly critical: boolean;
  /** Content of the OCTET STRING. */
  readonly valueDer: Uint8Array;
}

export function encodeExtension(extension: Extension): Uint8Array<ArrayBuffer> {
  const critical = extension.critical ? [der.boolean(true)] : [];
  return der.sequence(der.oid(extension.oid), ...critical, der.octetString(extension.valueDer));
}

const maxExtensions = 64;

/**
 * @param extensions a reader inside the SEQUENCE OF Extension
 * @throws {KeylineError} DER_MALFORMED; also for an extension that comes twice (RFC 5280 §4.2)
 */
export function parseExtensions(extensions: DerReader): Extension[] {
  const found: Extension[] = [];
  while (!extensions.isAtEnd()) {
    const extension = extensions.enter();
    const oid = extension.readOid();
    const explicitCritical = extension.peekTag() === tags.boolean;
    const critical = explicitCritical && extension.readBoolean();
    // DER leaves a DEFAULT out (X.690 §11.5), but FALSE is written by enough software to be let through.
    const valueDer = extension.readOctetString();
    extension.finish();
    if (found.some((other) => other.oid === oid)) {
      throw derMalformed(`the extension ${oid} comes twice (RFC 5280 §4.2)`, extension.offset);
    }
    if (found.length === maxExtensions) throw derMalformed('too many extensions', extension.offset);
    found.push({ oid, critical, valueDer });
  }
  return found;
}

// --- writing

export function encodeKeyUsage(usages: readonly KeyUsageName[]): Extension {
  return {
    oid: oids.keyUsage,
    critical: true,
    valueDer: der.namedBits(usages.map((usage) => keyUsageBits[usage])),
  };
}

export function encodeExtendedKeyUsage(usages: readonly ExtendedKeyUsageName[]): Extension {
  const values = usages.map((usage) => der.oid(extendedKeyUsageOids[usage]));
  return { oid: oids.extKeyUsage, critical: false, valueDer: der.sequence(...values) };
}

export function encodeAuthorityKeyIdentifier(keyId: Uint8Array): Extension {
  return {
    oid: oids.authorityKeyIdentifier,
    critical: false,
    valueDer: der.sequence(der.element(contextTag(0), keyId)),
  };
}

/** `DistributionPointName { fullName: [uri] }`, as the CDP and the IDP carry it: identical bytes in both. */
export function encodeDistributionPointName(...uris: readonly string[]): Uint8Array<ArrayBuffer> {
  return der.explicit(0, der.explicit(0, ...uris.map(encodeUri)));
}

export function encodeCrlDistributionPoints(uris: readonly string[]): Extension {
  const points = uris.map((uri) => der.sequence(encodeDistributionPointName(uri)));
  return { oid: oids.cRLDistributionPoints, critical: false, valueDer: der.sequence(...points) };
}

/** In a base CRL: where its delta is (RFC 5280 §5.2.6). The form is that of the distribution points. */
export function encodeFreshestCrl(uri: string): Extension {
  return { ...encodeCrlDistributionPoints([uri]), oid: oids.freshestCRL };
}

// --- reading

const keyUsageNames = Object.keys(keyUsageBits) as KeyUsageName[];

export function parseKeyUsage(valueDer: Uint8Array): KeyUsageName[] {
  const reader = new DerReader(valueDer);
  const { bytes } = reader.readBits();
  reader.finish();
  return keyUsageNames.filter((name) => {
    const bit = keyUsageBits[name];
    return ((bytes[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0;
  });
}

const extendedKeyUsageNames = new Map<string, string>(
  Object.entries(extendedKeyUsageOids).map(([name, oid]) => [oid, name]),
);

/** Names of the known usages, dotted OIDs of the others. */
export function parseExtendedKeyUsage(valueDer: Uint8Array): string[] {
  const reader = readSequence(valueDer);
  if (reader.isAtEnd()) throw derMalformed('an empty extKeyUsage (RFC 5280 §4.2.1.12)');
  const usages: string[] = [];
  while (!reader.isAtEnd()) {
    const oid = reader.readOid();
    usages.push(extendedKeyUsageNames.get(oid) ?? oid);
  }
  return usages;
}

export function parseBasicConstraints(valueDer: Uint8Array): {
  readonly isCa: boolean;
  readonly pathLen?: number;
} {
  const reader = readSequence(valueDer);
  const isCa = reader.peekTag() === tags.boolean && reader.readBoolean();
  const pathLen = reader.isAtEnd() ? undefined : reader.readSmallInteger();
  reader.finish();
  return pathLen === undefined ? { isCa } : { isCa, pathLen };
}

export function parseAuthorityKeyIdentifier(valueDer: Uint8Array): Uint8Array | undefined {
  const reader = readSequence(valueDer);
  const keyId = reader.readOptional(contextTag(0));
  // authorityCertIssuer and serial may follow; nothing is concluded from them.
  while (!reader.isAtEnd()) reader.read();
  return keyId === undefined ? undefined : reader.content(keyId);
}

/** Every URI among the full names of a CRLDistributionPoints or FreshestCRL value. */
export function parseCrlDistributionPoints(valueDer: Uint8Array): string[] {
  const points = readSequence(valueDer);
  const uris: string[] = [];
  while (!points.isAtEnd()) {
    const point = points.enter();
    const name = point.enterOptional(contextConstructedTag(0));
    if (name !== undefined) uris.push(...parseDistributionPointName(name));
    while (!point.isAtEnd()) point.read();
  }
  return uris;
}

/** @param name a reader inside the `[0]` of a DistributionPointName */
export function parseDistributionPointName(name: DerReader): string[] {
  const uris: string[] = [];
  const fullName = name.enterOptional(contextConstructedTag(0));
  while (fullName?.isAtEnd() === false) {
    const general = fullName.read();
    if (general.tag === contextTag(6)) uris.push(decodeAscii(fullName.content(general)));
  }
  return uris;
}

export function parseAuthorityInfoAccess(valueDer: Uint8Array): {
  readonly ocsp: string[];
  readonly caIssuers: string[];
} {
  const reader = readSequence(valueDer);
  const found = { ocsp: [] as string[], caIssuers: [] as string[] };
  while (!reader.isAtEnd()) {
    const description = reader.enter();
    const method = description.readOid();
    const location = description.read();
    description.finish();
    if (location.tag !== contextTag(6)) continue;
    const uri = decodeAscii(description.content(location));
    if (method === oids.ocsp) found.ocsp.push(uri);
    if (method === oids.caIssuers) found.caIssuers.push(uri);
  }
  return found;
}
