// Revocation status from CRLs (RFC 5280 §6.3): which of them speak of a certificate, and what they say together with their deltas.
import {
  equalBytes,
  isSameName,
  issuerPointName,
  oids,
  parseCertificate,
  parseCrl,
  parseDistributionPoints,
  verifySignature,
  type ParsedCertificate,
  type ParsedCrl,
  type ParsedCrlEntry,
} from '@keyline/x509';
import { revocationReasons, type CertificateStatus, type RevocationReason } from './ports.ts';
import { verifyChain, type StatusOf } from './verify-chain.ts';

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

/** Other certificates of one CRL issuer that are looked at, for a bound: each costs signature checks. */
const maxSigners = 8;

/**
 * A status source for `verifyChain`. "unknown" when no complete CRL that is valid at `now` speaks of the certificate: a CRL past its end,
 * of another scope, another distribution point or another trust anchor says nothing. Where several speak of it, one that says revoked is
 * believed.
 * @param options.crls complete ones and deltas of any authorities, DER
 * @throws {KeylineError} DER_MALFORMED
 */
export function createCrlStatusSource(options: {
  readonly crls: readonly Uint8Array[];
  /**
   * Certificates that authorities have beside the ones in the paths: an authority may sign its CRLs with another key than its certificates,
   * before and after it changed keys for instance. Untrusted: each must lead to the trust anchor of the path it is used for.
   */
  readonly signers?: readonly (Uint8Array | ParsedCertificate)[] | undefined;
  /** Epoch milliseconds. */
  readonly now: number;
}): StatusOf {
  const { now } = options;
  const lists = options.crls.map((crlDer): List => {
    const crl = parseCrl(crlDer);
    return {
      crl,
      entries: new Map(crl.entries.map((entry) => [entry.serial, entry])),
      checked: new Map(),
    };
  });
  const signers = (options.signers ?? []).map((one) =>
    one instanceof Uint8Array ? parseCertificate(one) : one,
  );
  /** Those being judged: whether a signer was revoked may not hang on a CRL of its own. */
  const judging = new Set<ParsedCertificate>();

  function leadsTo(signer: ParsedCertificate, anchor: ParsedCertificate): boolean {
    if (judging.has(signer)) return false;
    judging.add(signer);
    try {
      const question = { leafDer: signer.der, intermediates: signers, roots: [anchor], now };
      return verifyChain({ ...question, statusOf }).status === 'valid';
    } finally {
      judging.delete(signer);
    }
  }

  /** The issuer, and what else has its name and may sign CRLs for it. */
  function signersFor(issuer: ParsedCertificate, anchor: ParsedCertificate): ParsedCertificate[] {
    const others = signers.filter(
      (one) =>
        one.spkiSha256 !== issuer.spkiSha256 &&
        // Stricter than §6.3.3 (f), which lets anybody of that name sign whose certificate has no key usage at all.
        one.keyUsage.includes('cRLSign') &&
        isSameName(one.subjectDer, issuer.subjectDer),
    );
    return [issuer, ...others.slice(0, maxSigners).filter((one) => leadsTo(one, anchor))];
  }

  const statusOf: StatusOf = (certificate, issuer, anchor) => {
    const names = pointNamesOf(certificate);
    const usable = lists.filter(({ crl }) => speaksOf(crl, certificate, names, now));
    if (usable.length === 0) return { status: 'unknown' };
    const answers: CertificateStatus[] = [];
    for (const signer of signersFor(issuer, anchor)) {
      const signed = usable.filter((list) => isSignedBy(list, signer));
      for (const scope of groupByScope(signed)) answers.push(...answerOf(scope, certificate));
    }
    return (
      answers.find(({ status }) => status === 'revoked') ?? answers[0] ?? { status: 'unknown' }
    );
  };
  return statusOf;
}

/** What the newest complete CRL of one scope says together with its delta; nothing without one. */
function answerOf(lists: readonly List[], { serial }: ParsedCertificate): CertificateStatus[] {
  const complete = latest(lists.filter(({ crl }) => !crl.isDelta));
  if (complete === undefined) return [];
  const delta = latest(lists.filter(({ crl }) => isDeltaTo(crl, complete.crl)));
  return [toStatus(delta?.entries.get(serial) ?? complete.entries.get(serial))];
}

function toStatus(entry: ParsedCrlEntry | undefined): CertificateStatus {
  if (entry === undefined || entry.reason === 'removeFromCRL') return { status: 'good' };
  const reason: RevocationReason =
    revocationReasons.find((known) => known === entry.reason) ?? 'unspecified';
  return { status: 'revoked', revokedAt: entry.revokedAt, reason };
}

/** By number; the later one of those that have none. */
function latest(lists: readonly List[]): List | undefined {
  let found: List | undefined;
  for (const list of lists) {
    const isNewer =
      found === undefined ||
      list.crl.number > found.crl.number ||
      (list.crl.number === found.crl.number && list.crl.thisUpdate > found.crl.thisUpdate);
    if (isNewer) found = list;
  }
  return found;
}

/** Numbers are comparable within a scope alone (§5.2.3), and a delta belongs to the complete CRL of its own (§6.3.3 (c)). */
function groupByScope(lists: readonly List[]): Iterable<readonly List[]> {
  const groups = new Map<string, List[]>();
  for (const list of lists) {
    const key = JSON.stringify([list.crl.scope, list.crl.pointNames]);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [list]);
    else group.push(list);
  }
  return groups.values();
}

/**
 * Names that a CRL's distribution point may have to speak of the certificate: those it carries, but not of points for some reasons or of
 * other issuers' CRLs, and its issuer's own name (§6.3.3, last paragraph).
 */
function pointNamesOf({ extensions, issuerDer }: ParsedCertificate): ReadonlySet<string> {
  const extension = extensions.find(({ oid }) => oid === oids.cRLDistributionPoints);
  const points =
    extension === undefined ? [] : parseDistributionPoints(extension.valueDer, issuerDer);
  const names = points.flatMap((point) => (point.isPartial ? [] : point.names));
  return new Set([...names, issuerPointName(issuerDer)]);
}

/** §6.3.3 (a) to (e), for direct CRLs for all reasons; who signed it is looked at apart. */
function speaksOf(
  crl: ParsedCrl,
  certificate: ParsedCertificate,
  names: ReadonlySet<string>,
  now: number,
): boolean {
  const { scope, pointNames } = crl;
  return (
    crl.thisUpdate <= now &&
    now <= crl.nextUpdate &&
    (scope === undefined || scope === 'all' || scope === (certificate.isCa ? 'ca' : 'user')) &&
    (pointNames === undefined || pointNames.some((name) => names.has(name))) &&
    crl.extensions.every(({ oid, critical }) => !critical || processedExtensions.has(oid)) &&
    isSameName(crl.issuerDer, certificate.issuerDer)
  );
}

function isSignedBy({ crl, checked }: List, signer: ParsedCertificate): boolean {
  const mayNot =
    signer.extensions.some(({ oid }) => oid === oids.keyUsage) &&
    !signer.keyUsage.includes('cRLSign');
  if (mayNot || !isSameName(crl.issuerDer, signer.subjectDer)) return false;
  const known = checked.get(signer.spkiSha256);
  if (known !== undefined) return known;
  const isRight = verifySignature({ ...crl, spkiDer: signer.spkiDer });
  checked.set(signer.spkiSha256, isRight);
  return isRight;
}

/** §5.2.4, §6.3.3 (c): same key, not older than its base and newer than the complete CRL; issuer and scope are the group's. */
function isDeltaTo(delta: ParsedCrl, complete: ParsedCrl): boolean {
  return (
    delta.baseNumber !== undefined &&
    delta.baseNumber <= complete.number &&
    delta.number > complete.number &&
    equalKeyIds(delta.authorityKeyId, complete.authorityKeyId)
  );
}

function equalKeyIds(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : equalBytes(a, b);
}
