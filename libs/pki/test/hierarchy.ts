// A small PKI for tests: signers of any algorithm, a root, an issuing authority, profiles; and openssl in a folder of its own.
import { execFile } from 'node:child_process';
import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Duration } from '@keyline/kernel';
import {
  algorithms,
  createCsr,
  encodePem,
  signLargeWith,
  signWith,
  type KeyAlgorithm,
  type Signer,
} from '@keyline/x509';
import {
  createIssuingCertificate,
  createRootCertificate,
  parseCsr,
  type Authority,
  type Profile,
} from '../src/index.ts';

export const now = Date.UTC(2026, 5, 1, 12, 0, 0);

export function createTestSigner(algorithm: KeyAlgorithm): Signer & { privateKey: KeyObject } {
  const { type, ...options } = algorithms[algorithm].generate;
  const { privateKey } = generateKeyPairSync(type as 'ec', options as { namedCurve: string });
  return signerOf(privateKey, algorithm);
}

export function signerOf(
  privateKey: KeyObject,
  algorithm: KeyAlgorithm,
): Signer & { privateKey: KeyObject } {
  return {
    algorithm,
    privateKey,
    spkiDer: createPublicKey(privateKey).export({ format: 'der', type: 'spki' }),
    sign: (toBeSigned) => signWith(privateKey, algorithm, toBeSigned),
    signLarge: (toBeSigned) => signLargeWith(privateKey, algorithm, toBeSigned),
  };
}

export interface Hierarchy {
  readonly root: { readonly certificateDer: Uint8Array; readonly signer: Signer };
  readonly issuing: Authority;
}

export const urls = {
  crl: 'http://pki.example.com/crl/issuing-1.crl',
  ocsp: 'http://pki.example.com/ocsp',
  caIssuers: 'http://pki.example.com/aia/issuing-1.cer',
};

export async function createHierarchy(
  options: {
    rootAlgorithm?: KeyAlgorithm;
    issuingAlgorithm?: KeyAlgorithm;
    at?: number;
  } = {},
): Promise<Hierarchy> {
  const at = options.at ?? now;
  const rootSigner = createTestSigner(options.rootAlgorithm ?? 'ec-p256');
  const rootDer = await createRootCertificate({
    signer: rootSigner,
    commonName: 'Test Root',
    organization: 'Example Plant',
    now: at,
    validity: Duration.days(3650),
    pathLen: 1,
  });
  const root = { certificateDer: rootDer, signer: rootSigner };
  const signer = createTestSigner(options.issuingAlgorithm ?? 'ec-p256');
  const csr = parseCsr(await createCsr({ signer, commonName: 'Test Issuing 1' }));
  const certificateDer = await createIssuingCertificate({
    root,
    csr,
    now: at,
    validity: Duration.days(1825),
    urls: {
      crl: 'http://pki.example.com/crl/root.crl',
      caIssuers: 'http://pki.example.com/aia/root.cer',
    },
  });
  return { root, issuing: { id: 'issuing-1', certificateDer, signer, urls } };
}

export const deviceProfile: Profile = {
  name: 'device-client',
  description: 'A device.',
  kind: 'device',
  subject: [
    { attribute: 'O', value: 'Example Plant' },
    { attribute: 'OU', value: '{type}' },
    { attribute: 'CN', value: '{id}' },
  ],
  san: [{ uri: 'urn:keyline:device:{id}' }],
  keyAlgorithms: [
    'ec-p256',
    'ec-p384',
    'ed25519',
    'rsa-2048',
    'rsa-3072',
    'rsa-4096',
    'ml-dsa-44',
    'ml-dsa-65',
    'ml-dsa-87',
  ],
  validity: { duration: 'P90D' },
  allowShorterValidity: true,
  backdate: 'PT5M',
  keyUsage: ['digitalSignature'],
  extendedKeyUsage: ['clientAuth'],
  crlDistributionPoint: true,
  authorityInfoAccess: true,
  ocspNoCheck: false,
  noRevAvail: false,
  renewal: { window: 0.4, grace: 'P30D' },
};

export const serverProfile: Profile = {
  ...deviceProfile,
  name: 'broker-server',
  kind: 'server',
  subject: [{ attribute: 'CN', value: '{id}' }],
  san: [{ request: 'dns' }, { request: 'ip' }],
  extendedKeyUsage: ['serverAuth'],
};

export const ocspProfile: Profile = {
  ...deviceProfile,
  name: 'ocsp-responder',
  kind: 'ocsp',
  subject: [{ attribute: 'CN', value: '{id}' }],
  san: [],
  extendedKeyUsage: ['OCSPSigning'],
  validity: { duration: 'P7D' },
  crlDistributionPoint: false,
  authorityInfoAccess: false,
  ocspNoCheck: true,
};

export function profilesOf(...profiles: Profile[]): Map<string, Profile> {
  return new Map(profiles.map((profile) => [profile.name, profile]));
}

/** A folder with files in it and commands run there: stdout and stderr together, and the exit code. */
export class Workbench {
  readonly folder: string;
  private constructor(folder: string) {
    this.folder = folder;
  }
  static async create(): Promise<Workbench> {
    return new Workbench(await mkdtemp(join(tmpdir(), 'keyline-pki-')));
  }
  path(name: string): string {
    return join(this.folder, name);
  }
  async put(name: string, ...blocks: { label: string; der: Uint8Array }[]): Promise<void> {
    await writeFile(
      this.path(name),
      blocks.map(({ label, der }) => encodePem(label, der)).join(''),
    );
  }
  async putBytes(name: string, bytes: Uint8Array | string): Promise<void> {
    await writeFile(this.path(name), bytes);
  }
  run(command: string, ...parameters: string[]): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      execFile(
        command,
        parameters,
        { cwd: this.folder, timeout: 20_000 },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
          resolve({ code, output: `${stdout}${stderr}` });
        },
      );
    });
  }
}

export const certificateBlock = (der: Uint8Array): { label: string; der: Uint8Array } => ({
  label: 'CERTIFICATE',
  der,
});
export const crlBlock = (der: Uint8Array): { label: string; der: Uint8Array } => ({
  label: 'X509 CRL',
  der,
});
/** openssl's `-attime` for the tests' clock. */
export const atTime = (instant: number): string => String(Math.floor(instant / 1000));
