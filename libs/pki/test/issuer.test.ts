import { Duration } from '@keyline/kernel';
import {
  createCsr,
  parseCertificate,
  readSequence,
  verifySignature,
  type KeyAlgorithm,
} from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  createCrl,
  createIssuer,
  parseCsr,
  type Issuer,
  type IssueRequest,
  type Profile,
} from '../src/index.ts';
import { subjectKeyIdOf } from '../src/subject-key-id.ts';
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
  serverProfile,
  urls,
  Workbench,
  type Hierarchy,
} from './hierarchy.ts';

let hierarchy: Hierarchy;
let issuer: Issuer;
const key = createTestSigner('ec-p256');
const keyOf = { spkiDer: key.spkiDer, algorithm: key.algorithm } as const;
const device = (more: Partial<IssueRequest> = {}): IssueRequest => ({
  profile: 'device-client',
  id: 'pump-1',
  type: 'pump',
  ...keyOf,
  now,
  ...more,
});

const bareProfile: Profile = {
  ...deviceProfile,
  name: 'bare',
  subject: [{ attribute: 'OU', value: '{label.site}' }],
  san: [{ uri: 'urn:keyline:device:{id}' }, { dns: '{label.host}' }],
};
const idevidProfile: Profile = {
  ...deviceProfile,
  name: 'idevid',
  subject: [{ attribute: 'serialNumber', value: '{id}' }],
  validity: { until: '9999-12-31T23:59:59Z' },
  allowShorterValidity: false,
};
const shortProfile: Profile = {
  ...deviceProfile,
  name: 'short',
  validity: { duration: 'P1D' },
  noRevAvail: true,
  crlDistributionPoint: false,
};
const profiles = profilesOf(
  deviceProfile,
  serverProfile,
  ocspProfile,
  bareProfile,
  idevidProfile,
  shortProfile,
);

beforeAll(async () => {
  hierarchy = await createHierarchy();
  issuer = await createIssuer(hierarchy.issuing, profiles);
});

describe('issued certificates', () => {
  it('say what the profile says, and carry identifiers of RFC 5280 §4.2.1.1 and RFC 7093', async () => {
    const issued = await issuer.issue(device());
    const certificate = parseCertificate(issued.der);
    expect(certificate).toMatchObject({
      serial: issued.serial,
      commonName: 'pump-1',
      notBefore: now - Duration.minutes(5),
      notAfter: now + Duration.days(90),
      isCa: false,
      keyUsage: ['digitalSignature'],
      extendedKeyUsage: ['clientAuth'],
      sanUri: ['urn:keyline:device:pump-1'],
      sanDns: [],
      crlDistributionPoints: [urls.crl],
      ocspUrls: [urls.ocsp],
      caIssuersUrls: [urls.caIssuers],
      selfSigned: false,
      spkiSha256: issued.spkiSha256,
    });
    const authority = parseCertificate(hierarchy.issuing.certificateDer);
    expect(certificate.authorityKeyId).toEqual(authority.subjectKeyId);
    expect(certificate.issuerDer).toEqual(authority.subjectDer);
    expect(certificate.subjectKeyId).toEqual(Uint8Array.from(subjectKeyIdOf(key.spkiDer)));
    expect(verifySignature({ ...certificate, spkiDer: authority.spkiDer })).toBe(true);
  });

  it('have positive serials of 17 octets that do not repeat (RFC 5280 §4.1.2.2)', async () => {
    const serials = new Set<string>();
    for (let i = 0; i < 500; i++) serials.add((await issuer.issue(device())).serial);
    expect(serials.size).toBe(500);
    for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9a-f]{33}$/);
  });

  it('mark subjectAltName critical exactly when the subject is empty (RFC 5280 §4.2.1.6)', async () => {
    const sanOf = async (request: Partial<IssueRequest>): Promise<boolean | undefined> =>
      parseCertificate(
        (await issuer.issue(device({ profile: 'bare', ...request }))).der,
      ).extensions.find(({ oid }) => oid === '2.5.29.17')?.critical;
    expect(await sanOf({})).toBe(true);
    expect(await sanOf({ labels: { site: 'Bremen' } })).toBe(false);
  });

  it('leave out an RDN or name whose placeholder is empty', async () => {
    const { der } = await issuer.issue(device({ profile: 'bare', labels: { host: 'p.example' } }));
    expect(parseCertificate(der)).toMatchObject({ sanDns: ['p.example'] });
    expect(parseCertificate(der).commonName).toBeUndefined();
  });

  it('end where their authority ends, also an IDevID that has no end (IEEE 802.1AR §8.7)', async () => {
    const { notAfter, der } = await issuer.issue(device({ profile: 'idevid' }));
    expect(notAfter).toBe(parseCertificate(hierarchy.issuing.certificateDer).notAfter);
    expect(parseCertificate(der).notAfter).toBe(notAfter);
  });

  it('carry noRevAvail without distribution point and OCSP URL (RFC 9608 §2)', async () => {
    const { der } = await issuer.issue(device({ profile: 'short' }));
    const certificate = parseCertificate(der);
    const mark = certificate.extensions.find(({ oid }) => oid === '2.5.29.56');
    expect(mark).toMatchObject({ critical: false, valueDer: Uint8Array.of(5, 0) });
    expect(certificate.crlDistributionPoints).toEqual([]);
    expect(certificate.ocspUrls).toEqual([]);
  });

  it('write ids of services and ids beyond ASCII as they are, percent-encoded in URIs only', async () => {
    const service = parseCertificate((await issuer.issue(device({ id: 'ca@keyline' }))).der);
    expect(service).toMatchObject({
      commonName: 'ca@keyline',
      sanUri: ['urn:keyline:device:ca@keyline'],
    });
    const other = parseCertificate((await issuer.issue(device({ id: 'Pümpe 7 🚰' }))).der);
    expect(other).toMatchObject({
      commonName: 'Pümpe 7 🚰',
      sanUri: ['urn:keyline:device:P%C3%BCmpe%207%20%F0%9F%9A%B0'],
    });
  });
});

describe('issue refuses', () => {
  const refusals: [string, Partial<IssueRequest>, string][] = [
    ['an unknown profile', { profile: 'nothing' }, 'PROFILE_UNKNOWN'],
    ['a longer validity', { validity: Duration.days(91) }, 'VALIDITY_NOT_ALLOWED'],
    ['a validity of nothing', { validity: 0 }, 'VALIDITY_NOT_ALLOWED'],
    ['a validity that is no number', { validity: Number.NaN }, 'VALIDITY_NOT_ALLOWED'],
    [
      'a shorter validity where the profile fixes it',
      { profile: 'idevid', validity: Duration.days(1) },
      'VALIDITY_NOT_ALLOWED',
    ],
    ['an id longer than a CN may be', { id: 'x'.repeat(65) }, 'PROFILE_VIOLATION'],
    ['an id with a line break', { id: 'a\nb' }, 'PROFILE_VIOLATION'],
    ['an id with half a surrogate pair', { id: 'a\ud800' }, 'PROFILE_VIOLATION'],
    [
      'a serialNumber that is no PrintableString',
      { profile: 'idevid', id: 'a_b' },
      'PROFILE_VIOLATION',
    ],
    ['DNS names where the profile takes none', { dnsNames: ['a.example'] }, 'PROFILE_VIOLATION'],
    [
      'IP addresses where the profile takes none',
      { ipAddresses: ['10.0.0.1'] },
      'PROFILE_VIOLATION',
    ],
    ['a server without a name', { profile: 'broker-server' }, 'PROFILE_VIOLATION'],
    [
      'a label that is no DNS name',
      { profile: 'bare', labels: { host: 'a b' } },
      'PROFILE_VIOLATION',
    ],
    ['another algorithm than the key has', { algorithm: 'ec-p384' }, 'CSR_ALGORITHM_NOT_ALLOWED'],
    [
      'anything past the authority’s end',
      { now: now + Duration.days(1826) },
      'VALIDITY_NOT_ALLOWED',
    ],
  ];
  it.each(refusals)('%s', async (_title, more, code) => {
    await expect(issuer.issue(device(more))).rejects.toMatchObject({ code });
  });

  it('a key algorithm the profile does not list', async () => {
    const strict = await createIssuer(
      hierarchy.issuing,
      profilesOf({ ...deviceProfile, keyAlgorithms: ['ec-p384'] }),
    );
    await expect(strict.issue(device())).rejects.toMatchObject({
      code: 'CSR_ALGORITHM_NOT_ALLOWED',
    });
  });

  it('takes a shorter validity where the profile allows it', async () => {
    const { notAfter } = await issuer.issue(device({ validity: Duration.days(1) }));
    expect(notAfter).toBe(now + Duration.days(1));
  });
});

describe('a profile is linted when it is loaded and refused', () => {
  const faults: [string, Partial<Profile>][] = [
    ['with keyCertSign (RFC 5280 §4.2.1.9)', { keyUsage: ['digitalSignature', 'keyCertSign'] }],
    ['for devices with serverAuth (RFC 5280 §4.2.1.12)', { extendedKeyUsage: ['serverAuth'] }],
    ['for devices without a URI or DNS name', { san: [] }],
    [
      'for servers without serverAuth (RFC 9525 §2)',
      { ...serverProfile, extendedKeyUsage: ['clientAuth'] },
    ],
    [
      'for responders without nocheck (RFC 6960 §4.2.2.2.1)',
      { ...ocspProfile, ocspNoCheck: false },
    ],
    ['with nocheck for a device', { ocspNoCheck: true }],
    [
      'with noRevAvail beside a distribution point (RFC 9608 §3)',
      { noRevAvail: true, validity: { duration: 'P1D' } },
    ],
    ['with noRevAvail for 90 days', { noRevAvail: true, crlDistributionPoint: false }],
    [
      'with keyEncipherment for EC keys (RFC 8813 §3)',
      { keyUsage: ['digitalSignature', 'keyEncipherment'], kind: 'service' },
    ],
    ['without a key usage (RFC 5280 §4.2.1.3)', { keyUsage: [], kind: 'service' }],
  ];
  it.each(faults)('%s', async (_title, fault) => {
    const profiles = profilesOf({ ...deviceProfile, ...fault });
    await expect(createIssuer(hierarchy.issuing, profiles)).rejects.toMatchObject({
      code: 'LINT_FAILED',
    });
  });

  it('with a URL whose host is a single label (RFC 5280 §4.2.1.6)', async () => {
    const authority = { ...hierarchy.issuing, urls: { ...urls, ocsp: 'http://localhost/ocsp' } };
    await expect(createIssuer(authority, profiles)).rejects.toMatchObject({ code: 'LINT_FAILED' });
  });

  it('with an unknown placeholder', async () => {
    const profiles = profilesOf({ ...deviceProfile, san: [{ uri: 'urn:x:{colour}' }] });
    await expect(createIssuer(hierarchy.issuing, profiles)).rejects.toMatchObject({
      code: 'PROFILE_VIOLATION',
      detail: expect.stringContaining('{colour}'),
    });
  });

  it('and a key that is not the certificate’s is refused too', async () => {
    const authority = { ...hierarchy.issuing, signer: createTestSigner('ec-p256') };
    await expect(createIssuer(authority, profiles)).rejects.toMatchObject({ code: 'PATH_INVALID' });
  });
});

describe.skipIf(!has('openssl', 'certtool'))('OpenSSL and GnuTLS', () => {
  const mixes: [KeyAlgorithm, KeyAlgorithm, KeyAlgorithm][] = [
    ['ec-p256', 'ec-p256', 'ec-p256'],
    ['ec-p384', 'ec-p256', 'ed25519'],
    ['rsa-2048', 'ec-p384', 'rsa-3072'],
    ['ed25519', 'rsa-2048', 'ec-p384'],
  ];
  it.each(mixes)('accept %s → %s → %s to the letter, with CRLs', async (root, issuing, leaf) => {
    // certtool knows no other time than the machine's.
    const now = Date.now();
    const { root: rootAuthority, issuing: authority } = await createHierarchy({
      rootAlgorithm: root,
      issuingAlgorithm: issuing,
      at: now,
    });
    const own = await createIssuer(authority, profiles);
    const signer = createTestSigner(leaf);
    const csr = parseCsr(await createCsr({ signer, commonName: 'pump-1' }));
    const request = device({ spkiDer: csr.spkiDer, algorithm: csr.algorithm, now });
    const { der } = await own.issue(request);
    const server = await own.issue({
      ...request,
      profile: 'broker-server',
      dnsNames: ['broker.example'],
      ipAddresses: ['127.0.0.1', '::1'],
    });
    const revoked = await own.issue(request);
    const validity = { thisUpdate: now, nextUpdate: now + Duration.days(7), number: 1 };
    const rootCrl = await createCrl({
      authority: rootAuthority,
      ...validity,
      entries: [],
      scope: 'ca',
    });
    const crl = await createCrl({
      authority,
      ...validity,
      entries: [{ serial: revoked.serial, revokedAt: now, reason: 'keyCompromise' }],
      scope: 'user',
      distributionPoint: authority.urls.crl,
    });
    const bench = await Workbench.create();
    await bench.put('root.pem', certificateBlock(rootAuthority.certificateDer));
    await bench.put('issuing.pem', certificateBlock(authority.certificateDer));
    await bench.put('leaf.pem', certificateBlock(der));
    await bench.put('revoked.pem', certificateBlock(revoked.der));
    await bench.put('server.pem', certificateBlock(server.der));
    await bench.put('crls.pem', crlBlock(rootCrl), crlBlock(crl));
    const verify = (
      purpose: string,
      file: string,
      ...more: string[]
    ): Promise<{ code: number; output: string }> =>
      bench.run(
        'openssl',
        ...[
          'verify',
          '-x509_strict',
          '-check_ss_sig',
          '-crl_check_all',
          '-attime',
          atTime(now + 60_000),
        ],
        ...['-CAfile', 'root.pem', '-untrusted', 'issuing.pem', '-CRLfile', 'crls.pem'],
        ...['-purpose', purpose, ...more, file],
      );
    expect(await verify('sslclient', 'leaf.pem')).toMatchObject({ code: 0 });
    expect(
      await verify('sslserver', 'server.pem', '-verify_hostname', 'broker.example'),
    ).toMatchObject({ code: 0 });
    expect(await verify('sslserver', 'server.pem', '-verify_ip', '::1')).toMatchObject({ code: 0 });
    expect((await verify('sslserver', 'leaf.pem')).code).not.toBe(0);
    expect((await verify('sslclient', 'revoked.pem')).output).toContain('certificate revoked');

    await bench.put(
      'chain.pem',
      certificateBlock(der),
      certificateBlock(authority.certificateDer),
      certificateBlock(rootAuthority.certificateDer),
    );
    const gnutls = await bench.run('certtool', ...['--verify-chain', '--infile', 'chain.pem']);
    expect(gnutls.output).toContain('Chain verification output: Verified.');
  });

  it('read a post-quantum certificate’s structure and names', async () => {
    const { issuing } = await createHierarchy({
      rootAlgorithm: 'ml-dsa-87',
      issuingAlgorithm: 'ml-dsa-65',
    });
    const own = await createIssuer(issuing, profiles);
    const { spkiDer, algorithm } = createTestSigner('ml-dsa-44');
    const { der } = await own.issue(device({ spkiDer, algorithm }));
    const certificate = parseCertificate(der);
    const { spkiDer: issuerKey } = parseCertificate(issuing.certificateDer);
    expect(verifySignature({ ...certificate, spkiDer: issuerKey })).toBe(true);
    const bench = await Workbench.create();
    await bench.put('leaf.pem', certificateBlock(der));
    expect(
      await bench.run('openssl', 'x509', '-in', 'leaf.pem', '-noout', '-subject'),
    ).toMatchObject({
      code: 0,
      output: expect.stringContaining('pump-1'),
    });
  });
});

it('the whole certificate is one SEQUENCE without trailing bytes', async () => {
  const { der } = await issuer.issue(device());
  expect(() => readSequence(der)).not.toThrow();
});
