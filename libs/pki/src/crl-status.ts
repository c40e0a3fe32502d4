// Revocation status from CRLs (RFC 5280 §6.3): which of them speak of a certificate, and what they say together with their deltas.
import {
  equalBytes,
  oids,
  parseCrl,
  verifySignature,
  type ParsedCertificate,
  type ParsedCrl,
  type ParsedCrlEntry,
} from '@keyline/x509';
import { revocationReasons, type CertificateStatus, type RevocationReason } from './ports.ts';
import type { StatusOf } from './verify-chain.ts';

interface List {
  readonly crl: ParsedCrl;
  readonly entries: ReadonlyMap<string, ParsedCrlEntry>;
  /** By the SHA-256 of the key that its signature was checked with. */
  readonly checked: Map<string, boolean>;
}

const processedExtensions: ReadonlySet<string> = new Set([
  oids.authorityKeyIdentifier,
  oids.cRLNumber,
  oids.issuingDistributionPoint,
  oids.deltaCRLIndicator,
]);

/**
 * A status source for `verifyChain`. "unknown" when no complete CRL that is valid at `now` speaks of the certificate: a CRL past its end,
 * of another scope or another shard says nothing.
 * @param options.crls complete ones and deltas of any authorities, DER
 * @throws {KeylineError} DER_MALFORMED
 */
export function createCrlStatusSource(options: {
  readonly crls: readonly Uint8Array[];
  /** Epoch milliseconds. */
  readonly now: number;
}): StatusOf {
  const lists = options.crls.map((crlDer): List => {
    const crl = parseCrl(crlDer);
    return {
      crl,
      entries: new Map(crl.entries.map((entry) => [entry.serial, entry])),
      checked: new Map(),
    };
  });
  return (certificate, issuer) => {
    const usable = lists.filter((list) => speaksOf(list, certificate, issuer, options.now));
    const complete = latest(usable.filter(({ crl }) => !crl.isDelta));
    if (complete === undefined) return { status: 'unknown' };
    const delta = latest(usable.filter(({ crl }) => isDeltaTo(crl, complete.crl)));
    const entry =
      delta?.entries.get(certificate.serial) ?? complete.entries.get(certificate.serial);
    return toStatus(entry);
  };
}

function toStatus(entry: ParsedCrlEntry | undefined): CertificateStatus {
  if (entry === undefined || entry.reason === 'removeFromCRL') return { status: 'good' };
  const reason: RevocationReason =
    revocationReasons.find((known) => known === entry.reason) ?? 'unspecified';
  return { status: 'revoked', revokedAt: entry.revokedAt, reason };
}

function latest(lists: readonly List[]): List | undefined {
  let found: List | undefined;
  for (const list of lists) {
    if (found === undefined || list.crl.number > found.crl.number) found = list;
  }
  return found;
}

/** §6.3.3 (a) to (g), for the CRLs that Keyline and its like write: direct ones, for all reasons. */
function speaksOf(
  list: List,
  certificate: ParsedCertificate,
  issuer: ParsedCertificate,
  now: number,
): boolean {
  const { crl } = list;
  const { scope, distributionPoints } = crl;
  return (
    equalBytes(crl.issuerDer, certificate.issuerDer) &&
    crl.thisUpdate <= now &&
    now <= crl.nextUpdate &&
    (scope === undefined || scope === 'all' || scope === (certificate.isCa ? 'ca' : 'user')) &&
    (distributionPoints.length === 0 ||
      distributionPoints.some((uri) => certificate.crlDistributionPoints.includes(uri))) &&
    crl.extensions.every(({ oid, critical }) => !critical || processedExtensions.has(oid)) &&
    isIssuedBy(list, issuer)
  );
}

function isIssuedBy({ crl, checked }: List, issuer: ParsedCertificate): boolean {
  const mayNot =
    issuer.extensions.some(({ oid }) => oid === oids.keyUsage) &&
    !issuer.keyUsage.includes('cRLSign');
  if (mayNot || !equalBytes(crl.issuerDer, issuer.subjectDer)) return false;
  const known = checked.get(issuer.spkiSha256);
  if (known !== undefined) return known;
  const isRight = verifySignature({ ...crl, spkiDer: issuer.spkiDer });
  checked.set(issuer.spkiSha256, isRight);
  return isRight;
}

/** §5.2.4, §6.3.3 (c): same issuer, key and scope, not older than its base and newer than the complete CRL. */
function isDeltaTo(delta: ParsedCrl, complete: ParsedCrl): boolean {
  return (
    delta.baseNumber !== undefined &&
    delta.baseNumber <= complete.number &&
    delta.number > complete.number &&
    delta.scope === complete.scope &&
    delta.distributionPoints.join('\n') === complete.distributionPoints.join('\n') &&
    equalKeyIds(delta.authorityKeyId, complete.authorityKeyId)
  );
}

function equalKeyIds(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
