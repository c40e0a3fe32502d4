// The rules of RFC 5280 §6.1 for one certificate, for an authority in its place, and for the names of a whole path. Each answers with
// a sentence when it is broken.
import {
  isSameName,
  oids,
  parseCertificatePolicies,
  type Extension,
  type ParsedCertificate,
} from '@keyline/x509';
import { findNameFault, nameConstraintsOf } from './name-constraints.ts';
import type { ExtendedKeyUsage } from './profile.ts';

/** Leaf first. */
export type Path = readonly ParsedCertificate[];

const processedExtensions: ReadonlySet<string> = new Set([
  oids.subjectKeyIdentifier,
  oids.authorityKeyIdentifier,
  oids.keyUsage,
  oids.subjectAltName,
  oids.basicConstraints,
  oids.extKeyUsage,
  oids.nameConstraints,
  oids.certificatePolicies,
  oids.cRLDistributionPoints,
  oids.authorityInfoAccess,
]);
const anyExtendedKeyUsage = '2.5.29.37.0';

export function nameOf({ commonName, serial }: ParsedCertificate): string {
  return commonName === undefined ? `serial ${serial}` : commonName.slice(0, 80);
}

/** What every certificate of a path must keep. @throws {KeylineError} DER_MALFORMED */
export function findCertificateFault(
  certificate: ParsedCertificate,
  now: number,
): string | undefined {
  const name = nameOf(certificate);
  if (now < certificate.notBefore) return `"${name}" is not valid yet (RFC 5280 §6.1.3 (a)(2)).`;
  if (now > certificate.notAfter) return `"${name}" has expired (RFC 5280 §6.1.3 (a)(2)).`;
  // Among them what demands policies (policyConstraints, inhibitAnyPolicy), which must be critical (§4.2.1.11, §4.2.1.14): no policy is
  // asked for here, so certificatePolicies alone can't make a path invalid.
  const unknown = certificate.extensions.find(
    ({ oid, critical }) => critical && !processedExtensions.has(oid),
  );
  if (unknown !== undefined) {
    return `"${name}" has the critical extension ${unknown.oid}, which is not processed here (RFC 5280 §4.2).`;
  }
  if (!certificate.isCa && certificate.extensions.some(isCriticalConstraint)) {
    return `"${name}" is no authority, and yet has name constraints (RFC 5280 §4.2.1.10).`;
  }
  const policies = certificate.extensions.find(({ oid }) => oid === oids.certificatePolicies);
  if (
    policies?.critical === true &&
    parseCertificatePolicies(policies.valueDer).hasUnknownQualifier
  ) {
    return `"${name}" has critical policies with a qualifier that is not processed here (RFC 5280 §4.2.1.4).`;
  }
  return undefined;
}

function isCriticalConstraint({ oid, critical }: Extension): boolean {
  return critical && oid === oids.nameConstraints;
}

/** Every authority's extended key usage bounds those below (the chaining that TLS stacks do), where it has one. */
export function findUsageFault(
  certificate: ParsedCertificate,
  requiredEku: ExtendedKeyUsage | undefined,
): string | undefined {
  if (requiredEku === undefined) return undefined;
  const usages = certificate.extendedKeyUsage;
  // Answering for an authority is delegated by the authority itself, expressly (RFC 6960 §4.2.2.2): neither "any" nor the bounds above speak of it.
  const isOcsp = requiredEku === 'OCSPSigning';
  const accepted =
    usages.includes(requiredEku) ||
    (isOcsp ? certificate.isCa : usages.length === 0 || usages.includes(anyExtendedKeyUsage));
  if (accepted) return undefined;
  return `"${nameOf(certificate)}" is not meant for ${requiredEku} (RFC 5280 §4.2.1.12).`;
}

export function findLeafFault(
  leaf: ParsedCertificate,
  requiredEku: ExtendedKeyUsage | undefined,
): string | undefined {
  if (
    requiredEku !== undefined &&
    leaf.keyUsage.length > 0 &&
    !leaf.keyUsage.includes('digitalSignature')
  ) {
    return `"${nameOf(leaf)}" is not meant for signing (RFC 5280 §4.2.1.3, §4.2.1.12).`;
  }
  return undefined;
}

/** @param path from the leaf to the certificate that this issuer is said to have signed */
export function findIssuerFault(issuer: ParsedCertificate, path: Path): string | undefined {
  const name = nameOf(issuer);
  if (!issuer.isCa) return `"${name}" is not an authority (RFC 5280 §6.1.4 (k)).`;
  const hasKeyUsage = issuer.extensions.some(({ oid }) => oid === oids.keyUsage);
  if (hasKeyUsage && !issuer.keyUsage.includes('keyCertSign')) {
    return `"${name}" may not sign certificates (RFC 5280 §6.1.4 (n)).`;
  }
  // Authorities between this one and the leaf, without self-issued ones (§6.1.4 (l), (m)).
  const below = path.slice(1).filter((one) => !isSelfIssued(one)).length;
  if (issuer.pathLen !== undefined && below > issuer.pathLen) {
    return `"${name}" allows ${String(issuer.pathLen)} authorities below it, there are ${String(below)} (RFC 5280 §4.2.1.9).`;
  }
  return undefined;
}

/** Name constraints of all authorities of the path, the trust anchor's too (RFC 5937). @throws {KeylineError} DER_MALFORMED */
export function findPathNameFault(path: Path): string | undefined {
  for (const [position, authority] of path.entries()) {
    const constraints = position === 0 ? undefined : nameConstraintsOf(authority);
    if (constraints === undefined) continue;
    for (const [below, certificate] of path.slice(0, position).entries()) {
      // §6.1.3 (b): self-issued authorities are exempt, the leaf never is.
      if (below > 0 && isSelfIssued(certificate)) continue;
      const fault = findNameFault(certificate, constraints);
      if (fault !== undefined) {
        return `"${nameOf(certificate)}" is outside the name constraints of "${nameOf(authority)}": ${fault} (RFC 5280 §6.1.3 (b), (c)).`;
      }
    }
  }
  return undefined;
}

function isSelfIssued({ issuerDer, subjectDer }: ParsedCertificate): boolean {
  return isSameName(issuerDer, subjectDer);
}
