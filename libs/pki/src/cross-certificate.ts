// Cross-certificates: one root's name and key certified by another, so that those who trust either reach what both signed. Over a change
// of root they come in pairs, the old by the new and the new by the old (RFC 4210 §4.4, OldWithNew and NewWithOld).
import { KeylineError } from '@keyline/kernel';
import {
  equalBytes,
  parseCertificate,
  type NameConstraints,
  type ParsedCertificate,
} from '@keyline/x509';
import { issueAuthority, type IssuerUrls } from './issue-authority.ts';
import { readIssuer } from './issuer-identity.ts';
import type { Authority } from './ports.ts';
import { subjectKeyIdOf } from './subject-key-id.ts';

export interface CrossCertificateOptions {
  /** The root that certifies. */
  readonly issuer: Pick<Authority, 'certificateDer' | 'signer'>;
  /** The self-signed certificate of the root that is certified; its own signature is the proof of possession. */
  readonly subjectDer: Uint8Array;
  /** Epoch milliseconds. */
  readonly now: number;
  /** Milliseconds from `now`; cut where either root ends. */
  readonly validity: number;
  /** Absent: as many levels below as both roots allow. */
  readonly pathLen?: number | undefined;
  /** Where the certifying root's CRL and certificate are served. */
  readonly urls?: IssuerUrls | undefined;
  readonly nameConstraints?: NameConstraints | undefined;
}

/**
 * The other root's name, key and key identifier under this root's signature, DER.
 * @throws {KeylineError} PATH_INVALID, VALIDITY_NOT_ALLOWED, PROFILE_VIOLATION, LINT_FAILED
 */
export async function createCrossCertificate(
  options: CrossCertificateOptions,
): Promise<Uint8Array> {
  const { now, urls = {}, nameConstraints } = options;
  const issuer = readIssuer(options.issuer);
  const subject = parseCertificate(options.subjectDer);
  assertCertifiable(subject, issuer.certificate);
  const notAfter = Math.min(now + options.validity, issuer.certificate.notAfter, subject.notAfter);
  if (notAfter <= now) {
    throw new KeylineError(
      'VALIDITY_NOT_ALLOWED',
      'One of the two roots has expired, or the validity is nothing: the cross-certificate would have ended already.',
    );
  }
  const { subjectDer, spkiDer } = subject;
  return issueAuthority({
    signer: options.issuer.signer,
    issuer,
    subjectDer,
    spkiDer,
    // The identifier the certificates below it name as their authority's.
    subjectKeyId: subject.subjectKeyId ?? subjectKeyIdOf(spkiDer),
    now,
    notAfter,
    pathLen: pathLenOf(options.pathLen, subject, issuer.certificate),
    nameConstraints,
    urls,
  });
}

function assertCertifiable(subject: ParsedCertificate, issuer: ParsedCertificate): void {
  const fault = !subject.isCa
    ? 'it is not an authority (RFC 5280 §4.2.1.9)'
    : !subject.selfSigned
      ? 'it is not self-signed, so nothing proves that its key is its own'
      : equalBytes(subject.spkiDer, issuer.spkiDer)
        ? 'it has the same key as the root that should certify it'
        : undefined;
  if (fault === undefined) return;
  throw new KeylineError(
    'PATH_INVALID',
    `"${subject.commonName ?? subject.serial}" can't be cross-certified: ${fault}.`,
  );
}

/** A certificate between authorities of one name is self-issued and takes no level of its own (RFC 5280 §6.1.4 (l)). */
function pathLenOf(
  wanted: number | undefined,
  subject: ParsedCertificate,
  issuer: ParsedCertificate,
): number | undefined {
  const level = equalBytes(subject.subjectDer, issuer.subjectDer) ? 0 : 1;
  const most = Math.min(subject.pathLen ?? Infinity, (issuer.pathLen ?? Infinity) - level);
  if (most < 0 || (wanted !== undefined && wanted > most)) {
    throw new KeylineError(
      'PATH_INVALID',
      `The two roots leave room for ${String(Math.max(0, most))} levels of authorities below the cross-certificate${
        most < 0 ? ', and not for itself' : ''
      } (RFC 5280 §4.2.1.9).`,
    );
  }
  return wanted ?? (most === Infinity ? undefined : most);
}
