// When a certificate should be renewed: the profile's window and grace, and the renewal information of RFC 9773 made of them.
import { KeylineError, parseDuration, type SerialHex } from '@keyline/kernel';
import type { ParsedCertificate } from '@keyline/x509';
import type { Profile } from './profile.ts';

/** Epoch milliseconds. */
export interface Window {
  readonly start: number;
  readonly end: number;
}

interface Lifetime {
  readonly notBefore: number;
  readonly notAfter: number;
}

/** When renewal is accepted: from the opening of the profile's window to the end of its grace after expiry. */
export function renewalWindowOf(profile: Pick<Profile, 'renewal'>, certificate: Lifetime): Window {
  const { window, grace } = profile.renewal;
  const { notBefore, notAfter } = certificate;
  const start = notAfter - Math.floor((notAfter - notBefore) * window);
  return { start, end: notAfter + parseDuration(grace) };
}

/** Of the window, how much is meant for renewing; what is left is for those that could not. */
const suggestedShare = 0.5;
const day = 86_400_000;

/**
 * `suggestedWindow` of RFC 9773 §4.2: the first half of the profile's renewal window, so that a client that picks a time in it at random
 * has the other half to try again. A revoked certificate's window has passed already: renew now (§4.2, §4.3).
 */
export function suggestedWindowOf(
  profile: Pick<Profile, 'renewal'>,
  certificate: Lifetime & { readonly revokedAt?: number | null | undefined },
): Window {
  const { revokedAt } = certificate;
  if (revokedAt !== undefined && revokedAt !== null) {
    return { start: revokedAt - day, end: revokedAt };
  }
  const { start } = renewalWindowOf(profile, certificate);
  return { start, end: start + Math.floor((certificate.notAfter - start) * suggestedShare) };
}

/**
 * A certificate's identifier in `renewal-info/…` URLs: base64url of the authority key identifier, a dot, base64url of the serial's
 * INTEGER octets (the sign octet included). RFC 9773 §4.1
 * @throws {KeylineError} REQUEST_INVALID when the certificate has no authority key identifier
 */
export function encodeCertificateId(
  certificate: Pick<ParsedCertificate, 'serial' | 'authorityKeyId'>,
): string {
  const { serial, authorityKeyId } = certificate;
  if (authorityKeyId === undefined || authorityKeyId.length === 0) {
    throw new KeylineError(
      'REQUEST_INVALID',
      'A certificate without authority key identifier has no renewal information (RFC 9773 §4.1).',
    );
  }
  const padded = serial.charCodeAt(0) >= 0x38 ? `00${serial}` : serial;
  const keyText = Buffer.from(authorityKeyId).toString('base64url');
  return `${keyText}.${Buffer.from(padded, 'hex').toString('base64url')}`;
}

export interface CertificateId {
  readonly authorityKeyId: Uint8Array;
  readonly serial: SerialHex;
}

const part = /^[A-Za-z0-9_-]{1,86}$/;

/** The one spelling that `encodeCertificateId` writes. @throws {KeylineError} REQUEST_INVALID */
export function parseCertificateId(text: string): CertificateId {
  const [keyText = '', serialText = '', ...rest] = text.split('.');
  const authorityKeyId = Buffer.from(keyText, 'base64url');
  const octets = Buffer.from(serialText, 'base64url');
  const serial = (octets[0] === 0 ? octets.subarray(1) : octets).toString('hex') as SerialHex;
  const isWhole = rest.length === 0 && part.test(keyText) && part.test(serialText);
  if (
    !isWhole ||
    octets.length > 20 ||
    serial === '' ||
    encodeCertificateId({ authorityKeyId, serial }) !== text
  ) {
    throw new KeylineError(
      'REQUEST_INVALID',
      `"${text.slice(0, 120)}" is not a certificate identifier: base64url(authority key identifier) "." base64url(serial), without padding (RFC 9773 §4.1).`,
    );
  }
  return { authorityKeyId, serial };
}
