import { Duration } from '@keyline/kernel';
import { der, encodeExtension, hexOf, oids, parseCertificate, parseCrl } from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { createCrlStatusSource } from '../src/crl-status.ts';
import type { DeltaCrlContent } from '../src/crl.ts';
import {
  createCrl,
  createDeltaCrl,
  createIssuer,
  deltaCrlUrl,
  verifyChain,
  type CrlEntry,
  type DeltaCrlEntry,
  type IssuedCertificate,
} from '../src/index.ts';
import { signTbs } from '../src/sign-tbs.ts';
import {
  atTime,
  certificateBlock,
  createHierarchy,
  createTestSigner,
  crlBlock,
  deviceProfile,
  now,
  profilesOf,
  urls,
  Workbench,
  type Hierarchy,
} from './hierarchy.ts';

let hierarchy: Hierarchy;
let held: IssuedCertificate;
let stolen: IssuedCertificate;
let well: IssuedCertificate;
let base: Uint8Array;
beforeAll(async () => {
  hierarchy = await createHierarchy();
  const issuer = await createIssuer(hierarchy.issuing, profilesOf(deviceProfile));
  const { spkiDer, algorithm } = createTestSigner('ec-p256');
  const issue = (id: string): Promise<IssuedCertificate> =>
    issuer.issue({ profile: 'device-client', id, spkiDer, algorithm, now });
  [held, stolen, well] = await Promise.all([issue('held'), issue('stolen'), issue('well')]);
  base = await createBase([{ serial: held.serial, revokedAt: now, reason: 'certificateHold' }]);
});

const times = { thisUpdate: now, nextUpdate: now + Duration.days(7) };
const later = { thisUpdate: now + 60_000, nextUpdate: now + Duration.days(1) };
const createBase = (entries: CrlEntry[], number = 5): Promise<Uint8Array> =>
  createCrl({
    authority: hierarchy.issuing,
    number,
    ...times,
    entries,
    scope: 'user',
    distributionPoint: urls.crl,
    freshestCrl: deltaCrlUrl(urls.crl),
  });
const createDelta = (
  entries: DeltaCrlEntry[],
  more: Partial<DeltaCrlContent> = {},
): Promise<Uint8Array> =>
  createDeltaCrl({
    authority: hierarchy.issuing,
    number: 6,
    baseNumber: 5,
    ...later,
    entries,
    scope: 'user',
    distributionPoint: urls.crl,
    ...more,
  });
const released = (): DeltaCrlEntry => ({
  serial: held.serial,
  revokedAt: now + 1000,
  reason: 'removeFromCRL',
});
const lost = (): DeltaCrlEntry => ({
  serial: stolen.serial,
  revokedAt: now + 2000,
  reason: 'keyCompromise',
});
const valueOf = (crlDer: Uint8Array, oid: string): string | undefined => {
  const extension = parseCrl(crlDer).extensions.find((each) => each.oid === oid);
  return extension && `${extension.critical ? 'critical ' : ''}${hexOf(extension.valueDer)}`;
};
const statuses = (...crls: Uint8Array[]): string[] => {
  const statusOf = createCrlStatusSource({ crls, now: now + Duration.hours(1) });
  const issuer = parseCertificate(hierarchy.issuing.certificateDer);
  return [held, stolen, well].map(
    (one) => statusOf(parseCertificate(one.der), issuer, issuer).status,
  );
};

describe('createDeltaCrl', () => {
  it('marks the delta critically with the number of its base, and shares the row of numbers (RFC 5280 §5.2.4)', async () => {
    const delta = await createDelta([lost()]);
    expect(valueOf(delta, oids.deltaCRLIndicator)).toBe('critical 020105');
    expect(parseCrl(delta)).toMatchObject({ isDelta: true, baseNumber: 5n, number: 6n });
    expect(parseCrl(base)).toMatchObject({ isDelta: false, number: 5n });
  });

  it.each([
    ['as high as its own', 6],
    ['above its own', 7],
    ['below zero', -1],
  ])('refuses a base whose number is %s (RFC 5280 §5.2.4)', async (_title, baseNumber) => {
    await expect(createDelta([], { baseNumber })).rejects.toMatchObject({ code: 'INTERNAL' });
  });

  it('covers what its base covers, in identical bytes (RFC 5280 §5.2.4)', async () => {
    const delta = await createDelta([]);
    for (const oid of [oids.issuingDistributionPoint, oids.authorityKeyIdentifier]) {
      expect(valueOf(delta, oid)).toBe(valueOf(base, oid));
    }
  });

  it('is announced by a freshest CRL in the base, and carries none itself (RFC 5280 §5.2.6)', async () => {
    expect(parseCrl(base).freshestCrl).toEqual(['http://pki.example.com/crl/issuing-1-delta.crl']);
    expect(valueOf(base, oids.freshestCRL)).not.toContain('critical');
    expect(parseCrl(await createDelta([])).freshestCrl).toEqual([]);
  });

  it('writes removeFromCRL (RFC 5280 §5.3.1)', async () => {
    expect(parseCrl(await createDelta([released(), lost()])).entries).toEqual([released(), lost()]);
  });
});

describe('a complete CRL', () => {
  it('never says removeFromCRL: it is neither written nor read (RFC 5280 §5.3.1)', async () => {
    const entries = [released()] as unknown as CrlEntry[];
    await expect(createBase(entries)).rejects.toThrow(/removeFromCRL/);
    const delta = parseCrl(await createDelta([released()]));
    const withoutMark = await resign(delta.tbsDer, (extensions) =>
      extensions.filter(({ oid }) => oid !== oids.deltaCRLIndicator),
    );
    expect(() => parseCrl(withoutMark)).toThrow(/removeFromCRL/);
  });

  it('and a delta with a freshest CRL is not read (RFC 5280 §5.2.6)', async () => {
    const freshest = parseCrl(base).extensions.filter(({ oid }) => oid === oids.freshestCRL);
    const delta = parseCrl(await createDelta([]));
    const withFreshest = await resign(delta.tbsDer, (extensions) => [...extensions, ...freshest]);
    expect(() => parseCrl(withFreshest)).toThrow(/freshest/);
  });

  type Extensions = ReturnType<typeof parseCrl>['extensions'];
  async function resign(
    tbsDer: Uint8Array,
    change: (extensions: Extensions) => Extensions,
  ): Promise<Uint8Array> {
    const crl = parseCrl(await signTbs(hierarchy.issuing.signer, tbsDer));
    const tail = (extensions: Extensions): Uint8Array =>
      der.explicit(0, der.sequence(...extensions.map(encodeExtension)));
    const content = Buffer.from(tbsDer);
    const oldTail = tail(crl.extensions);
    const headerBytes = 1 + der.lengthSize(content.length - 4);
    const body = content.subarray(headerBytes, content.length - oldTail.length);
    return signTbs(hierarchy.issuing.signer, der.sequence(body, tail(change(crl.extensions))));
  }
});

describe('createCrlStatusSource', () => {
  it('takes base and delta together (RFC 5280 §6.3.3)', async () => {
    expect(statuses(base)).toEqual(['revoked', 'good', 'good']);
    const delta = await createDelta([released(), lost()]);
    expect(statuses(base, delta)).toEqual(['good', 'revoked', 'good']);
    const next = await createDelta([lost()], { number: 7 });
    expect(statuses(next, base, delta)).toEqual(['revoked', 'revoked', 'good']);
  });

  it('knows nothing from a delta alone', async () => {
    expect(statuses(await createDelta([lost()]))).toEqual(['unknown', 'unknown', 'unknown']);
  });

  it.each([
    ['to a later base', { baseNumber: 6, number: 7 }],
    ['of another scope', { scope: 'ca' as const }],
    ['of another distribution point', { distributionPoint: 'http://pki.example.com/crl/x.crl' }],
    ['of no distribution point', { distributionPoint: undefined }],
    ['that has ended', { nextUpdate: now + 120_000 }],
  ])('leaves a delta aside that is %s (RFC 5280 §6.3.3 (c))', async (_title, more) => {
    expect(statuses(base, await createDelta([lost()], more))).toEqual(['revoked', 'good', 'good']);
  });

  it('leaves a delta aside that is older than the complete CRL', async () => {
    const newer = await createBase([], 9);
    expect(statuses(base, newer, await createDelta([lost()]))).toEqual(['good', 'good', 'good']);
  });
});

describe.skipIf(!has('openssl', 'certtool'))('OpenSSL and GnuTLS', () => {
  async function bench(): Promise<Workbench> {
    const made = await Workbench.create();
    await made.put('root.pem', certificateBlock(hierarchy.root.certificateDer));
    await made.put('issuing.pem', certificateBlock(hierarchy.issuing.certificateDer));
    await made.put('held.pem', certificateBlock(held.der));
    await made.put('stolen.pem', certificateBlock(stolen.der));
    await made.put('well.pem', certificateBlock(well.der));
    return made;
  }
  const verify = async (
    files: Workbench,
    leaf: string,
    ...more: string[]
  ): Promise<{ code: number; output: string }> =>
    files.run(
      'openssl',
      ...['verify', '-x509_strict', '-crl_check', '-extended_crl', ...more],
      ...['-attime', atTime(now + Duration.hours(1))],
      ...['-CAfile', 'root.pem', '-untrusted', 'issuing.pem', '-CRLfile', 'crls.pem', leaf],
    );

  it('find the delta through the base and obey it (openssl verify -use_deltas)', async () => {
    const files = await bench();
    const delta = await createDelta([released(), lost()]);
    await files.put('crls.pem', crlBlock(base), crlBlock(delta));
    expect((await verify(files, 'held.pem')).output).toContain('certificate revoked');
    expect(await verify(files, 'stolen.pem')).toMatchObject({ code: 0 });
    expect(await verify(files, 'held.pem', '-use_deltas')).toMatchObject({ code: 0 });
    expect((await verify(files, 'stolen.pem', '-use_deltas')).output).toContain(
      'certificate revoked',
    );
    expect(await verify(files, 'well.pem', '-use_deltas')).toMatchObject({ code: 0 });
  });

  it('agree with Keyline on every leaf', async () => {
    const files = await bench();
    const delta = await createDelta([released(), lost()]);
    await files.put('crls.pem', crlBlock(base), crlBlock(delta));
    for (const [name, leaf] of Object.entries({ held, stolen, well })) {
      const theirs = (await verify(files, `${name}.pem`, '-use_deltas')).code === 0;
      const ours = verifyChain({
        leafDer: leaf.der,
        intermediates: [hierarchy.issuing.certificateDer],
        roots: [hierarchy.root.certificateDer],
        now: now + Duration.hours(1),
        statusOf: (certificate, issuer, anchor) =>
          certificate.isCa
            ? { status: 'good' }
            : createCrlStatusSource({ crls: [base, delta], now: now + Duration.hours(1) })(
                certificate,
                issuer,
                anchor,
              ),
      });
      expect([name, ours.status]).toEqual([name, theirs ? 'valid' : 'invalid']);
    }
  });

  it('print it', async () => {
    const files = await bench();
    await files.put('base.pem', crlBlock(base));
    await files.put('delta.pem', crlBlock(await createDelta([released()])));
    const text = async (file: string): Promise<string> => {
      const command = ['crl', '-in', file, '-CAfile', 'issuing.pem', '-verify', '-noout', '-text'];
      return (await files.run('openssl', ...command)).output;
    };
    const printed = await text('delta.pem');
    expect(printed).toContain('verify OK');
    expect(printed).toMatch(/Delta CRL Indicator: critical\s+5\s/);
    expect(printed).toContain('Remove From CRL');
    expect(await text('base.pem')).toMatch(
      /Freshest CRL:\s+Full Name:\s+URI:http:\/\/pki.example.com\/crl\/issuing-1-delta.crl/,
    );
    expect((await files.run('openssl', 'asn1parse', '-in', 'delta.pem')).code).toBe(0);
    const gnutls = await files.run('certtool', '--crl-info', '--infile', 'delta.pem');
    expect(gnutls).toMatchObject({ code: 0 });
    expect(gnutls.output).toContain('CRL Number (not critical): 06');
  });
});
