import { randomBytes } from 'node:crypto';
import { Duration, type SerialHex } from '@keyline/kernel';
import { hexOf, parseCertificate, parseCrl, verifySignature } from '@keyline/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { createCrl, revocationReasons, type CrlEntry } from '../src/index.ts';
import {
  createHierarchy,
  crlBlock,
  certificateBlock,
  now,
  urls,
  Workbench,
  type Hierarchy,
} from './hierarchy.ts';

let hierarchy: Hierarchy;
beforeAll(async () => {
  hierarchy = await createHierarchy();
});

const times = { thisUpdate: now, nextUpdate: now + Duration.days(7) };
const create = (entries: Iterable<CrlEntry>, number: number | bigint = 7): Promise<Uint8Array> =>
  createCrl({
    authority: hierarchy.issuing,
    number,
    ...times,
    entries,
    scope: 'user',
    distributionPoint: urls.crl,
  });
const serial = (hex: string): SerialHex => hex as SerialHex;

describe('createCrl', () => {
  it('writes version 2 with authority key identifier, number and critical distribution point (RFC 5280 §5.2)', async () => {
    const crl = parseCrl(
      await create([{ serial: serial('ab'), revokedAt: now, reason: 'keyCompromise' }]),
    );
    const issuing = parseCertificate(hierarchy.issuing.certificateDer);
    expect(crl).toMatchObject({
      number: 7n,
      ...times,
      scope: 'user',
      distributionPoints: [urls.crl],
      isDelta: false,
    });
    expect(crl.issuerDer).toEqual(issuing.subjectDer);
    expect(crl.authorityKeyId).toEqual(issuing.subjectKeyId);
    expect(verifySignature({ ...crl, spkiDer: issuing.spkiDer })).toBe(true);
    const criticals = crl.extensions.map(({ oid, critical }) => [oid, critical]);
    expect(criticals).toEqual([
      ['2.5.29.35', false],
      ['2.5.29.20', false],
      ['2.5.29.28', true],
    ]);
  });

  it('omits revokedCertificates when nothing is revoked (RFC 5280 §5.1.2.6)', async () => {
    const crlDer = await create([]);
    expect(parseCrl(crlDer).entries).toEqual([]);
    // version, signature, issuer, two times, extensions: nothing between the times and [0].
    const text = hexOf(crlDer);
    expect(text).not.toContain('5a3000');
    expect(text).toMatch(/5aa0/);
  });

  it('omits the reason "unspecified" and writes the others (RFC 5280 §5.3.1)', async () => {
    const entries = revocationReasons.map((reason, i) => ({
      serial: serial(`0${String(i + 1)}`),
      revokedAt: now - i * 1000,
      reason,
    }));
    const crl = parseCrl(await create(entries));
    expect(crl.entries).toEqual(
      entries.map(({ reason, ...entry }) =>
        reason === 'unspecified' ? entry : { ...entry, reason },
      ),
    );
  });

  it('leaves the URI out of a root’s CRL, which covers authorities only', async () => {
    const crl = parseCrl(
      await createCrl({
        authority: hierarchy.root,
        number: 1,
        ...times,
        entries: [],
        scope: 'ca',
        distributionPoint: 'http://pki.example.com/crl/root.crl',
      }),
    );
    expect(crl).toMatchObject({ scope: 'ca', distributionPoints: [] });
  });

  it('writes GeneralizedTime from 2050 on (RFC 5280 §5.1.2.4)', async () => {
    const late = Date.UTC(2050, 0, 1);
    const crlDer = await createCrl({
      authority: hierarchy.issuing,
      number: 1n << 158n,
      thisUpdate: late - 1000,
      nextUpdate: late,
      entries: [],
      scope: 'user',
    });
    expect(Buffer.from(crlDer).includes('\x17\x0d491231235959Z\x18\x0f20500101000000Z')).toBe(true);
    expect(parseCrl(crlDer).number).toBe(1n << 158n);
  });

  it.each([
    ['a number beyond 20 octets (RFC 5280 §5.2.3)', { number: 1n << 159n }],
    ['a negative number', { number: -1 }],
    ['a nextUpdate that is not later', { nextUpdate: now }],
    [
      'a serial that is no hex',
      { entries: [{ serial: serial('xy'), revokedAt: now, reason: 'unspecified' as const }] },
    ],
    [
      'a serial of 21 octets',
      {
        entries: [
          { serial: serial('11'.repeat(21)), revokedAt: now, reason: 'unspecified' as const },
        ],
      },
    ],
  ])('refuses %s', async (_title, fault) => {
    await expect(
      createCrl({
        authority: hierarchy.issuing,
        number: 1,
        ...times,
        entries: [],
        scope: 'user',
        ...fault,
      }),
    ).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('parses back to any entries given', async () => {
    const entry = fc.record({
      serial: fc
        .uint8Array({ minLength: 1, maxLength: 19 })
        .filter(([first]) => first !== 0)
        .map((bytes) => serial(hexOf(bytes))),
      revokedAt: fc.integer({ min: 0, max: 4_000_000_000 }).map((second) => second * 1000),
      reason: fc.constantFrom(...revocationReasons),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(entry, { maxLength: 40 }), async (entries) => {
        const crl = parseCrl(await create(entries));
        expect(crl.entries).toEqual(
          entries.map(({ reason, ...rest }) =>
            reason === 'unspecified' ? rest : { ...rest, reason },
          ),
        );
      }),
      { numRuns: 100 },
    );
  });

  it('writes 200,000 entries', async () => {
    const entries = Array.from({ length: 200_000 }, (_, i) => ({
      serial: serial(hexOf(randomBytes(17)).replace(/^./, '4')),
      revokedAt: now - i * 10,
      reason: 'superseded' as const,
    }));
    const crlDer = await create(entries);
    const crl = parseCrl(crlDer);
    expect(crl.entries).toHaveLength(200_000);
    expect(crl.entries[199_999]?.serial).toBe(entries[199_999]?.serial);
  });
});

describe.skipIf(!has('openssl', 'certtool'))('OpenSSL and GnuTLS', () => {
  it('verify and read it', async () => {
    const bench = await Workbench.create();
    await bench.put('ca.pem', certificateBlock(hierarchy.issuing.certificateDer));
    await bench.put(
      'crl.pem',
      crlBlock(await create([{ serial: serial('80ff'), revokedAt: now, reason: 'keyCompromise' }])),
    );
    const openssl = await bench.run(
      'openssl',
      ...['crl', '-in', 'crl.pem', '-CAfile', 'ca.pem', '-verify', '-noout', '-text'],
    );
    expect(openssl.code).toBe(0);
    for (const text of [
      'verify OK',
      'Serial Number: 80FF',
      'Key Compromise',
      'Only User Certificates',
      urls.crl,
    ]) {
      expect(openssl.output).toContain(text);
    }
    const gnutls = await bench.run('certtool', '--crl-info', '--infile', 'crl.pem');
    expect(gnutls.output).toContain('CRL Number (not critical): 07');
  });
});
