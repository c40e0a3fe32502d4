import { Duration } from '@keyline/kernel';
import { createCsr, oids, parseCertificate } from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import type { CrossCertificateOptions } from '../src/cross-certificate.ts';
import {
  createCrossCertificate,
  createIssuer,
  createIssuingCertificate,
  createRootCertificate,
  parseCsr,
  verifyChain,
} from '../src/index.ts';
import {
  atTime,
  certificateBlock,
  createTestSigner,
  deviceProfile,
  now,
  profilesOf,
  urls,
  Workbench,
} from './hierarchy.ts';

interface Root {
  readonly certificateDer: Uint8Array;
  readonly signer: ReturnType<typeof createTestSigner>;
}
async function createRoot(commonName: string, pathLen?: number): Promise<Root> {
  const signer = createTestSigner('ec-p256');
  const validity = Duration.days(3650);
  return {
    signer,
    certificateDer: await createRootCertificate({ signer, commonName, now, validity, pathLen }),
  };
}
/** A leaf under an issuing authority under this root. */
async function issueUnder(root: Root): Promise<{ issuingDer: Uint8Array; leafDer: Uint8Array }> {
  const signer = createTestSigner('ec-p256');
  const csr = parseCsr(await createCsr({ signer, commonName: 'Issuing' }));
  const validity = Duration.days(1000);
  const issuingDer = await createIssuingCertificate({ root, csr, now, validity });
  const authority = { id: 'issuing-1', certificateDer: issuingDer, signer, urls };
  const issuer = await createIssuer(authority, profilesOf(deviceProfile));
  const { spkiDer, algorithm } = createTestSigner('ec-p256');
  const request = { profile: 'device-client', id: 'pump-1', spkiDer, algorithm, now };
  return { issuingDer, leafDer: (await issuer.issue(request)).der };
}
const cross = (
  issuer: Root,
  subject: Root,
  more: Partial<CrossCertificateOptions> = {},
): Promise<Uint8Array> =>
  createCrossCertificate({
    issuer,
    subjectDer: subject.certificateDer,
    now,
    validity: Duration.days(365),
    ...more,
  });

let old: Root;
let young: Root;
beforeAll(async () => {
  old = await createRoot('Plant Root G1');
  young = await createRoot('Plant Root G2');
});

describe('createCrossCertificate', () => {
  it('gives the other root’s name, key and key identifier, under this root’s name', async () => {
    const certificate = parseCertificate(await cross(young, old));
    const [subject, issuer] = [old, young].map((one) => parseCertificate(one.certificateDer));
    expect(certificate).toMatchObject({
      subjectDer: subject?.subjectDer,
      spkiDer: subject?.spkiDer,
      subjectKeyId: subject?.subjectKeyId,
      issuerDer: issuer?.subjectDer,
      authorityKeyId: issuer?.subjectKeyId,
      keyUsage: ['keyCertSign', 'cRLSign'],
      isCa: true,
      selfSigned: false,
      notAfter: now + Duration.days(365),
    });
    expect(certificate).not.toHaveProperty('pathLen');
  });

  it('ends with the root that ends first', async () => {
    const signer = createTestSigner('ec-p256');
    const validity = Duration.days(30);
    const certificateDer = await createRootCertificate({
      signer,
      commonName: 'Brief',
      now,
      validity,
    });
    const brief = { signer, certificateDer };
    const long = { validity: Duration.days(99_999) };
    expect(parseCertificate(await cross(brief, old, long)).notAfter).toBe(now + validity);
    expect(parseCertificate(await cross(old, brief, long)).notAfter).toBe(now + validity);
    await expect(cross(old, brief, { now: now + Duration.days(31) })).rejects.toMatchObject({
      code: 'VALIDITY_NOT_ALLOWED',
    });
  });

  it('carries URLs and name constraints that are asked for', async () => {
    const certificate = parseCertificate(
      await cross(young, old, {
        urls: { crl: 'http://pki.example.com/g2.crl', caIssuers: 'http://pki.example.com/g2.cer' },
        nameConstraints: { permitted: { dns: ['plant.example'] } },
      }),
    );
    expect(certificate.crlDistributionPoints).toEqual(['http://pki.example.com/g2.crl']);
    const constraint = certificate.extensions.find(({ oid }) => oid === oids.nameConstraints);
    expect(constraint?.critical).toBe(true);
  });

  it('leaves as many levels as both roots allow (RFC 5280 §4.2.1.9)', async () => {
    const two = await createRoot('Two', 2);
    const zero = await createRoot('Zero', 0);
    expect(parseCertificate(await cross(two, old)).pathLen).toBe(1);
    expect(parseCertificate(await cross(old, two)).pathLen).toBe(2);
    expect(parseCertificate(await cross(old, two, { pathLen: 1 })).pathLen).toBe(1);
    await expect(cross(zero, old)).rejects.toMatchObject({ code: 'PATH_INVALID' });
    await expect(cross(two, old, { pathLen: 2 })).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });

  it('takes no level between roots of one name (RFC 5280 §6.1.4 (l))', async () => {
    const before = await createRoot('Same', 1);
    const after = await createRoot('Same', 1);
    expect(parseCertificate(await cross(after, before)).pathLen).toBe(1);
    const { issuingDer, leafDer } = await issueUnder(before);
    const intermediates = [issuingDer, await cross(after, before)];
    const verdict = verifyChain({ leafDer, intermediates, roots: [after.certificateDer], now });
    expect(verdict).toMatchObject({ status: 'valid' });
  });

  it('refuses what is no root, what nothing proves, and a root with itself', async () => {
    const { issuingDer, leafDer } = await issueUnder(old);
    const broken = Uint8Array.from(young.certificateDer);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    for (const subjectDer of [issuingDer, leafDer, broken, old.certificateDer]) {
      await expect(cross(old, young, { subjectDer })).rejects.toMatchObject({
        code: 'PATH_INVALID',
      });
    }
  });
});

describe('verifyChain over a change of root', () => {
  const ask = (
    { issuingDer, leafDer }: { issuingDer: Uint8Array; leafDer: Uint8Array },
    roots: Root[],
    ...crosses: Uint8Array[]
  ): string => {
    const verdict = verifyChain({
      leafDer,
      intermediates: [issuingDer, ...crosses],
      roots: roots.map(({ certificateDer }) => certificateDer),
      now,
      requiredEku: 'clientAuth',
    });
    return verdict.status === 'valid'
      ? verdict.path.map(({ commonName }) => commonName).join(' < ')
      : verdict.reason;
  };

  it('reaches the new root from below the old one, and the other way round (RFC 4210 §4.4)', async () => {
    const belowOld = await issueUnder(old);
    const belowYoung = await issueUnder(young);
    const oldWithNew = await cross(young, old);
    const newWithOld = await cross(old, young);
    expect(ask(belowOld, [young], oldWithNew, newWithOld)).toBe(
      'pump-1 < Issuing < Plant Root G1 < Plant Root G2',
    );
    expect(ask(belowYoung, [old], oldWithNew, newWithOld)).toBe(
      'pump-1 < Issuing < Plant Root G2 < Plant Root G1',
    );
    expect(ask(belowOld, [old, young], oldWithNew, newWithOld)).toBe(
      'pump-1 < Issuing < Plant Root G1',
    );
    expect(ask(belowOld, [young], newWithOld)).toContain('No authority was found');
  });

  it('goes in no circle when neither root is trusted', async () => {
    const other = await createRoot('Other');
    const crosses = [await cross(young, old), await cross(old, young)];
    expect(ask(await issueUnder(old), [other], ...crosses)).toContain('No authority was found');
  });

  it('refuses a root whose own signature does not verify', async () => {
    const broken = Uint8Array.from(old.certificateDer);
    broken[broken.length - 1] = (broken.at(-1) ?? 0) ^ 1;
    const damaged = { ...old, certificateDer: broken };
    expect(ask(await issueUnder(old), [damaged])).toContain('does not verify with its own key');
  });

  it('remembers nothing that a second question could be misled by', async () => {
    const below = await issueUnder(old);
    const parsed = {
      intermediates: [parseCertificate(below.issuingDer)],
      roots: [parseCertificate(old.certificateDer)],
    };
    const askParsed = (leafDer: Uint8Array): string =>
      verifyChain({ leafDer, ...parsed, now }).status;
    const changed = Uint8Array.from(below.leafDer);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    expect(askParsed(below.leafDer)).toBe('valid');
    expect(askParsed(changed)).toBe('invalid');
    expect(askParsed(below.leafDer)).toBe('valid');
    const stranger = await issueUnder(young);
    expect(askParsed(stranger.leafDer)).toBe('invalid');
  });
});

describe.skipIf(!has('openssl', 'certtool'))('OpenSSL', () => {
  it('follows the cross-certificates both ways (verify -x509_strict)', async () => {
    const bench = await Workbench.create();
    const belowOld = await issueUnder(old);
    const belowYoung = await issueUnder(young);
    await bench.put(
      'untrusted.pem',
      ...[belowOld.issuingDer, belowYoung.issuingDer].map(certificateBlock),
      ...[await cross(young, old), await cross(old, young)].map(certificateBlock),
    );
    await bench.put('old.pem', certificateBlock(old.certificateDer));
    await bench.put('young.pem', certificateBlock(young.certificateDer));
    await bench.put('below-old.pem', certificateBlock(belowOld.leafDer));
    await bench.put('below-young.pem', certificateBlock(belowYoung.leafDer));
    for (const root of ['old.pem', 'young.pem']) {
      const { code } = await bench.run(
        'openssl',
        ...['verify', '-x509_strict', '-attime', atTime(now + 60_000), '-CAfile', root],
        ...['-untrusted', 'untrusted.pem', 'below-old.pem', 'below-young.pem'],
      );
      expect([root, code]).toEqual([root, 0]);
    }
  });
});
