// Who the peer is: the identity in a client's certificate, or why there is none.
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { formatInstant, type Instant, type SerialHex } from '@keyline/kernel';
import { keyIdOf, type ClientAuthorities } from './client-authorities.ts';
import { refuse, type Refusal } from './refusal.ts';

export interface Identity {
  /** How it has shown who it is. With a password there is no certificate: serial, issuer and key are empty, and it has no end. */
  readonly login: 'certificate' | 'password';
  /** The certificate's one CN, or MQTT's user name: user name everywhere in the broker. */
  readonly name: string;
  readonly serialHex: SerialHex;
  readonly notAfter: Instant;
  /** The authority that signed it: SHA-256 of that one's public key, base64url. */
  readonly issuerId: string;
  /** SHA-256 of an administrator's public key, base64url; empty for everybody else. */
  readonly keyId: string;
}

/** What a certificate says of itself, for the log: also of one that is refused. */
export interface CertificateNames {
  readonly cn: string | undefined;
  readonly serialHex: string | undefined;
}

export interface PeerIdentity {
  readonly names: CertificateNames;
  readonly verdict: { readonly identity: Identity } | { readonly refusal: Refusal };
}

interface ReadOptions {
  readonly authorities: Pick<ClientAuthorities, 'issuerOf'>;
  readonly admins: ReadonlySet<string>;
  readonly isRevoked: (serialHex: string) => boolean;
  readonly now: Instant;
}

const clientAuth = '1.3.6.1.5.5.7.3.2';

/**
 * Reads the peer's certificate after the handshake. Everything that can change after a TLS session was made (revocation, expiry)
 * is looked at here and not left to OpenSSL, which does not verify again when a session is resumed.
 *
 * Total: a client may send any bytes that OpenSSL takes for a certificate, long before anybody has judged its chain. What can't be
 * made out is refused.
 */
export function readPeerIdentity(socket: TLSSocket, options: ReadOptions): PeerIdentity {
  const names: { cn: string | undefined; serialHex: string | undefined } = {
    cn: undefined,
    serialHex: undefined,
  };
  try {
    const verdict = judge(socket, options, names);
    return { names, verdict };
  } catch {
    // Which of its fields it was does not matter: nothing of it is used.
    const refusal = refuse('certificate-unreadable', 'The client’s certificate can’t be read.');
    return { names, verdict: { refusal } };
  }
}

function judge(
  socket: TLSSocket,
  { authorities, admins, isRevoked, now }: ReadOptions,
  names: { cn: string | undefined; serialHex: string | undefined },
): PeerIdentity['verdict'] {
  const parsed = socket.getPeerX509Certificate();
  if (parsed === undefined) {
    return { refusal: refuse('no-certificate', 'The client sent no certificate.') };
  }
  const certificate: ClientCertificate = parsed.toLegacyObject();
  const cns = commonNames(certificate.subject);
  const serialHex = readSerial(certificate.serialNumber);
  names.cn = cns[0] === undefined ? undefined : printable(cns[0]);
  names.serialHex = serialHex;
  const label = `"${printable(cns.slice(0, 3).join('", "'))}" (serial ${serialHex ?? 'unreadable'})`;
  const notBefore = Date.parse(certificate.valid_from);
  const notAfter = Date.parse(certificate.valid_to);
  if (serialHex === undefined || !isInstant(notBefore) || !isInstant(notAfter)) {
    const what =
      serialHex === undefined
        ? 'a serial that is not a positive number of 20 octets at most'
        : 'dates that are none';
    return {
      refusal: refuse('certificate-unreadable', `The certificate of ${label} has ${what}.`),
    };
  }
  if (notAfter < now) {
    return {
      refusal: refuse(
        'certificate-expired',
        `The certificate of ${label} expired on ${formatInstant(notAfter)}.`,
      ),
    };
  }
  if (!socket.authorized) return { refusal: chainRefusal(socket, label, notBefore) };
  const issuerId = authorities.issuerOf(parsed);
  if (issuerId === undefined) {
    return {
      refusal: refuse(
        'unknown-ca',
        `The certificate of ${label} was signed by none of the authorities whose clients are let in.`,
      ),
    };
  }
  // OpenSSL's own look at the purpose lets a certificate without any extended key usage through, and a CA's own.
  if (certificate.ca !== false || certificate.ext_key_usage?.includes(clientAuth) !== true) {
    return {
      refusal: refuse(
        'certificate-purpose',
        `The certificate of ${label} is ${certificate.ca === false ? 'not for TLS clients' : 'that of a CA'}.`,
      ),
    };
  }
  if (isRevoked(serialHex)) {
    return {
      refusal: refuse('certificate-revoked', `The certificate of ${label} is revoked.`),
    };
  }
  const [name] = cns;
  if (name === undefined || cns.length > 1 || !isName(name)) {
    const what =
      cns.length === 1 ? `the CN "${printable(name ?? '')}"` : `${String(cns.length)} CNs`;
    return {
      refusal: refuse('certificate-name', `The certificate with serial ${serialHex} has ${what}.`),
    };
  }
  return {
    identity: {
      login: 'certificate',
      name,
      serialHex,
      notAfter,
      issuerId,
      keyId: admins.has(name) ? keyIdOf(parsed.publicKey) : '',
    },
  };
}

type ClientCertificate = Omit<PeerCertificate, 'ca'> & { readonly ca?: boolean };

function chainRefusal(socket: TLSSocket, label: string, notBefore: Instant): Refusal {
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
        `The certificate of ${label}, or a CA above it, is not valid yet (it begins on ${formatInstant(notBefore)}).`,
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

/** RFC 5280 §4.1.2.2: positive, 20 octets at most. OpenSSL prints a negative one with "-". */
function readSerial(text: string): SerialHex | undefined {
  const hex = text.toLowerCase();
  if (!/^[0-9a-f]{1,40}$/.test(hex) || /^0+$/.test(hex)) return undefined;
  return (hex.length % 2 === 0 ? hex : `0${hex}`) as SerialHex;
}

/** The last moment that can be written as a date. */
const isInstant = (instant: number): boolean => Math.abs(instant) <= 8.64e15;

// Node gives one CN as a string and several as an array.
function commonNames(subject: { CN?: string | string[] }): string[] {
  const { CN } = subject;
  if (CN === undefined) return [];
  return Array.isArray(CN) ? CN : [CN];
}

// A name becomes a level of topics (%u) and part of client ids, so it may hold nothing that has a meaning there.
export function isName(name: string): boolean {
  return name.length > 0 && name.length <= 64 && !/[/+#\p{Cc}\p{Cs}]/u.test(name);
}

function printable(text: string): string {
  return text.replace(/\p{Cc}/gu, '?').slice(0, 100);
}
