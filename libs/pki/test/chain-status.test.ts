import { Duration } from '@keyline/kernel';
import { parseCertificate, type ParsedCertificate } from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { createCrlStatusSource } from '../src/crl-status.ts';
import type { CrlContent } from '../src/crl.ts';
import {
  createCrl,
  createIssuer,
  verifyChain,
  type CertificateStatus,
  type Profile,
} from '../src/index.ts';
import type { ChainQuestion, ChainVerdict } from '../src/verify-chain.ts';
import {
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  ocspProfile,
  profilesOf,
  urls,
  type Hierarchy,
} from './hierarchy.ts';
import { ca, make } from './made-certificates.ts';

const shortProfile: Profile = {
  ...deviceProfile,
  name: 'short',
  validity: { duration: 'P1D' },
  noRevAvail: true,
  crlDistributionPoint: false,
};
let hierarchy: Hierarchy;
const leaves = new Map<string, Uint8Array>();
beforeAll(async () => {
  hierarchy = await createHierarchy();
  const issuer = await createIssuer(
    hierarchy.issuing,
    profilesOf(deviceProfile, ocspProfile, shortProfile),
  );
  const { spkiDer, algorithm } = createTestSigner('ec-p256');
  for (const profile of ['device-client', 'ocsp-responder', 'short']) {
    const { der } = await issuer.issue({ profile, id: 'pump-1', spkiDer, algorithm, now });
    leaves.set(profile, der);
  }
});
const leafOf = (profile: string): Uint8Array => leaves.get(profile) ?? new Uint8Array();
const question = (profile = 'device-client'): ChainQuestion => ({
  leafDer: leafOf(profile),
  intermediates: [hierarchy.issuing.certificateDer],
  roots: [hierarchy.root.certificateDer],
  now,
});
const good: CertificateStatus = { status: 'good' };
const revoked: CertificateStatus = { status: 'revoked', revokedAt: now, reason: 'keyCompromise' };
const unknown: CertificateStatus = { status: 'unknown' };
const shortOf = (verdict: ChainVerdict): string =>
  verdict.status === 'valid' ? 'valid' : `${verdict.fault}: ${verdict.reason}`;

describe('revocation status (RFC 5280 §6.1.3 (a)(3))', () => {
  const verdictBy = (
    answer: (certificate: ParsedCertificate) => CertificateStatus,
    profile?: string,
  ): string => shortOf(verifyChain({ ...question(profile), statusOf: answer }));

  it('"good" for every certificate but the trust anchor makes the path valid', () => {
    const asked: (string | undefined)[] = [];
    const verdict = verifyChain({
      ...question(),
      statusOf(certificate, issuer) {
        asked.push(`${certificate.commonName ?? ''} by ${issuer.commonName ?? ''}`);
        return good;
      },
    });
    expect(verdict.status).toBe('valid');
    expect(asked).toEqual(['Test Issuing 1 by Test Root', 'pump-1 by Test Issuing 1']);
    expect(verdictBy(() => good)).toBe('valid');
  });

  it('"revoked" makes it invalid, for the leaf and for an authority', () => {
    expect(verdictBy(({ isCa }) => (isCa ? good : revoked))).toBe(
      'revoked: "pump-1" was revoked (keyCompromise) (RFC 5280 §6.1.3 (a)(3)).',
    );
    expect(verdictBy(({ isCa }) => (isCa ? revoked : good))).toContain(
      'revoked: "Test Issuing 1" was revoked',
    );
  });

  it('"unknown" is never "good"', () => {
    expect(verdictBy(({ isCa }) => (isCa ? good : unknown))).toContain(
      'status-unknown: Whether "pump-1" was revoked is not known',
    );
    expect(verdictBy(({ isCa }) => (isCa ? unknown : good))).toContain('status-unknown');
  });

  it('a question that fails is no answer', () => {
    const statusOf = (): CertificateStatus => {
      throw new Error('no route');
    };
    expect(() => verifyChain({ ...question(), statusOf })).toThrow('no route');
  });

  it('asks nothing about a path that is not valid anyway', () => {
    const ask = (): CertificateStatus => {
      throw new Error('asked');
    };
    const late = { ...question(), now: now + Duration.days(91) };
    expect(shortOf(verifyChain({ ...late, statusOf: ask }))).toContain(
      'path: "pump-1" has expired',
    );
  });

  it('is not asked for where the authority says that there is none (RFC 9608 §4, RFC 6960 §4.2.2.2.1)', () => {
    const onlyAuthorities = ({ isCa }: ParsedCertificate): CertificateStatus =>
      isCa ? good : unknown;
    expect(verdictBy(onlyAuthorities, 'short')).toBe('valid');
    expect(verdictBy(onlyAuthorities, 'ocsp-responder')).toBe('valid');
    expect(verdictBy(onlyAuthorities, 'device-client')).toContain('status-unknown');
  });

  it('of one path does not spoil another', async () => {
    const root = await make('R', { extensions: ca() });
    const key = createTestSigner('ec-p256');
    const first = await make('M', { issuer: root, extensions: ca(), signer: key });
    const second = await make('M', { issuer: root, extensions: ca(), signer: key });
    const leaf = await make('L', { issuer: first, signer: createTestSigner('ec-p256') });
    const bad = parseCertificate(first.der).serial;
    const statusOf = ({ serial }: ParsedCertificate): CertificateStatus =>
      serial === bad ? revoked : good;
    const ask = (intermediates: Uint8Array[]): string =>
      shortOf(verifyChain({ leafDer: leaf.der, intermediates, roots: [root.der], now, statusOf }));
    expect(ask([first.der])).toContain('revoked');
    expect(ask([first.der, second.der])).toBe('valid');
  });
});

describe('createCrlStatusSource', () => {
  const create = (
    more: Partial<CrlContent> = {},
    by: 'issuing' | 'root' = 'issuing',
  ): Promise<Uint8Array> =>
    createCrl({
      authority: hierarchy[by],
      number: 1,
      thisUpdate: now,
      nextUpdate: now + Duration.days(7),
      entries: [],
      scope: by === 'root' ? 'ca' : 'user',
      ...(by === 'root' ? {} : { distributionPoint: urls.crl }),
      ...more,
    });
  const verify = async (at: number, ...crls: Promise<Uint8Array>[]): Promise<string> =>
    shortOf(
      verifyChain({
        ...question(),
        now: at,
        statusOf: createCrlStatusSource({ crls: await Promise.all(crls), now: at }),
      }),
    );

  it('finds every certificate of a path in the CRL of its issuer (RFC 5280 §6.3.3)', async () => {
    expect(await verify(now, create(), create({}, 'root'))).toBe('valid');
    const { serial } = parseCertificate(leafOf('device-client'));
    const entries = [{ serial, revokedAt: now, reason: 'superseded' as const }];
    expect(await verify(now, create({ entries }), create({}, 'root'))).toContain('revoked');
  });

  it.each([
    ['one that is missing', now, (): Promise<Uint8Array>[] => [create({}, 'root')]],
    ['the one of the root', now, (): Promise<Uint8Array>[] => [create()]],
    [
      'one past its end',
      now + Duration.days(8),
      (): Promise<Uint8Array>[] => [
        create(),
        create({ nextUpdate: now + Duration.days(30) }, 'root'),
      ],
    ],
    [
      'one not begun',
      now,
      (): Promise<Uint8Array>[] => [create({ thisUpdate: now + 1000 }), create({}, 'root')],
    ],
    [
      'one for authorities only',
      now,
      (): Promise<Uint8Array>[] => [create({ scope: 'ca' }), create({}, 'root')],
    ],
    [
      'one of another distribution point',
      now,
      (): Promise<Uint8Array>[] => [
        create({ distributionPoint: 'http://pki.example.com/x.crl' }),
        create({}, 'root'),
      ],
    ],
  ])('concludes nothing from %s', async (_title, at, crls) => {
    expect(await verify(at, ...crls())).toContain('status-unknown');
  });

  it('concludes nothing from one that another key signed, or that its signer may not sign (§6.3.3 (f), (g))', async () => {
    const other = await createHierarchy();
    const forged = createCrl({
      authority: other.issuing,
      number: 99,
      thisUpdate: now,
      nextUpdate: now + 1000,
      entries: [],
      scope: 'user',
      distributionPoint: urls.crl,
    });
    expect(await verify(now, forged, create({}, 'root'))).toContain('status-unknown');
    expect(await verify(now, forged, create(), create({}, 'root'))).toBe('valid');
  });

  it('takes the newest of several', async () => {
    const { serial } = parseCertificate(leafOf('device-client'));
    const entries = [{ serial, revokedAt: now, reason: 'superseded' as const }];
    const crls = [create(), create({ number: 2, entries }), create({}, 'root')];
    expect(await verify(now, ...crls)).toContain('revoked');
    expect(await verify(now, ...crls.toReversed())).toContain('revoked');
  });
});
