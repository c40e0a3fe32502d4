// The rules a finished certificate must keep, checked on what its bytes say rather than on what was meant. A failed rule is a
// LINT_FAILED that names all rules broken.
import { KeylineError } from '@keyline/kernel';
import { equalBytes, oids, verifySignature, type ParsedCertificate } from '@keyline/x509';
import type { Profile } from './profile.ts';

/** One broken rule. */
export interface LintFinding {
  /** RFC and section. */
  readonly rule: string;
  readonly finding: string;
}

interface Rule<Context> {
  readonly rule: string;
  readonly finding: string;
  holds(certificate: ParsedCertificate, context: Context): boolean;
}

function isCritical(certificate: ParsedCertificate, oid: string): boolean | undefined {
  return certificate.extensions.find((extension) => extension.oid === oid)?.critical;
}

const emptyNameBytes = 2;
const hasSubject = (certificate: ParsedCertificate): boolean =>
  certificate.subjectDer.length > emptyNameBytes;

/** Host of an http URL if relying parties can use it: dotted or an address (a single label breaks RFC 5280 §4.2.1.6). */
function isPublishableUrl(url: string): boolean {
  const match =
    /^http:\/\/(?:(\[[0-9A-Fa-f:.]+\])|([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+))(?::\d{1,5})?(?:\/|$)/.exec(
      url,
    );
  return match !== null;
}

interface IssuerContext {
  /** Absent: the certificate is a root. */
  readonly issuer: ParsedCertificate | undefined;
}

const commonRules: readonly Rule<IssuerContext>[] = [
  {
    rule: 'RFC 5280 §4.1.2.2',
    finding: 'the serial is not positive, has fewer than 64 bits or more than 20 octets',
    holds: ({ serial }) => /^[0-9a-f]{16,40}$/.test(serial),
  },
  {
    rule: 'RFC 5280 §4.1.2.5',
    finding: 'it ends before it begins',
    holds: ({ notBefore, notAfter }) => notBefore < notAfter,
  },
  {
    rule: 'RFC 5280 §4.1.2.4',
    finding: "its issuer name is not the authority's subject byte for byte",
    holds: (certificate, { issuer }) =>
      equalBytes(certificate.issuerDer, (issuer ?? certificate).subjectDer),
  },
  {
    rule: 'RFC 5280 §4.2.1.1',
    finding: "its authority key identifier is not the authority's key identifier",
    holds: (certificate, { issuer }) => {
      const { authorityKeyId } = certificate;
      if (issuer === undefined) return authorityKeyId === undefined;
      const { subjectKeyId } = issuer;
      return (
        authorityKeyId !== undefined &&
        subjectKeyId !== undefined &&
        equalBytes(authorityKeyId, subjectKeyId)
      );
    },
  },
  {
    rule: 'RFC 5280 §4.2.1.2',
    finding: 'it has no subject key identifier',
    holds: ({ subjectKeyId }) => subjectKeyId !== undefined && subjectKeyId.length > 0,
  },
  {
    rule: 'RFC 5280 §4.2.1.3',
    finding: 'its key usage is absent, empty or not critical',
    holds: (certificate) =>
      isCritical(certificate, oids.keyUsage) === true && certificate.keyUsage.length > 0,
  },
  {
    rule: 'RFC 5280 §4.2.1.6, §4.2.1.13, §4.2.2.1',
    finding: 'a CRL, OCSP or issuer URL is not plain http with a dotted host name or an address',
    holds: ({ crlDistributionPoints, ocspUrls, caIssuersUrls }) =>
      [...crlDistributionPoints, ...ocspUrls, ...caIssuersUrls].every(isPublishableUrl),
  },
  {
    rule: 'Keyline',
    finding: 'it ends after the authority that signs it',
    holds: ({ notAfter }, { issuer }) => issuer === undefined || notAfter <= issuer.notAfter,
  },
];

const signingUsages: ReadonlySet<string> = new Set([
  'digitalSignature',
  'nonRepudiation',
  'keyCertSign',
  'cRLSign',
]);

const authorityRules: readonly Rule<IssuerContext>[] = [
  {
    rule: 'RFC 5280 §4.2.1.9',
    finding: "an authority's basicConstraints must be critical and say cA",
    holds: (certificate) =>
      certificate.isCa && isCritical(certificate, oids.basicConstraints) === true,
  },
  {
    rule: 'RFC 5280 §4.2.1.9',
    finding: 'its path length is not below the one of the authority that signs it',
    holds: ({ pathLen, subjectDer }, { issuer }) => {
      if (issuer?.pathLen === undefined) return true;
      // Self-issued (the old root by the new one): it takes no level of its own (§6.1.4 (l)).
      const most = equalBytes(subjectDer, issuer.subjectDer) ? issuer.pathLen : issuer.pathLen - 1;
      return pathLen !== undefined && pathLen <= most;
    },
  },
  {
    rule: 'RFC 5280 §4.2.1.3',
    finding: "an authority's key usage must be keyCertSign and cRLSign",
    holds: ({ keyUsage }) => keyUsage.includes('keyCertSign') && keyUsage.includes('cRLSign'),
  },
  {
    rule: 'RFC 8410 §5, RFC 9881 §5, Keyline',
    finding: "an authority's key only signs: no encipherment, no key agreement",
    holds: ({ keyUsage }) => keyUsage.every((usage) => signingUsages.has(usage)),
  },
  {
    rule: 'RFC 9608 §2',
    finding: 'noRevAvail is for leaves, not for authorities',
    holds: (certificate) => isCritical(certificate, oids.noRevAvail) === undefined,
  },
  {
    rule: 'RFC 5280 §4.2.1.10',
    finding: 'name constraints must be critical',
    holds: (certificate) => isCritical(certificate, oids.nameConstraints) !== false,
  },
  {
    rule: 'RFC 5280 §4.1.2.6',
    finding: 'an authority must have a subject',
    holds: hasSubject,
  },
];

const signatureRules: readonly Rule<IssuerContext>[] = [
  {
    rule: 'RFC 5280 §4.1.1.3',
    finding: "its signature does not verify with the authority's key",
    holds: (certificate, { issuer }) =>
      verifySignature({ ...certificate, spkiDer: (issuer ?? certificate).spkiDer }),
  },
];

/** Key usages that go with an extended one (RFC 5280 §4.2.1.12); others would make the certificate fit for nothing, or for too much. */
const consistentUsages: Readonly<Record<string, readonly string[]>> = {
  clientAuth: ['digitalSignature', 'keyAgreement'],
  serverAuth: ['digitalSignature', 'keyEncipherment', 'keyAgreement'],
  OCSPSigning: ['digitalSignature', 'nonRepudiation'],
};
const clientKinds: readonly string[] = ['device', 'service', 'operator', 'station'];

interface LeafContext extends IssuerContext {
  readonly profile: Profile;
}

const leafRules: readonly Rule<LeafContext>[] = [
  {
    rule: 'RFC 5280 §4.2.1.9',
    finding: 'a leaf must not be an authority (basicConstraints, keyCertSign, cRLSign)',
    holds: ({ isCa, pathLen, keyUsage }) =>
      !isCa &&
      pathLen === undefined &&
      !keyUsage.includes('keyCertSign') &&
      !keyUsage.includes('cRLSign'),
  },
  {
    rule: 'RFC 5280 §4.2.1.6',
    finding: 'subjectAltName must be critical when, and only when, the subject is empty',
    holds: (certificate) => {
      const critical = isCritical(certificate, oids.subjectAltName);
      return hasSubject(certificate) ? critical !== true : critical === true;
    },
  },
  {
    rule: 'RFC 5280 §4.2.1.12',
    finding: 'it has no extended key usage, or a critical one',
    holds: (certificate) => isCritical(certificate, oids.extKeyUsage) === false,
  },
  {
    rule: 'RFC 5280 §4.2.1.12',
    finding:
      'a device certificate is for clientAuth and digitalSignature only, with its identity in subjectAltName (URI or DNS)',
    holds: (certificate, { profile }) =>
      profile.kind !== 'device' ||
      (certificate.extendedKeyUsage.join() === 'clientAuth' &&
        certificate.keyUsage.join() === 'digitalSignature' &&
        certificate.sanDns.length + certificate.sanUri.length > 0),
  },
  {
    rule: 'RFC 5280 §4.2.1.12',
    finding: 'a certificate of a service, an operator or a station is for clientAuth only',
    holds: ({ extendedKeyUsage }, { profile }) =>
      !clientKinds.includes(profile.kind) || extendedKeyUsage.join() === 'clientAuth',
  },
  {
    rule: 'RFC 5280 §4.2.1.12',
    finding: 'its key usage does not go with its extended key usage',
    holds: ({ keyUsage, extendedKeyUsage }) =>
      extendedKeyUsage.every((extended) =>
        keyUsage.every((usage) => consistentUsages[extended]?.includes(usage) ?? true),
      ),
  },
  {
    rule: 'RFC 5280 §4.2.1.10',
    finding: 'name constraints are for authorities',
    holds: (certificate) => isCritical(certificate, oids.nameConstraints) === undefined,
  },
  {
    rule: 'RFC 9525 §2',
    finding: 'a server certificate needs serverAuth and a DNS name or IP address in subjectAltName',
    holds: ({ extendedKeyUsage, sanDns, sanIp }, { profile }) =>
      profile.kind !== 'server' ||
      (extendedKeyUsage.includes('serverAuth') && sanDns.length + sanIp.length > 0),
  },
  {
    rule: 'RFC 6960 §4.2.2.2',
    finding: 'OCSPSigning stands alone, in OCSP responder certificates and nowhere else',
    holds: ({ extendedKeyUsage }, { profile }) =>
      profile.kind === 'ocsp'
        ? extendedKeyUsage.join() === 'OCSPSigning'
        : !extendedKeyUsage.includes('OCSPSigning'),
  },
  {
    rule: 'RFC 6960 §4.2.2.2.1',
    finding: 'id-pkix-ocsp-nocheck belongs to OCSP responder certificates and nowhere else',
    holds: (certificate, { profile }) =>
      (isCritical(certificate, oids.ocspNoCheck) !== undefined) === (profile.kind === 'ocsp'),
  },
  {
    rule: 'RFC 9608 §2, §3',
    finding:
      'noRevAvail excludes CRL distribution points, a freshest CRL and an OCSP URL, and is not critical',
    holds: (certificate) => {
      const critical = isCritical(certificate, oids.noRevAvail);
      if (critical === undefined) return true;
      const excluded = [oids.cRLDistributionPoints, oids.freshestCRL];
      return (
        !critical &&
        certificate.ocspUrls.length === 0 &&
        excluded.every((oid) => isCritical(certificate, oid) === undefined)
      );
    },
  },
  {
    rule: 'RFC 9608 §1',
    finding: 'noRevAvail is for certificates that live at most 7 days',
    holds: (certificate) =>
      isCritical(certificate, oids.noRevAvail) === undefined ||
      certificate.notAfter - certificate.notBefore <= (7 * 24 + 1) * 3_600_000,
  },
  {
    rule: 'RFC 8813 §3, RFC 8410 §5, RFC 9881 §5',
    finding: 'keyEncipherment is for RSA keys only, and the profile allows others',
    holds: ({ keyUsage }, { profile }) =>
      !keyUsage.includes('keyEncipherment') ||
      profile.keyAlgorithms.every((algorithm) => algorithm.startsWith('rsa-')),
  },
  {
    rule: 'RFC 8410 §5, RFC 9881 §5',
    finding: 'keyAgreement is for EC keys only, and the profile allows others',
    holds: ({ keyUsage }, { profile }) =>
      !keyUsage.includes('keyAgreement') ||
      profile.keyAlgorithms.every((algorithm) => algorithm.startsWith('ec-')),
  },
];

function findBroken<Context>(
  rules: readonly Rule<Context>[],
  certificate: ParsedCertificate,
  context: Context,
): LintFinding[] {
  return rules
    .filter((rule) => !rule.holds(certificate, context))
    .map(({ rule, finding }) => ({ rule, finding }));
}

/** Rules for roots (no issuer) and issuing authorities; the signature is not looked at, so that none is made of what breaks one. */
export function lintAuthority(
  certificate: ParsedCertificate,
  issuer?: ParsedCertificate,
): LintFinding[] {
  const context = { issuer };
  return [
    ...findBroken(commonRules, certificate, context),
    ...findBroken(authorityRules, certificate, context),
  ];
}

/** Rules for leaves; the signature is not looked at, so that a template can be linted before anything is signed. */
export function lintLeaf(
  certificate: ParsedCertificate,
  context: { readonly issuer: ParsedCertificate; readonly profile: Profile },
): LintFinding[] {
  return [
    ...findBroken(commonRules, certificate, context),
    ...findBroken(leafRules, certificate, context),
  ];
}

function assertNone(what: string, findings: readonly LintFinding[]): void {
  if (findings.length === 0) return;
  const list = findings.map(({ rule, finding }) => `${finding} (${rule})`).join('; ');
  throw new KeylineError(
    'LINT_FAILED',
    `${what} breaks a rule: ${list}. Nothing was signed with it.`,
  );
}

const nameOf = ({ commonName }: ParsedCertificate): string =>
  `The authority certificate "${commonName ?? 'without a CN'}"`;

/** @throws {KeylineError} LINT_FAILED */
export function assertAuthorityRules(
  certificate: ParsedCertificate,
  issuer?: ParsedCertificate,
): void {
  assertNone(nameOf(certificate), lintAuthority(certificate, issuer));
}

/** @throws {KeylineError} LINT_FAILED */
export function assertAuthoritySignature(
  certificate: ParsedCertificate,
  issuer?: ParsedCertificate,
): void {
  assertNone(nameOf(certificate), findBroken(signatureRules, certificate, { issuer }));
}

/** @throws {KeylineError} LINT_FAILED */
export function assertLeafRules(
  certificate: ParsedCertificate,
  context: { readonly issuer: ParsedCertificate; readonly profile: Profile },
): void {
  assertNone(`The profile "${context.profile.name}"`, lintLeaf(certificate, context));
}
