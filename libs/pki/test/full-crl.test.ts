import { Duration, type SerialHex } from '@keyline/kernel';
import { parseCertificate, parseCrl, verifySignature } from '@keyline/x509';
import { describe, expect, it } from 'vitest';
import type { CrlContent } from '../src/crl.ts';
import { createCrl, createFullCrl, type CrlEntry } from '../src/index.ts';
import { createHierarchy, now, urls } from './hierarchy.ts';

const times = { thisUpdate: now, nextUpdate: now + Duration.days(7) };
const entriesOf = (count: number): CrlEntry[] =>
  Array.from({ length: count }, (_, i) => ({
    serial: (i + 1).toString(16).padStart(32, '4') as SerialHex,
    revokedAt: now,
    reason: i % 2 === 0 ? 'keyCompromise' : 'unspecified',
  }));

describe('createFullCrl', () => {
  it.each([0, 1, 3, 500, 40_000])(
    'of %d entries is byte for byte the CRL that has no distribution point (RFC 5280 §5.2.5)',
    async (count) => {
      // Ed25519: the same bytes have the same signature.
      const { issuing: authority } = await createHierarchy({ issuingAlgorithm: 'ed25519' });
      const content = { authority, number: 7, ...times, entries: entriesOf(count) };
      const crlDer = await createCrl({
        ...content,
        scope: 'user',
        distributionPoint: urls.crl,
        freshestCrl: 'http://pki.example.com/crl/issuing-1-delta.crl',
      });
      const pieces = await createFullCrl({ authority, crlDer });
      const expected = await createCrl({ ...content, scope: 'all' });
      expect(Buffer.concat(pieces).equals(Buffer.from(expected))).toBe(true);
    },
  );

  it.each(['ec-p256', 'rsa-3072', 'ml-dsa-44'] as const)('by %s verifies', async (algorithm) => {
    const { issuing: authority } = await createHierarchy({ issuingAlgorithm: algorithm });
    const content: CrlContent = {
      ...{ authority, number: 7, ...times, entries: entriesOf(40_000) },
      ...{ scope: 'user', distributionPoint: urls.crl },
    };
    const crlDer = await createCrl(content);
    const pieces = await createFullCrl({ authority, crlDer });
    const full = parseCrl(Buffer.concat(pieces));
    expect(full.entries).toHaveLength(40_000);
    const { spkiDer } = parseCertificate(authority.certificateDer);
    expect(verifySignature({ ...full, spkiDer })).toBe(true);
    // The entries do not stand in memory once more.
    const own = pieces.filter(({ buffer }) => buffer !== crlDer.buffer);
    expect(own.reduce((sum, { length }) => sum + length, 0)).toBeLessThan(8000);
  });

  it('refuses to sign the CRL of another', async () => {
    const { issuing, root } = await createHierarchy();
    const content = { number: 7, ...times, entries: [], scope: 'ca' } as const;
    const crlDer = await createCrl({ authority: root, ...content });
    await expect(createFullCrl({ authority: issuing, crlDer })).rejects.toThrow(/^INTERNAL/);
  });
});
