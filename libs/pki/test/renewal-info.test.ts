import { Duration, type SerialHex } from '@keyline/kernel';
import { hexOf, parseCertificate } from '@keyline/x509';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createIssuer,
  encodeCertificateId,
  parseCertificateId,
  renewalWindowOf,
  suggestedWindowOf,
} from '../src/index.ts';
import { createHierarchy, createTestSigner, deviceProfile, now, profilesOf } from './hierarchy.ts';

const lifetime = { notBefore: now, notAfter: now + Duration.days(100) };

describe('renewalWindowOf', () => {
  it('opens in the last part of the lifetime and closes after the grace', () => {
    expect(renewalWindowOf(deviceProfile, lifetime)).toEqual({
      start: now + Duration.days(60),
      end: now + Duration.days(130),
    });
    const always = { renewal: { window: 1, grace: 'PT0S' } };
    expect(renewalWindowOf(always, lifetime)).toEqual({ start: now, end: lifetime.notAfter });
  });
});

describe('suggestedWindowOf (RFC 9773 §4.2)', () => {
  it('lies in the first half of what the profile allows, before the end', () => {
    const window = suggestedWindowOf(deviceProfile, lifetime);
    expect(window).toEqual({ start: now + Duration.days(60), end: now + Duration.days(80) });
    expect(window.end).toBeLessThan(lifetime.notAfter);
  });

  it('never is empty, for lives of a minute as for endless ones', () => {
    for (const notAfter of [now + 60_000, Date.UTC(9999, 11, 31, 23, 59, 59)]) {
      const { start, end } = suggestedWindowOf(deviceProfile, { notBefore: now, notAfter });
      expect(start).toBeLessThan(end);
    }
  });

  it('has passed when the certificate was revoked', () => {
    const revokedAt = now + Duration.days(3);
    const window = suggestedWindowOf(deviceProfile, { ...lifetime, revokedAt });
    expect(window.start).toBeLessThan(window.end);
    expect(window.end).toBeLessThanOrEqual(revokedAt);
    expect(suggestedWindowOf(deviceProfile, { ...lifetime, revokedAt: null })).toEqual(
      suggestedWindowOf(deviceProfile, lifetime),
    );
  });
});

describe('certificate identifiers (RFC 9773 §4.1)', () => {
  it('are those of the RFC’s own example, with the sign octet of the serial', () => {
    const authorityKeyId = Buffer.from('69885b6b87464041e1b37b847ba0ae2cde01c8d4', 'hex');
    const serial = '87654321' as SerialHex;
    expect(encodeCertificateId({ authorityKeyId, serial })).toBe(
      'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE',
    );
    expect(parseCertificateId('aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE')).toEqual({
      authorityKeyId,
      serial,
    });
  });

  it('name a certificate that was issued', async () => {
    const { issuing } = await createHierarchy();
    const issuer = await createIssuer(issuing, profilesOf(deviceProfile));
    const { spkiDer, algorithm } = createTestSigner('ec-p256');
    const request = { profile: 'device-client', id: 'pump-1', spkiDer, algorithm, now };
    const certificate = parseCertificate((await issuer.issue(request)).der);
    const { serial, authorityKeyId } = parseCertificateId(encodeCertificateId(certificate));
    expect(serial).toBe(certificate.serial);
    expect(Buffer.compare(authorityKeyId, certificate.authorityKeyId ?? Buffer.of())).toBe(0);
  });

  it('read back, for any key identifier and serial', () => {
    const octets = fc.uint8Array({ minLength: 1, maxLength: 19 });
    fc.assert(
      fc.property(
        octets,
        octets.filter(([first]) => first !== 0),
        (authorityKeyId, magnitude) => {
          const serial = hexOf(magnitude) as SerialHex;
          const id = parseCertificateId(encodeCertificateId({ authorityKeyId, serial }));
          expect(id.serial).toBe(serial);
          expect(Uint8Array.from(id.authorityKeyId)).toEqual(authorityKeyId);
        },
      ),
    );
  });

  it.each([
    '',
    '.',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ.',
    '.AIdlQyE',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE.x',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ=.AIdlQyE',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ.h2VDIQ',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AAAB',
    'aYhba4dGQEHhs3uEe6CuLN4ByNR.AIdlQyE',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AA',
    'aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdl/yE',
  ])('have one spelling: "%s" is refused', (text) => {
    expect(() => parseCertificateId(text)).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }),
    );
  });

  it('need an authority key identifier, which a root has not', async () => {
    const { root } = await createHierarchy();
    expect(() => encodeCertificateId(parseCertificate(root.certificateDer))).toThrow(
      expect.objectContaining({ code: 'REQUEST_INVALID' }),
    );
  });
});
