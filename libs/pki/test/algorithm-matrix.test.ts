// Every key algorithm as the authority's beside every one as the leaf's: what was issued verifies by OpenSSL where Debian's knows both,
// and by Node's own X.509 code always.
import { X509Certificate } from 'node:crypto';
import { Duration } from '@keyline/kernel';
import {
  createCsr,
  keyAlgorithms,
  keyAlgorithmOf,
  parseCertificate,
  parseCrl,
  verifySignature,
  type KeyAlgorithm,
} from '@keyline/x509';
import { beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  createCrl,
  createIssuer,
  createRootCertificate,
  parseCsr,
  verifyChain,
  type Authority,
} from '../src/index.ts';
import {
  atTime,
  certificateBlock,
  createTestSigner,
  crlBlock,
  deviceProfile,
  profilesOf,
  urls,
  Workbench,
} from './hierarchy.ts';

// certtool knows no other time than the machine's.
const now = Math.floor(Date.now() / 1000) * 1000;

// One key for each algorithm, in both places: RSA keys of 4096 bits take seconds to make.
const signers = new Map<KeyAlgorithm, ReturnType<typeof createTestSigner>>();
const csrs = new Map<KeyAlgorithm, Uint8Array>();
beforeAll(async () => {
  for (const name of keyAlgorithms) {
    const signer = createTestSigner(name);
    signers.set(name, signer);
    csrs.set(name, await createCsr({ signer, commonName: 'pump-1' }));
  }
}, 120_000);

interface Row {
  readonly authority: Authority;
  readonly crlDer: Uint8Array;
  readonly leaves: ReadonlyMap<KeyAlgorithm, Uint8Array>;
}

async function issueRow(algorithm: KeyAlgorithm): Promise<Row> {
  const signer = signers.get(algorithm)!;
  const validity = Duration.days(3650);
  const commonName = `Root ${algorithm}`;
  const certificateDer = await createRootCertificate({ signer, commonName, now, validity });
  const authority = { id: 'root', certificateDer, signer, urls };
  const issuer = await createIssuer(authority, profilesOf(deviceProfile));
  const leaves = new Map<KeyAlgorithm, Uint8Array>();
  for (const name of keyAlgorithms) {
    const { spkiDer, algorithm: ofLeaf } = parseCsr(csrs.get(name)!);
    const request = { profile: 'device-client', id: 'pump-1', spkiDer, algorithm: ofLeaf, now };
    leaves.set(name, (await issuer.issue(request)).der);
  }
  const crlDer = await createCrl({
    authority,
    number: 1,
    thisUpdate: now,
    nextUpdate: now + Duration.days(7),
    entries: [],
    scope: 'user',
  });
  return { authority, crlDer, leaves };
}

const inDebian = keyAlgorithms.filter((name) => !name.startsWith('ml-dsa-'));

describe.each(keyAlgorithms)('an authority with %s', (algorithm) => {
  let row: Row;
  beforeAll(async () => {
    row = await issueRow(algorithm);
  });

  it.each(keyAlgorithms)('issues to %s what Node and Keyline verify', (name) => {
    const leafDer = row.leaves.get(name)!;
    const leaf = new X509Certificate(leafDer);
    const root = new X509Certificate(row.authority.certificateDer);
    expect(leaf.verify(root.publicKey)).toBe(true);
    expect(leaf.checkIssued(root)).toBe(true);
    expect(leaf.checkPrivateKey(signers.get(name)!.privateKey)).toBe(true);
    expect(keyAlgorithmOf(parseCertificate(leafDer).spkiDer)).toBe(name);
    const question = { leafDer, intermediates: [], now, requiredEku: 'clientAuth' as const };
    const ask = (rootDer: Uint8Array): string =>
      verifyChain({ ...question, roots: [rootDer] }).status;
    expect(ask(row.authority.certificateDer)).toBe('valid');
    const forged = Uint8Array.from(leafDer);
    forged[forged.length - 1] = (forged.at(-1) ?? 0) ^ 1;
    expect(new X509Certificate(forged).verify(root.publicKey)).toBe(false);
    expect(
      verifyChain({ ...question, leafDer: forged, roots: [row.authority.certificateDer] }).status,
    ).toBe('invalid');
  });

  it('signs CRLs', () => {
    const { spkiDer } = parseCertificate(row.authority.certificateDer);
    expect(verifySignature({ ...parseCrl(row.crlDer), spkiDer })).toBe(true);
  });
});

describe.skipIf(!has('openssl', 'certtool'))('OpenSSL and GnuTLS', () => {
  it.each(inDebian)(
    'verify what an authority with %s issues, with its CRL',
    { timeout: 60_000 },
    async (algorithm) => {
      const row = await issueRow(algorithm);
      const bench = await Workbench.create();
      await bench.put('root.pem', certificateBlock(row.authority.certificateDer));
      await bench.put('crl.pem', crlBlock(row.crlDer));
      for (const name of inDebian) {
        await bench.put(`${name}.pem`, certificateBlock(row.leaves.get(name)!));
      }
      const openssl = await bench.run(
        'openssl',
        ...['verify', '-x509_strict', '-check_ss_sig', '-crl_check', '-purpose', 'sslclient'],
        ...['-attime', atTime(now + 60_000), '-CAfile', 'root.pem', '-CRLfile', 'crl.pem'],
        ...inDebian.map((name) => `${name}.pem`),
      );
      expect(openssl.output.match(/: OK/g)).toHaveLength(inDebian.length);
      for (const name of inDebian) {
        const gnutls = await bench.run(
          'certtool',
          ...['--verify', '--load-ca-certificate', 'root.pem', '--infile', `${name}.pem`],
        );
        expect([name, gnutls.output]).toEqual([name, expect.stringContaining('Verified.')]);
      }
    },
  );
});
