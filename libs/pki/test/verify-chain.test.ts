import { Duration } from '@keyline/kernel';
import { createCsr, der, encodeKeyUsage, oids, type Extension } from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createIssuer,
  createIssuingCertificate,
  createRootCertificate,
  parseCsr,
  verifyChain,
} from '../src/index.ts';
import type { ChainQuestion } from '../src/verify-chain.ts';
import {
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  profilesOf,
  type Hierarchy,
} from './hierarchy.ts';
import { ca, make, sharedKey as key, saysCa } from './made-certificates.ts';

let hierarchy: Hierarchy;
let leafDer: Uint8Array;
beforeAll(async () => {
  hierarchy = await createHierarchy();
  const issuer = await createIssuer(hierarchy.issuing, profilesOf(deviceProfile));
  const { spkiDer, algorithm } = createTestSigner('ec-p256');
  leafDer = (
    await issuer.issue({ profile: 'device-client', id: 'pump-1', spkiDer, algorithm, now })
  ).der;
});

const ask = (more: Partial<ChainQuestion> = {}): string => {
  const verdict = verifyChain({
    leafDer,
    intermediates: [hierarchy.issuing.certificateDer],
    roots: [hierarchy.root.certificateDer],
    now,
    requiredEku: 'clientAuth',
    ...more,
  });
  return verdict.status === 'valid'
    ? `valid: ${verdict.path.map(({ commonName }) => commonName).join(' < ')}`
    : verdict.reason;
};

describe('verifyChain', () => {
  it('finds the path from leaf to root, whatever else is sent', async () => {
    const other = await createHierarchy();
    expect(ask()).toBe('valid: pump-1 < Test Issuing 1 < Test Root');
    expect(
      ask({
        intermediates: [
          other.issuing.certificateDer,
          other.root.certificateDer,
          hierarchy.issuing.certificateDer,
        ],
        roots: [other.root.certificateDer, hierarchy.root.certificateDer],
      }),
    ).toMatch(/^valid/);
  });

  it('refuses a signature by another key of the same name (RFC 5280 §6.1.3 (a)(1))', async () => {
    const other = await createHierarchy();
    expect(ask({ roots: [other.root.certificateDer] })).toContain('signature');
    expect(
      ask({ intermediates: [other.issuing.certificateDer], roots: [other.root.certificateDer] }),
    ).toContain('signature');
  });

  it('refuses a certificate that is expired or not valid yet (RFC 5280 §6.1.3 (a)(2))', () => {
    expect(ask({ now: now + Duration.days(91) })).toContain('"pump-1" has expired');
    expect(ask({ now: now - Duration.days(1) })).toContain('not valid yet');
  });

  it('refuses an expired authority', async () => {
    const root = await make('R', { extensions: ca() });
    const leaf = await make('L', { issuer: root, signer: createTestSigner('ec-p256') });
    const question = { leafDer: leaf.der, intermediates: [], roots: [root.der] };
    expect(ask(question)).toMatch(/^valid/);
    expect(ask({ ...question, now: now + Duration.days(2) })).toContain('expired');
  });

  it('refuses a chain without its root, and an empty one', () => {
    expect(ask({ roots: [] })).toContain('No authority was found that issued "Test Issuing 1"');
    expect(ask({ intermediates: [] })).toContain('No authority was found that issued "pump-1"');
  });

  it('refuses another extended key usage (RFC 5280 §4.2.1.12), in an authority too', async () => {
    expect(ask({ requiredEku: 'serverAuth' })).toContain('not meant for serverAuth');
    const csr = parseCsr(
      await createCsr({ signer: hierarchy.issuing.signer, commonName: 'Test Issuing 1' }),
    );
    const narrow = await createIssuingCertificate({
      root: hierarchy.root,
      csr,
      now,
      validity: Duration.days(100),
      extendedKeyUsage: ['serverAuth'],
    });
    expect(ask({ intermediates: [narrow] })).toContain(
      '"Test Issuing 1" is not meant for clientAuth',
    );
  });

  it('refuses a leaf in the place of an authority (RFC 5280 §6.1.4 (k))', async () => {
    const root = await make('R', { extensions: ca() });
    const middle = await make('M', { issuer: root });
    const leaf = await make('L', { issuer: middle });
    expect(ask({ leafDer: leaf.der, intermediates: [middle.der], roots: [root.der] })).toContain(
      '"M" is not an authority',
    );
  });

  it('refuses an authority without keyCertSign (RFC 5280 §6.1.4 (n))', async () => {
    const root = await make('R', {
      extensions: [saysCa(), encodeKeyUsage(['cRLSign'])],
    });
    const leaf = await make('L', { issuer: root });
    expect(ask({ leafDer: leaf.der, intermediates: [], roots: [root.der] })).toContain(
      'may not sign certificates',
    );
  });

  it('counts the authorities below a path length (RFC 5280 §4.2.1.9)', async () => {
    for (const [pathLen, verdict] of [
      [1, 'valid'],
      [0, 'allows 0 authorities below it, there are 1'],
    ] as const) {
      const root = await make('R', { extensions: ca(pathLen) });
      const middle = await make('M', { issuer: root, extensions: ca() });
      const leaf = await make('L', { issuer: middle });
      expect(ask({ leafDer: leaf.der, intermediates: [middle.der], roots: [root.der] })).toContain(
        verdict,
      );
    }
  });

  // Among them what demands policies: policyMappings, policyConstraints, inhibitAnyPolicy.
  it.each(['2.5.29.33', '2.5.29.36', '2.5.29.54', '1.2.3.4'])(
    'refuses the unprocessed critical extension %s (RFC 5280 §4.2)',
    async (oid) => {
      const valueDer = der.sequence();
      const root = await make('R', { extensions: ca() });
      const question = { intermediates: [], roots: [root.der] };
      const critical = await make('L', {
        issuer: root,
        extensions: [{ oid, critical: true, valueDer }],
      });
      expect(ask({ ...question, leafDer: critical.der })).toContain(`critical extension ${oid}`);
      const harmless = await make('L', {
        issuer: root,
        extensions: [{ oid, critical: false, valueDer }],
      });
      expect(ask({ ...question, leafDer: harmless.der })).toMatch(/^valid/);
    },
  );

  it('takes an authority for its trust anchor when that is the one it is given (RFC 5280 §6.1.1 (d))', () => {
    expect(ask({ intermediates: [], roots: [hierarchy.issuing.certificateDer] })).toBe(
      'valid: pump-1 < Test Issuing 1',
    );
  });

  it('wants OCSPSigning said expressly, and does not look for it above (RFC 6960 §4.2.2.2)', async () => {
    const usage = (oid: string): Extension => ({
      oid: oids.extKeyUsage,
      critical: false,
      valueDer: der.sequence(der.oid(oid)),
    });
    const root = await make('R', { extensions: [...ca(), usage('1.3.6.1.5.5.7.3.2')] });
    const question = { intermediates: [], roots: [root.der], requiredEku: 'OCSPSigning' as const };
    const verdictOf = async (...extensions: Extension[]): Promise<string> =>
      ask({ ...question, leafDer: (await make('L', { issuer: root, extensions })).der });
    expect(await verdictOf(usage('1.3.6.1.5.5.7.3.9'))).toMatch(/^valid/);
    expect(await verdictOf(usage('2.5.29.37.0'))).toContain('not meant for OCSPSigning');
    expect(await verdictOf()).toContain('not meant for OCSPSigning');
  });

  it('reads policies and asks for none (RFC 5280 §6.1.1 (c)), but not critical ones with an unknown qualifier (§4.2.1.4)', async () => {
    const policies = (critical: boolean, ...policies: Uint8Array[]): Extension => ({
      oid: oids.certificatePolicies,
      critical,
      valueDer: der.sequence(...policies),
    });
    const policy = (oid: string, qualifier?: string): Uint8Array =>
      der.sequence(
        der.oid(oid),
        ...(qualifier === undefined
          ? []
          : [der.sequence(der.sequence(der.oid(qualifier), der.ia5String('x')))]),
      );
    const root = await make('R', { extensions: ca() });
    const question = { intermediates: [], roots: [root.der], requiredEku: undefined };
    const verdictOf = async (extension: Extension): Promise<string> =>
      ask({
        ...question,
        leafDer: (await make('L', { issuer: root, extensions: [extension] })).der,
      });
    expect(await verdictOf(policies(true, policy('1.2.3'), policy('2.5.29.32.0')))).toMatch(
      /^valid/,
    );
    expect(await verdictOf(policies(true, policy('1.2.3', oids.cps)))).toMatch(/^valid/);
    expect(await verdictOf(policies(false, policy('1.2.3', '1.2.4')))).toMatch(/^valid/);
    expect(await verdictOf(policies(true, policy('1.2.3', '1.2.4')))).toContain('qualifier');
    expect(await verdictOf(policies(true, policy('1.2.3'), policy('1.2.3')))).toContain(
      "can't be read",
    );
  });

  it('does not follow a circle, nor a chain without end', async () => {
    const a = await make('A', { extensions: ca() });
    const b = await make('B', { issuer: a, extensions: ca() });
    const crossed = await make('A', { issuer: b, extensions: ca() });
    const leaf = await make('L', { issuer: a });
    expect(ask({ leafDer: leaf.der, intermediates: [b.der, crossed.der], roots: [] })).toContain(
      'No authority',
    );
    const many = await Promise.all(
      Array.from({ length: 17 }, () => make('X', { issuer: a, extensions: ca() })),
    );
    expect(ask({ intermediates: many.map((one) => one.der) })).toContain('More than 16');
  });

  it('answers for bytes that are no certificate, without throwing', () => {
    expect(ask({ leafDer: Uint8Array.of(1, 2, 3) })).toContain("can't be read");
  });
});

describe('authority certificates', () => {
  it('may not go deeper than the root allows (RFC 5280 §4.2.1.9)', async () => {
    const csr = parseCsr(await createCsr({ signer: key, commonName: 'Deep' }));
    const options = { root: hierarchy.root, csr, now, validity: Duration.days(1) };
    await expect(createIssuingCertificate({ ...options, pathLen: 1 })).rejects.toMatchObject({
      code: 'PATH_INVALID',
    });
    await expect(createIssuingCertificate({ ...options, pathLen: 0 })).resolves.toBeInstanceOf(
      Uint8Array,
    );
  });

  it('end with their root, and not after', async () => {
    const csr = parseCsr(await createCsr({ signer: key, commonName: 'Long' }));
    const certificate = await createIssuingCertificate({
      root: hierarchy.root,
      csr,
      now,
      validity: Duration.days(99_999),
    });
    expect(
      verifyChain({
        leafDer: certificate,
        intermediates: [],
        roots: [hierarchy.root.certificateDer],
        now: now + Duration.days(3649),
      }).status,
    ).toBe('valid');
    expect(
      verifyChain({
        leafDer: certificate,
        intermediates: [],
        roots: [hierarchy.root.certificateDer],
        now: now + Duration.days(3651),
      }).status,
    ).toBe('invalid');
  });

  it('publish no URL that linters refuse (RFC 5280 §4.2.1.6)', async () => {
    const csr = parseCsr(await createCsr({ signer: key, commonName: 'Local' }));
    await expect(
      createIssuingCertificate({
        root: hierarchy.root,
        csr,
        now,
        validity: Duration.days(9),
        urls: { crl: 'http://localhost/root.crl' },
      }),
    ).rejects.toMatchObject({ code: 'LINT_FAILED' });
  });

  it('need a name of 1 to 64 characters (RFC 5280 Appendix A.1)', async () => {
    for (const commonName of ['', 'x'.repeat(65)]) {
      await expect(
        createRootCertificate({ signer: key, commonName, now, validity: Duration.days(9) }),
      ).rejects.toMatchObject({ code: 'PROFILE_VIOLATION' });
    }
  });
});
