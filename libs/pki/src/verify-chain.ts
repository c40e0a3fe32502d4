// Path validation of our own (RFC 5280 §6.1), for certificates that are presented to Keyline: a search for a path from the leaf to a
// trust anchor, among any number of authorities, roots and cross-certificates. The rules themselves are in path-rules.ts.
import { isKeylineError } from '@keyline/kernel';
import {
  equalBytes,
  isSameName,
  oids,
  parseCertificate,
  verifySignature,
  type ParsedCertificate,
} from '@keyline/x509';
import {
  findCertificateFault,
  findIssuerFault,
  findLeafFault,
  findPathNameFault,
  findUsageFault,
  nameOf,
  type Path,
} from './path-rules.ts';
import type { CertificateStatus } from './ports.ts';
import type { ExtendedKeyUsage } from './profile.ts';

export interface ChainQuestion {
  readonly leafDer: Uint8Array;
  /** Untrusted, in any order. Given parsed, signatures among them and the roots are checked once and not again. */
  readonly intermediates: readonly (Uint8Array | ParsedCertificate)[];
  /** Trust anchors: roots, or authorities of another PKI that are trusted themselves. */
  readonly roots: readonly (Uint8Array | ParsedCertificate)[];
  /** Epoch milliseconds. */
  readonly now: number;
  readonly requiredEku?: ExtendedKeyUsage | undefined;
  /** Asked of every certificate of a path but its trust anchor. Absent: revocation is not looked at. */
  readonly statusOf?: StatusOf | undefined;
}

/**
 * Revocation status of a certificate that this issuer signed; everything but `good` makes the path invalid. `anchor`: the end of the path,
 * which whoever signed the status must lead to as well (RFC 5280 §6.3.3 (f)).
 */
export type StatusOf = (
  certificate: ParsedCertificate,
  issuer: ParsedCertificate,
  anchor: ParsedCertificate,
) => CertificateStatus;

/**
 * `path`: leaf first, trust anchor last. `reason`: a sentence with the section that was broken; `fault`: whether a path was found at all,
 * and what its certificates' status was then.
 */
export type ChainVerdict =
  | { readonly status: 'valid'; readonly path: Path }
  | {
      readonly status: 'invalid';
      readonly reason: string;
      readonly fault: 'path' | 'revoked' | 'status-unknown';
    };

type Invalid = Extract<ChainVerdict, { readonly status: 'invalid' }>;

const maxIntermediates = 16;
const maxPathCertificates = 8;
// Each costs a signature check; a crafted bundle must not buy thousands.
const maxSteps = 64;

/** Never throws for what the certificates contain: bytes that can't be read are an invalid chain. */
export function verifyChain(question: ChainQuestion): ChainVerdict {
  return guard(() => {
    const { statusOf } = question;
    const search = new PathSearch(question);
    let refused: Invalid | undefined;
    for (const path of search.paths()) {
      const fault = statusOf && firstOf(linksOf(path), (link) => judge(link[0], statusOf(...link)));
      if (fault === undefined) return { status: 'valid', path };
      refused ??= fault;
    }
    return refused ?? search.failure();
  });
}

function invalid(reason: string, fault: Invalid['fault'] = 'path'): Invalid {
  return { status: 'invalid', reason, fault };
}

function guard(work: () => ChainVerdict): ChainVerdict {
  try {
    return work();
  } catch (error) {
    if (!isKeylineError(error) || error.code !== 'DER_MALFORMED') throw error;
    return invalid(`A certificate can't be read. ${error.detail}`);
  }
}

function firstOf<Item, Found>(
  items: readonly Item[],
  find: (item: Item) => Found | undefined,
): Found | undefined {
  for (const item of items) {
    const found = find(item);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Certificates whose status matters, each with its issuer, from the trust anchor's side. */
function linksOf(path: Path): Parameters<StatusOf>[] {
  const links: Parameters<StatusOf>[] = [];
  const anchor = path[path.length - 1];
  for (let i = path.length - 2; i >= 0; i--) {
    const [certificate, issuer] = [path[i], path[i + 1]];
    if (certificate && issuer && anchor && !isExempt(certificate)) {
      links.push([certificate, issuer, anchor]);
    }
  }
  return links;
}

/** noRevAvail (RFC 9608 §4) and ocsp-nocheck (RFC 6960 §4.2.2.2.1): the authority says that there is no status to ask for. */
function isExempt({ isCa, extensions, extendedKeyUsage }: ParsedCertificate): boolean {
  const has = (wanted: string): boolean => extensions.some(({ oid }) => oid === wanted);
  if (isCa) return false;
  return (
    has(oids.noRevAvail) || (has(oids.ocspNoCheck) && extendedKeyUsage.includes('OCSPSigning'))
  );
}

function judge(certificate: ParsedCertificate, status: CertificateStatus): Invalid | undefined {
  switch (status.status) {
    case 'good':
      return undefined;
    case 'revoked':
      return invalid(
        `"${nameOf(certificate)}" was revoked (${status.reason}) (RFC 5280 §6.1.3 (a)(3)).`,
        'revoked',
      );
    case 'unknown':
      return invalid(
        `Whether "${nameOf(certificate)}" was revoked is not known, which is not good enough (RFC 5280 §6.1.3 (a)(3), §6.3.3).`,
        'status-unknown',
      );
  }
}

/** Signatures found right, of certificates that live on between questions. */
const verified = new WeakMap<ParsedCertificate, WeakSet<ParsedCertificate>>();

function isSignedBy(subject: ParsedCertificate, issuer: ParsedCertificate): boolean {
  const issuers = verified.get(subject);
  if (issuers?.has(issuer) === true) return true;
  if (!verifySignature({ ...subject, spkiDer: issuer.spkiDer })) return false;
  if (issuers === undefined) verified.set(subject, new WeakSet([issuer]));
  else issuers.add(issuer);
  return true;
}

function parsed(certificate: Uint8Array | ParsedCertificate): ParsedCertificate {
  return certificate instanceof Uint8Array ? parseCertificate(certificate) : certificate;
}

class PathSearch {
  readonly #question: ChainQuestion;
  readonly #roots: readonly ParsedCertificate[];
  readonly #issuers: readonly ParsedCertificate[];
  #stepsLeft = maxSteps;
  /** Of the path that got furthest. */
  #reason = { depth: -1, text: 'There is no path.' };

  constructor(question: ChainQuestion) {
    this.#question = question;
    this.#roots = question.roots.map(parsed);
    this.#issuers =
      question.intermediates.length > maxIntermediates
        ? []
        : [...this.#roots, ...question.intermediates.map(parsed)];
  }

  failure(): Invalid {
    return invalid(this.#reason.text);
  }

  /** Every path that keeps the rules, revocation aside; the shortest ones tend to come first. */
  *paths(): Generator<Path> {
    if (this.#question.intermediates.length > maxIntermediates) {
      this.#fail([], `More than ${String(maxIntermediates)} intermediates were sent.`);
      return;
    }
    const { now, requiredEku, leafDer } = this.#question;
    const leaf = parseCertificate(leafDer);
    const fault =
      findCertificateFault(leaf, now) ??
      findUsageFault(leaf, requiredEku) ??
      findLeafFault(leaf, requiredEku);
    if (fault !== undefined) this.#fail([leaf], fault);
    else if (this.#roots.some((root) => equalBytes(root.der, leaf.der))) yield [leaf];
    else yield* this.#extend([leaf]);
  }

  /** Depth first from the last certificate of the path towards a root. */
  *#extend(path: Path): Generator<Path> {
    const last = path[path.length - 1];
    if (last === undefined) return;
    if (path.length >= maxPathCertificates) {
      this.#fail(path, `The chain is longer than ${String(maxPathCertificates)} certificates.`);
      return;
    }
    this.#fail(path, `No authority was found that issued "${nameOf(last)}" (RFC 5280 §6.1.3).`);
    for (const issuer of this.#candidates(last)) {
      // One name and key once in a path, whoever certified it: cross-certificates make circles (RFC 4158 §2.4.2).
      if (path.some((one) => isSameAuthority(one, issuer))) continue;
      const isRoot = this.#roots.includes(issuer);
      const longer = [...path, issuer];
      const fault = this.#faultOfStep(issuer, path, isRoot);
      if (fault !== undefined) this.#fail(longer, fault);
      else if (isRoot) yield longer;
      else yield* this.#extend(longer);
    }
  }

  /** By name (§7.1); those whose key identifier is the one asked for come first (RFC 4158 §3.5.12). */
  #candidates({ issuerDer, authorityKeyId }: ParsedCertificate): ParsedCertificate[] {
    const named = this.#issuers.filter(({ subjectDer }) => isSameName(subjectDer, issuerDer));
    if (authorityKeyId === undefined || named.length < 2) return named;
    const fits = ({ subjectKeyId }: ParsedCertificate): number =>
      subjectKeyId !== undefined && equalBytes(subjectKeyId, authorityKeyId) ? 0 : 1;
    return named.sort((a, b) => fits(a) - fits(b));
  }

  #faultOfStep(issuer: ParsedCertificate, path: Path, isRoot: boolean): string | undefined {
    const subject = path[path.length - 1];
    const fault =
      findCertificateFault(issuer, this.#question.now) ??
      findUsageFault(issuer, this.#question.requiredEku) ??
      findIssuerFault(issuer, path);
    if (fault !== undefined) return fault;
    if (subject === undefined || this.#stepsLeft-- <= 0) {
      return 'The chain takes too many signature checks.';
    }
    if (!isSignedBy(subject, issuer)) {
      return `The signature of "${nameOf(subject)}" is not by "${nameOf(issuer)}" (RFC 5280 §6.1.3 (a)(1)).`;
    }
    if (!isRoot) return undefined;
    // Not asked for by §6.1.1 (d). But a root whose own signature is wrong was damaged on its way here; and a trust anchor that is no root
    // (an authority of somebody else's PKI, pinned) says whose key certified it (§4.2.1.1), which a damaged root does not.
    const isDamaged = isSameName(issuer.issuerDer, issuer.subjectDer)
      ? !isSignedBy(issuer, issuer)
      : issuer.authorityKeyId === undefined;
    if (isDamaged) {
      return `The root "${nameOf(issuer)}" does not verify with its own key.`;
    }
    return findPathNameFault([...path, issuer]);
  }

  #fail(path: Path, text: string): void {
    if (path.length > this.#reason.depth) this.#reason = { depth: path.length, text };
  }
}

function isSameAuthority(a: ParsedCertificate, b: ParsedCertificate): boolean {
  return isSameName(a.subjectDer, b.subjectDer) && equalBytes(a.spkiDer, b.spkiDer);
}
