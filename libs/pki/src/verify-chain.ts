// Path validation of our own (RFC 5280 §6.1), for certificates that are presented to Keyline. Revocation is asked elsewhere; name
// constraints and policies are not processed, so a certificate that makes them critical is refused.
import { isKeylineError } from '@keyline/kernel';
import {
  equalBytes,
  oids,
  parseCertificate,
  verifySignature,
  type ParsedCertificate,
} from '@keyline/x509';
import type { ExtendedKeyUsage } from './profile.ts';

export interface ChainQuestion {
  readonly leafDer: Uint8Array;
  /** Untrusted, in any order. */
  readonly intermediates: readonly Uint8Array[];
  /** Trust anchors. */
  readonly roots: readonly Uint8Array[];
  /** Epoch milliseconds. */
  readonly now: number;
  readonly requiredEku?: ExtendedKeyUsage | undefined;
}

/** `path`: leaf first, trust anchor last. `reason`: a sentence with the section that was broken. */
export type ChainVerdict =
  | { readonly status: 'valid'; readonly path: readonly ParsedCertificate[] }
  | { readonly status: 'invalid'; readonly reason: string };

const maxIntermediates = 16;
const maxPathCertificates = 8;
// Each costs a signature check; a crafted bundle must not buy thousands.
const maxSignatureChecks = 64;

const processedExtensions: ReadonlySet<string> = new Set([
  oids.subjectKeyIdentifier,
  oids.authorityKeyIdentifier,
  oids.keyUsage,
  oids.subjectAltName,
  oids.basicConstraints,
  oids.extKeyUsage,
  oids.cRLDistributionPoints,
  oids.authorityInfoAccess,
]);
const anyExtendedKeyUsage = '2.5.29.37.0';

/** Never throws for what the certificates contain: bytes that can't be read are an invalid chain. */
export function verifyChain(question: ChainQuestion): ChainVerdict {
  if (question.intermediates.length > maxIntermediates) {
    return {
      status: 'invalid',
      reason: `More than ${String(maxIntermediates)} intermediates were sent.`,
    };
  }
  try {
    return new PathSearch(question).run();
  } catch (error) {
    if (!isKeylineError(error)) throw error;
    return { status: 'invalid', reason: `A certificate can't be read. ${error.detail}` };
  }
}

class PathSearch {
  readonly #question: ChainQuestion;
  readonly #intermediates: readonly ParsedCertificate[];
  readonly #roots: readonly ParsedCertificate[];
  #checksLeft = maxSignatureChecks;
  /** Of the path that got furthest. */
  #reason = { depth: -1, text: '' };

  constructor(question: ChainQuestion) {
    this.#question = question;
    this.#intermediates = question.intermediates.map(parseCertificate);
    this.#roots = question.roots.map(parseCertificate);
  }

  run(): ChainVerdict {
    const leaf = parseCertificate(this.#question.leafDer);
    const fault = this.#faultOf(leaf) ?? this.#faultOfLeaf(leaf);
    if (fault !== undefined) return { status: 'invalid', reason: fault };
    const path = this.#isRoot(leaf) ? [leaf] : this.#extend([leaf]);
    return path === undefined
      ? { status: 'invalid', reason: this.#reason.text }
      : { status: 'valid', path };
  }

  #isRoot(certificate: ParsedCertificate): boolean {
    return this.#roots.some((root) => equalBytes(root.der, certificate.der));
  }

  /** Depth first from the last certificate of the path towards a root. */
  #extend(path: readonly ParsedCertificate[]): readonly ParsedCertificate[] | undefined {
    const last = path[path.length - 1];
    if (last === undefined || path.length >= maxPathCertificates) {
      return this.#fail(
        path,
        `The chain is longer than ${String(maxPathCertificates)} certificates.`,
      );
    }
    this.#fail(path, `No authority was found that issued "${nameOf(last)}" (RFC 5280 §6.1.3).`);
    for (const issuer of [...this.#roots, ...this.#intermediates]) {
      if (!equalBytes(issuer.subjectDer, last.issuerDer) || path.includes(issuer)) continue;
      const fault = this.#faultOf(issuer) ?? this.#faultOfIssuer(issuer, path);
      if (fault !== undefined) {
        this.#fail([...path, issuer], fault);
        continue;
      }
      const longer = [...path, issuer];
      const found = this.#roots.includes(issuer) ? longer : this.#extend(longer);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  #fail(path: readonly ParsedCertificate[], text: string): undefined {
    if (path.length > this.#reason.depth) this.#reason = { depth: path.length, text };
    return undefined;
  }

  /** What every certificate of a path must keep. */
  #faultOf(certificate: ParsedCertificate): string | undefined {
    const name = nameOf(certificate);
    const { now } = this.#question;
    if (now < certificate.notBefore) return `"${name}" is not valid yet (RFC 5280 §6.1.3 (a)(2)).`;
    if (now > certificate.notAfter) return `"${name}" has expired (RFC 5280 §6.1.3 (a)(2)).`;
    const unknown = certificate.extensions.find(
      ({ oid, critical }) => critical && !processedExtensions.has(oid),
    );
    if (unknown !== undefined) {
      return `"${name}" has the critical extension ${unknown.oid}, which is not processed here (RFC 5280 §4.2).`;
    }
    const { requiredEku } = this.#question;
    const usages = certificate.extendedKeyUsage;
    if (
      requiredEku !== undefined &&
      usages.length > 0 &&
      !usages.includes(requiredEku) &&
      !usages.includes(anyExtendedKeyUsage)
    ) {
      return `"${name}" is not meant for ${requiredEku} (RFC 5280 §4.2.1.12).`;
    }
    return undefined;
  }

  #faultOfLeaf(leaf: ParsedCertificate): string | undefined {
    if (
      this.#question.requiredEku !== undefined &&
      leaf.keyUsage.length > 0 &&
      !leaf.keyUsage.includes('digitalSignature')
    ) {
      return `"${nameOf(leaf)}" is not meant for signing (RFC 5280 §4.2.1.3, §4.2.1.12).`;
    }
    return undefined;
  }

  /** @param path from the leaf to the certificate that this issuer is said to have signed */
  #faultOfIssuer(
    issuer: ParsedCertificate,
    path: readonly ParsedCertificate[],
  ): string | undefined {
    const name = nameOf(issuer);
    const subject = path[path.length - 1];
    if (!issuer.isCa) return `"${name}" is not an authority (RFC 5280 §6.1.4 (k)).`;
    const hasKeyUsage = issuer.extensions.some(({ oid }) => oid === oids.keyUsage);
    if (hasKeyUsage && !issuer.keyUsage.includes('keyCertSign')) {
      return `"${name}" may not sign certificates (RFC 5280 §6.1.4 (n)).`;
    }
    // Authorities between this one and the leaf, without self-issued ones (§6.1.4 (l), (m)).
    const below = path.slice(1).filter((one) => !equalBytes(one.issuerDer, one.subjectDer)).length;
    if (issuer.pathLen !== undefined && below > issuer.pathLen) {
      return `"${name}" allows ${String(issuer.pathLen)} authorities below it, there are ${String(below)} (RFC 5280 §4.2.1.9).`;
    }
    if (subject === undefined || this.#checksLeft-- <= 0)
      return 'The chain takes too many signature checks.';
    if (!verifySignature({ ...subject, spkiDer: issuer.spkiDer })) {
      return `The signature of "${nameOf(subject)}" is not by "${name}" (RFC 5280 §6.1.3 (a)(1)).`;
    }
    return undefined;
  }
}

function nameOf({ commonName, serial }: ParsedCertificate): string {
  return commonName === undefined ? `serial ${serial}` : commonName.slice(0, 80);
}
