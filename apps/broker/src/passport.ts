// Who stands at the door: the identity in a client's certificate, or why there is none.
import type { TLSSocket } from 'node:tls';
import { formatInstant, parseSerialHex, type Instant, type SerialHex } from '@keyline/kernel';
import { refuse, type Refusal } from './refusal.ts';

export interface Identity {
  /** The certificate's one CN: user name everywhere in the broker. */
  readonly name: string;
  readonly serialHex: SerialHex;
  readonly notAfter: Instant;
}

/** What a certificate says of itself, for the log: also of one that is refused. */
export interface CertificateNames {
  readonly cn: string | undefined;
  readonly serialHex: string | undefined;
}

export interface Passport {
  readonly names: CertificateNames;
  readonly verdict: { readonly identity: Identity } | { readonly refusal: Refusal };
}

interface PassportOptions {
  readonly isRevoked: (serialHex: string) => boolean;
  readonly now: Instant;
}

/**
 * Reads the peer's certificate after the handshake. Everything that can change after a TLS session was made (revocation, expiry)
 * is looked at here and not left to OpenSSL, which does not verify again when a session is resumed.
 */
export function readPassport(socket: TLSSocket, { isRevoked, now }: PassportOptions): Passport {
  const certificate = socket.getPeerCertificate();
  // Typed as always there; a client without a certificate yields an empty object or nothing.
  const raw = (certificate as { raw?: Uint8Array } | null)?.raw;
  if (raw === undefined) {
    return {
      names: { cn: undefined, serialHex: undefined },
      verdict: { refusal: refuse('no-certificate', 'The client sent no certificate.') },
    };
  }
  const cns = commonNames(certificate.subject);
  const serialHex = parseSerialHex(certificate.serialNumber);
  const names = { cn: cns[0], serialHex };
  const label = `"${printable(cns.join('", "'))}" (serial ${serialHex})`;
  const refusedWith = (refusal: Refusal): Passport => ({ names, verdict: { refusal } });

  const notAfter = Date.parse(certificate.valid_to);
  if (notAfter < now) {
    return refusedWith(
      refuse(
        'certificate-expired',
        `The certificate of ${label} expired on ${formatInstant(notAfter)}.`,
      ),
    );
  }
  if (!socket.authorized) return refusedWith(chainRefusal(socket, label, certificate.valid_from));
  if (isRevoked(serialHex)) {
    return refusedWith(refuse('certificate-revoked', `The certificate of ${label} is revoked.`));
  }
  const [name] = cns;
  if (name === undefined || cns.length > 1 || !isName(name)) {
    const what = cns.length === 1 ? `the CN "${printable(name ?? '')}"` : `${cns.length} CNs`;
    return refusedWith(
      refuse('certificate-name', `The certificate with serial ${serialHex} has ${what}.`),
    );
  }
  return { names, verdict: { identity: { name, serialHex, notAfter } } };
}

function chainRefusal(socket: TLSSocket, label: string, validFrom: string): Refusal {
  // OpenSSL's code as a string, whatever the type says.
  const code = String(socket.authorizationError);
  switch (code) {
    case 'UNABLE_TO_GET_ISSUER_CERT':
    case 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY':
    case 'UNABLE_TO_VERIFY_LEAF_SIGNATURE':
    case 'SELF_SIGNED_CERT_IN_CHAIN':
    case 'DEPTH_ZERO_SELF_SIGNED_CERT':
    case 'CERT_UNTRUSTED':
      return refuse(
        'unknown-ca',
        `The certificate of ${label} was not issued by a CA this broker trusts (${code}).`,
      );
    case 'CERT_HAS_EXPIRED':
      return refuse('certificate-expired', `A CA certificate above ${label} has expired.`);
    case 'CERT_NOT_YET_VALID':
      return refuse(
        'certificate-not-yet-valid',
        `The certificate of ${label}, or a CA above it, is not valid yet (it begins on ${formatInstant(Date.parse(validFrom))}).`,
      );
    case 'INVALID_PURPOSE':
      return refuse(
        'certificate-purpose',
        `The certificate of ${label} is not for TLS clients (${code}).`,
      );
    default:
      return refuse(
        'certificate-invalid',
        `The certificate of ${label} does not verify (${code}).`,
      );
  }
}

// Node gives one CN as a string and several as an array.
function commonNames(subject: { CN?: string | string[] }): string[] {
  const { CN } = subject;
  if (CN === undefined) return [];
  return Array.isArray(CN) ? CN : [CN];
}

// A name becomes a level of topics (%u) and part of client ids, so it may hold nothing that has a meaning there.
function isName(name: string): boolean {
  return name.length > 0 && name.length <= 64 && !/[/+#\p{Cc}\p{Cs}]/u.test(name);
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').slice(0, 100);
}
