import { Duration, type SerialHex } from '@keyline/kernel';
import { hexOf, oids, parseCertificate, parseCrl } from '@keyline/x509';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { createCrlStatusSource } from '../src/crl-status.ts';
import {
  createCrl,
  createDeltaCrl,
  createIssuer,
  crlShardName,
  crlShardUrl,
  deltaCrlUrl,
  type Authority,
  type IssuedCertificate,
  type Issuer,
} from '../src/index.ts';
import { shardIndexOf } from '../src/crl-shards.ts';
import {
  atTime,
  certificateBlock,
  createHierarchy,
  createTestSigner,
  crlBlock,
  deviceProfile,
  now,
  ocspProfile,
  profilesOf,
  urls,
  Workbench,
  type Hierarchy,
} from './hierarchy.ts';

const count = 4;
let hierarchy: Hierarchy;
let authority: Authority;
let issuer: Issuer;
beforeAll(async () => {
  hierarchy = await createHierarchy();
  authority = { ...hierarchy.issuing, crlShards: count };
  issuer = await createIssuer(authority, profilesOf(deviceProfile, ocspProfile));
});

/** The rule said another way than in the issuer. */
const shardOf = (serial: SerialHex, of = count): { index: number; count: number } => ({
  index: Number(BigInt(`0x${serial}`) % BigInt(of)),
  count: of,
});

const { spkiDer, algorithm } = createTestSigner('ec-p256');
const issue = (by = issuer, profile = 'device-client'): Promise<IssuedCertificate> =>
  by.issue({ profile, id: 'pump-1', spkiDer, algorithm, now });
const shardCrl = (index: number, revoked: readonly SerialHex[] = []): Promise<Uint8Array> => {
  const url = crlShardUrl(urls.crl, { index, count });
  return createCrl({
    authority,
    number: 3,
    thisUpdate: now,
    nextUpdate: now + Duration.days(7),
    entries: revoked.map((serial) => ({ serial, revokedAt: now, reason: 'keyCompromise' })),
    scope: 'user',
    distributionPoint: url,
    freshestCrl: deltaCrlUrl(url),
  });
};

describe('a sharded authority', () => {
  it('writes the shard of the serial into each certificate, byte for byte the URI of its CRL (RFC 5280 §5.2.5)', async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 40; i++) {
      const { der, serial, crlShard } = await issue();
      const certificate = parseCertificate(der);
      const shard = shardOf(serial);
      seen.add(crlShardName(shard));
      expect(crlShard).toBe(crlShardName(shard));
      expect(certificate.crlDistributionPoints).toEqual([crlShardUrl(urls.crl, shard)]);
      const crl = parseCrl(await shardCrl(shard.index));
      expect(crl.distributionPoints).toEqual(certificate.crlDistributionPoints);
      // SEQUENCE { DistributionPoint { [0] name } } there, SEQUENCE { [0] name, [1] onlyContainsUserCerts } here.
      const valueOf = (extensions: typeof crl.extensions, oid: string): string =>
        hexOf(extensions.find((one) => one.oid === oid)?.valueDer ?? new Uint8Array());
      const inCertificate = valueOf(certificate.extensions, oids.cRLDistributionPoints).slice(8);
      expect(valueOf(crl.extensions, oids.issuingDistributionPoint)).toContain(inCertificate);
    }
    expect(seen.size).toBe(count);
  });

  it('marks each shard’s CRL critically as for leaves only (RFC 5280 §5.2.5)', async () => {
    const crl = parseCrl(await shardCrl(2));
    const point = crl.extensions.find(({ oid }) => oid === oids.issuingDistributionPoint);
    expect(point?.critical).toBe(true);
    expect(crl).toMatchObject({
      scope: 'user',
      distributionPoints: ['http://pki.example.com/crl/issuing-1-2of4.crl'],
      freshestCrl: ['http://pki.example.com/crl/issuing-1-2of4-delta.crl'],
    });
  });

  it('never moves a certificate: another count gives other CRLs', async () => {
    const before = await issue();
    const grown = await createIssuer({ ...authority, crlShards: 8 }, profilesOf(deviceProfile));
    const after = await issue(grown);
    expect(before.crlShard).toMatch(/^[0-3]of4$/);
    expect(after.crlShard).toMatch(/^[0-7]of8$/);
    expect(crlShardUrl(urls.crl, { index: 1, count: 4 })).not.toBe(
      crlShardUrl(urls.crl, { index: 1, count: 8 }),
    );
  });

  it('names no shard where the profile has no distribution point, or the authority no shards', async () => {
    expect(await issue(issuer, 'ocsp-responder')).not.toHaveProperty('crlShard');
    const whole = await createIssuer(hierarchy.issuing, profilesOf(deviceProfile));
    const issued = await issue(whole);
    expect(issued).not.toHaveProperty('crlShard');
    expect(parseCertificate(issued.der).crlDistributionPoints).toEqual([urls.crl]);
  });

  it.each([0, -1, 1.5, 4097, Number.NaN])('refuses %s shards', async (crlShards) => {
    await expect(
      createIssuer({ ...authority, crlShards }, profilesOf(deviceProfile)),
    ).rejects.toMatchObject({ code: 'PROFILE_VIOLATION' });
  });

  it('lets no shard speak for another (RFC 5280 §6.3.3 (b)(2)(i))', async () => {
    const { der, serial } = await issue();
    const own = shardOf(serial).index;
    const ask = (...crls: Uint8Array[]): string =>
      createCrlStatusSource({ crls, now })(
        parseCertificate(der),
        parseCertificate(authority.certificateDer),
        parseCertificate(authority.certificateDer),
      ).status;
    const others = await Promise.all(
      [0, 1, 2, 3].filter((index) => index !== own).map((index) => shardCrl(index, [serial])),
    );
    expect(ask(...others)).toBe('unknown');
    expect(ask(...others, await shardCrl(own))).toBe('good');
    expect(ask(...others, await shardCrl(own, [serial]))).toBe('revoked');
  });

  it('may publish one list of everything beside them, without a URI', async () => {
    const { der, serial } = await issue();
    const whole = await createCrl({
      authority,
      number: 4,
      thisUpdate: now,
      nextUpdate: now + Duration.days(7),
      entries: [{ serial, revokedAt: now, reason: 'superseded' }],
      scope: 'user',
    });
    const statusOf = createCrlStatusSource({ crls: [whole], now });
    const issuing = parseCertificate(authority.certificateDer);
    expect(statusOf(parseCertificate(der), issuing, issuing).status).toBe('revoked');
  });
});

describe('shards of serials', () => {
  const serials = fc
    .uint8Array({ minLength: 1, maxLength: 20 })
    .map((bytes) => ({ bytes, hex: hexOf(bytes) as SerialHex }));
  it('are the serial modulo the count', () => {
    fc.assert(
      fc.property(serials, fc.integer({ min: 1, max: 4096 }), ({ bytes, hex }, shards) => {
        expect(shardIndexOf(bytes, shards)).toBe(shardOf(hex, shards).index);
      }),
    );
  });

  it('are about equally full', async () => {
    const sizes = [0, 0, 0, 0];
    for (let i = 0; i < 2000; i++) {
      const { index } = shardOf((await issue()).serial);
      sizes[index] = (sizes[index] ?? 0) + 1;
    }
    for (const size of sizes) expect(Math.abs(size - 500)).toBeLessThan(120);
  });

  it('have names that say index and count', () => {
    expect(crlShardName({ index: 0, count: 1 })).toBe('0of1');
    expect(crlShardName({ index: 15, count: 16 })).toBe('15of16');
    expect(crlShardName({ index: 4095, count: 4096 })).toBe('4095of4096');
    expect(crlShardUrl('http://a.example/list', { index: 0, count: 2 })).toBe(
      'http://a.example/list-0of2.crl',
    );
  });
});

describe.skipIf(!has('openssl', 'certtool'))('OpenSSL and GnuTLS', () => {
  it('find each leaf’s shard among all of them, with deltas (-crl_check_all -use_deltas)', async () => {
    const issued = await Promise.all(Array.from({ length: 24 }, () => issue()));
    const inShard = (index: number): IssuedCertificate[] =>
      issued.filter(({ serial }) => shardOf(serial).index === index);
    const revoked = issued.filter((_, i) => i % 3 === 0).map(({ serial }) => serial);
    const late = issued.filter((_, i) => i % 3 === 1).map(({ serial }) => serial);
    const crls: Uint8Array[] = [];
    for (let index = 0; index < count; index++) {
      const mine = (serials: SerialHex[]): SerialHex[] =>
        serials.filter((serial) => inShard(index).some((one) => one.serial === serial));
      crls.push(
        await shardCrl(index, mine(revoked)),
        await createDeltaCrl({
          authority,
          number: 4,
          baseNumber: 3,
          thisUpdate: now,
          nextUpdate: now + Duration.days(1),
          entries: mine(late).map((serial) => ({ serial, revokedAt: now, reason: 'superseded' })),
          scope: 'user',
          distributionPoint: crlShardUrl(urls.crl, { index, count }),
        }),
      );
    }
    const rootCrl = await createCrl({
      authority: hierarchy.root,
      number: 1,
      thisUpdate: now,
      nextUpdate: now + Duration.days(30),
      entries: [],
      scope: 'ca',
    });
    const bench = await Workbench.create();
    await bench.put('root.pem', certificateBlock(hierarchy.root.certificateDer));
    await bench.put('issuing.pem', certificateBlock(authority.certificateDer));
    await bench.put('crls.pem', ...[rootCrl, ...crls].map(crlBlock));
    const leaves = issued.map((_, i) => `leaf-${String(i)}.pem`);
    for (const [i, { der }] of issued.entries()) {
      await bench.put(leaves[i] ?? '', certificateBlock(der));
    }
    const verify = async (...more: string[]): Promise<string> => {
      const { output } = await bench.run(
        'openssl',
        ...['verify', '-x509_strict', '-crl_check_all', '-extended_crl', ...more],
        ...['-attime', atTime(now + 60_000), '-CAfile', 'root.pem', '-untrusted', 'issuing.pem'],
        ...['-CRLfile', 'crls.pem', ...leaves],
      );
      return output;
    };
    const full = await verify();
    const withDeltas = await verify('-use_deltas');
    for (const [i, leaf] of leaves.entries()) {
      expect(full.includes(`${leaf}: OK`)).toBe(i % 3 !== 0);
      expect(withDeltas.includes(`${leaf}: OK`)).toBe(i % 3 === 2);
    }

    await bench.put('shard.pem', crlBlock(crls[0] ?? new Uint8Array()));
    const gnutls = await bench.run('certtool', '--crl-info', '--infile', 'shard.pem');
    expect(gnutls.output).toContain('CRL Number (not critical): 03');
    expect((await bench.run('openssl', 'asn1parse', '-in', 'shard.pem')).code).toBe(0);
  });
});
