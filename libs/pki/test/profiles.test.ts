import { Duration } from '@keyline/kernel';
import {
  createCsr,
  encodeName,
  oids,
  parseAlternativeNames,
  parseCertificate,
  type Extension,
} from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  createIssuer,
  createIssuingCertificate,
  createRootCertificate,
  endOfTime,
  parseCsr,
  verifyChain,
  type Authority,
  type IssueRequest,
  type Profile,
} from '../src/index.ts';
import { lintAuthority } from '../src/lint.ts';
import {
  certificateBlock,
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  ocspProfile,
  profilesOf,
  serverProfile,
  urls,
  Workbench,
} from './hierarchy.ts';
import { ca, make } from './made-certificates.ts';

const hardwareType = '1.3.6.1.4.1.99999.7';
const idevidProfile: Profile = {
  ...deviceProfile,
  name: 'idevid',
  subject: [
    { attribute: 'C', value: 'CH' },
    { attribute: 'O', value: 'Example Plant' },
    { attribute: 'OU', value: '{label.line}' },
    { attribute: 'serialNumber', value: '{id}' },
  ],
  san: [
    { hardwareModule: { type: hardwareType, serialNumber: '{id}' } },
    { uri: 'urn:keyline:device:{id}' },
  ],
  validity: { until: '9999-12-31T23:59:59Z' },
  allowShorterValidity: false,
};
const { spkiDer, algorithm } = createTestSigner('ec-p256');
const request = (profile: string, more: Partial<IssueRequest> = {}): IssueRequest => ({
  profile,
  id: 'SN-0001',
  labels: { line: 'A' },
  spkiDer,
  algorithm,
  now,
  ...more,
});

describe('an IDevID (IEEE 802.1AR)', () => {
  let rootDer: Uint8Array;
  let authority: Authority;
  beforeAll(async () => {
    const rootSigner = createTestSigner('ec-p384');
    const endless = { now, validity: endOfTime - now };
    rootDer = await createRootCertificate({
      signer: rootSigner,
      commonName: 'Factory',
      ...endless,
    });
    const signer = createTestSigner('ec-p256');
    const csr = parseCsr(await createCsr({ signer, commonName: 'Factory 1' }));
    const root = { certificateDer: rootDer, signer: rootSigner };
    const certificateDer = await createIssuingCertificate({ root, csr, ...endless });
    authority = { id: 'factory', certificateDer, signer, urls };
  });
  const issue = async (more?: Partial<IssueRequest>): Promise<Uint8Array> => {
    const issuer = await createIssuer(authority, profilesOf(idevidProfile));
    return (await issuer.issue(request('idevid', more))).der;
  };

  it('ends at 99991231235959Z, as its authorities do (RFC 5280 §4.1.2.5)', async () => {
    const leafDer = await issue();
    for (const one of [leafDer, authority.certificateDer, rootDer]) {
      expect(parseCertificate(one).notAfter).toBe(Date.UTC(9999, 11, 31, 23, 59, 59));
      expect(Buffer.from(one).includes('\x18\x0f99991231235959Z')).toBe(true);
    }
    const question = { leafDer, intermediates: [authority.certificateDer], roots: [rootDer] };
    expect(verifyChain({ ...question, now: Date.UTC(9000, 0, 1) }).status).toBe('valid');
  });

  it('names country, organization, unit and serial number, in this order (RFC 5280 §4.1.2.4)', async () => {
    expect(parseCertificate(await issue()).subjectDer).toEqual(
      encodeName([
        { attribute: 'C', value: 'CH' },
        { attribute: 'O', value: 'Example Plant' },
        { attribute: 'OU', value: 'A' },
        { attribute: 'serialNumber', value: 'SN-0001' },
      ]),
    );
  });

  it('carries its hardware module name (RFC 4108 §5)', async () => {
    const { extensions } = parseCertificate(await issue());
    const san = extensions.find(({ oid }) => oid === oids.subjectAltName);
    expect(parseAlternativeNames(san?.valueDer ?? new Uint8Array())).toMatchObject({
      hardwareModules: [{ type: hardwareType, serialNumber: 'SN-0001' }],
      uri: ['urn:keyline:device:SN-0001'],
      otherForms: [],
    });
  });

  it('is not issued with another end, nor with a serial number that no name can hold', async () => {
    await expect(issue({ validity: Duration.days(1) })).rejects.toMatchObject({
      code: 'VALIDITY_NOT_ALLOWED',
    });
    await expect(issue({ id: 'x_y' })).rejects.toMatchObject({ code: 'PROFILE_VIOLATION' });
  });

  it.skipIf(!has('openssl', 'certtool'))('reads so in OpenSSL and GnuTLS', async () => {
    const bench = await Workbench.create();
    await bench.put('idevid.pem', certificateBlock(await issue()));
    const openssl = await bench.run('openssl', 'x509', '-in', 'idevid.pem', '-noout', '-text');
    expect(openssl.output).toContain('Not After : Dec 31 23:59:59 9999 GMT');
    expect(openssl.output).toMatch(
      /Subject: C = CH, O = Example Plant, OU = A, serialNumber = SN-0001/,
    );
    expect(openssl.output).toMatch(/othername:.*URI:urn:keyline:device:SN-0001/);
    const dump = await bench.run('openssl', 'asn1parse', '-in', 'idevid.pem');
    expect(dump.code).toBe(0);
    const gnutls = await bench.run('certtool', '--certificate-info', '--infile', 'idevid.pem');
    expect(gnutls).toMatchObject({ code: 0 });
    expect(gnutls.output).toContain('1.3.6.1.5.5.7.8.4');
  });
});

describe('a profile is refused by lint', () => {
  const lint = async (profile: Profile): Promise<string> => {
    const { issuing } = await createHierarchy();
    try {
      await createIssuer(issuing, profilesOf(profile));
      return 'accepted';
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  };
  const rsa = { keyAlgorithms: ['rsa-2048', 'rsa-3072'] as const };
  const ec = { keyAlgorithms: ['ec-p256', 'ec-p384'] as const };

  it.each([
    ['operator', { kind: 'operator' as const }],
    ['station', { kind: 'station' as const }],
    ['service', { kind: 'service' as const }],
  ])('for an %s with another use than clientAuth (RFC 5280 §4.2.1.12)', async (_kind, kind) => {
    expect(await lint({ ...deviceProfile, ...kind })).toBe('accepted');
    for (const extendedKeyUsage of [['serverAuth'], ['clientAuth', 'serverAuth']] as const) {
      expect(await lint({ ...deviceProfile, ...kind, extendedKeyUsage })).toContain(
        'is for clientAuth only',
      );
    }
  });

  it.each([
    ['EC', ['ec-p256']],
    ['Ed25519 (RFC 8410 §5)', ['ed25519']],
    ['ML-DSA (RFC 9881 §5)', ['ml-dsa-65']],
    ['RSA and one other', ['rsa-2048', 'ml-dsa-44']],
  ] as const)('with keyEncipherment for keys of %s', async (_title, keyAlgorithms) => {
    const keyUsage = ['digitalSignature', 'keyEncipherment'] as const;
    expect(await lint({ ...serverProfile, keyUsage, keyAlgorithms })).toContain(
      'keyEncipherment is for RSA keys only',
    );
    expect(await lint({ ...serverProfile, keyUsage, ...rsa })).toBe('accepted');
  });

  it.each([
    ['RSA', ['rsa-2048']],
    ['Ed25519 (RFC 8410 §5)', ['ed25519']],
    ['ML-DSA (RFC 9881 §5)', ['ml-dsa-87']],
  ] as const)('with keyAgreement for keys of %s', async (_title, keyAlgorithms) => {
    const keyUsage = ['digitalSignature', 'keyAgreement'] as const;
    expect(await lint({ ...serverProfile, keyUsage, keyAlgorithms })).toContain(
      'keyAgreement is for EC keys only',
    );
    expect(await lint({ ...serverProfile, keyUsage, ...ec })).toBe('accepted');
  });

  it('with a key usage that does not go with its extended one (RFC 5280 §4.2.1.12)', async () => {
    const faulty = [
      { ...ocspProfile, ...ec, keyUsage: ['digitalSignature', 'keyAgreement'] as const },
      {
        ...deviceProfile,
        ...rsa,
        kind: 'service' as const,
        keyUsage: ['keyEncipherment'] as const,
      },
    ];
    for (const profile of faulty) {
      expect(await lint(profile)).toContain('does not go with its extended key usage');
    }
    expect(await lint(ocspProfile)).toBe('accepted');
  });
});

describe('an authority is refused by lint', () => {
  const broken = async (...extensions: Extension[]): Promise<string> => {
    const { der } = await make('R', { extensions });
    return lintAuthority(parseCertificate(der))
      .map(({ rule, finding }) => `${rule}: ${finding}`)
      .join('\n');
  };
  const noRevAvail = { oid: oids.noRevAvail, critical: false, valueDer: Uint8Array.of(5, 0) };

  it('with noRevAvail, which is for leaves (RFC 9608 §2)', async () => {
    expect(await broken(...ca(), noRevAvail)).toContain('RFC 9608 §2');
    expect(await broken(...ca())).not.toContain('RFC 9608');
  });

  it('with a key usage beyond signing', async () => {
    const usage = (bits: number): Extension => ({
      oid: oids.keyUsage,
      critical: true,
      valueDer: Uint8Array.of(3, 2, 1, bits),
    });
    const [basic] = ca();
    // keyCertSign, cRLSign and keyEncipherment; the same with digitalSignature.
    expect(await broken(basic!, usage(0x26))).toContain('only signs');
    expect(await broken(basic!, usage(0x86))).not.toContain('only signs');
  });

  it('with name constraints that are not critical (RFC 5280 §4.2.1.10)', async () => {
    const constraints = (critical: boolean): Extension => ({
      oid: oids.nameConstraints,
      critical,
      valueDer: new Uint8Array(),
    });
    // The value does not matter to this rule.
    const valueDer = Uint8Array.of(0x30, 7, 0xa1, 5, 0x30, 3, 0x82, 1, 0x61);
    expect(await broken(...ca(), { ...constraints(false), valueDer })).toContain('§4.2.1.10');
    expect(await broken(...ca(), { ...constraints(true), valueDer })).not.toContain('§4.2.1.10');
  });
});

describe('times of a profile', () => {
  it('backdate what is issued, and write UTCTime through 2049, GeneralizedTime after (RFC 5280 §4.1.2.5)', async () => {
    const { issuing } = await createHierarchy({ at: Date.UTC(2049, 0, 1) });
    const issuer = await createIssuer(
      issuing,
      profilesOf({
        ...deviceProfile,
        validity: { until: '2050-01-01T00:00:00Z' },
        backdate: 'PT1M',
      }),
    );
    const at = Date.UTC(2049, 5, 1);
    const { der } = await issuer.issue(request('device-client', { now: at }));
    expect(Buffer.from(der).includes('\x17\x0d490531235900Z\x18\x0f20500101000000Z')).toBe(true);
    const { notAfter } = await issuer.issue(
      request('device-client', { now: at, validity: Duration.days(1) }),
    );
    expect(notAfter).toBe(at + Duration.days(1));
  });

  it('refuse a longer validity than until a date, and a date that has passed', async () => {
    const { issuing } = await createHierarchy();
    const issuer = await createIssuer(
      issuing,
      profilesOf({ ...deviceProfile, validity: { until: '2027-01-01T00:00:00Z' } }),
    );
    for (const more of [{ validity: Duration.days(365) }, { now: Date.UTC(2027, 0, 2) }]) {
      await expect(issuer.issue(request('device-client', more))).rejects.toMatchObject({
        code: 'VALIDITY_NOT_ALLOWED',
      });
    }
  });
});
