// Certificates of a fleet and of its broker, made beforehand by libs/pki from the project's own profiles and kept in build/bench:
// making them is no part of any figure.
import { createPublicKey } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadConfig } from '@keyline/config';
import { createSigner, generateKey } from '@keyline/keys';
import {
  createIssuer,
  createIssuingCertificate,
  createRootCertificate,
  parseCsr,
} from '@keyline/pki';
import { createCsr, encodePem } from '@keyline/x509';

const project = join(import.meta.dirname, '../../..');
const folder = join(project, 'build/bench/fleet');
const day = 24 * 3600 * 1000;

export interface Proof {
  /** CN of the certificate. */
  readonly id: string;
  /** Leaf alone, PEM. */
  readonly cert: string;
  readonly key: string;
}

export interface FleetFiles {
  /** Issuing authority and root, PEM: what a broker checks devices against. */
  readonly ca: string;
  /** The broker's certificate with its chain. */
  readonly cert: string;
  readonly key: string;
  /** JSON, `Proof[]`: load processes read it themselves. */
  readonly devices: string;
}

/** CN of a client with the right to hear everybody. */
export const listenerName = 'listener@service';
/** CN of a client that may administer the broker. */
export const adminName = 'keyline@service';

/** Files with at least so many devices, `unit-00000`, `unit-00001`, …, before them the listener and the admin. */
export async function prepareFleet(devices: number): Promise<FleetFiles> {
  const files: FleetFiles = {
    ca: join(folder, 'ca.pem'),
    cert: join(folder, 'broker.pem'),
    key: join(folder, 'broker.key'),
    devices: join(folder, 'devices.json'),
  };
  if (!isEnough(files.devices, devices)) await makeFleet(files, devices);
  return files;
}

export function readProofs(file: string): { listener: Proof; admin: Proof; devices: Proof[] } {
  const [listener, admin, ...devices] = JSON.parse(readFileSync(file, 'utf8')) as Proof[];
  if (listener === undefined || admin === undefined) throw new Error(`${file} is empty`);
  return { listener, admin, devices };
}

function isEnough(file: string, devices: number): boolean {
  // Device certificates of the project's profile live for 90 days.
  if (!existsSync(file) || Date.now() - statSync(file).mtimeMs > 60 * day) return false;
  return readProofs(file).devices.length >= devices;
}

async function makeFleet(files: FleetFiles, devices: number): Promise<void> {
  const now = Date.now();
  const rootSigner = createSigner(generateKey('ec-p256'));
  const root = {
    signer: rootSigner,
    certificateDer: await createRootCertificate({
      signer: rootSigner,
      commonName: 'Bench Root',
      now,
      validity: 3650 * day,
    }),
  };
  const signer = createSigner(generateKey('ec-p256'));
  const csr = parseCsr(await createCsr({ signer, commonName: 'Bench Issuing' }));
  const certificateDer = await createIssuingCertificate({ root, csr, now, validity: 1825 * day });
  const { profiles } = await loadConfig(join(project, 'ca-config'));
  const at = 'http://127.0.0.1:8080';
  const issuer = await createIssuer(
    {
      id: 'issuing-1',
      certificateDer,
      signer,
      urls: { crl: `${at}/crl/issuing-1.crl`, ocsp: `${at}/ocsp`, caIssuers: `${at}/aia/1.cer` },
    },
    profiles,
  );
  const issue = async (
    profile: string,
    id: string,
    names: { readonly dnsNames?: string[]; readonly ipAddresses?: string[] } = {},
  ): Promise<Proof> => {
    const key = generateKey('ec-p256');
    const spkiDer = createPublicKey(key).export({ format: 'der', type: 'spki' });
    const { der } = await issuer.issue({
      ...{ profile, id, spkiDer, algorithm: 'ec-p256', now },
      ...names,
    });
    return {
      id,
      cert: encodePem('CERTIFICATE', der),
      key: key.export({ type: 'pkcs8', format: 'pem' }),
    };
  };
  const chain = encodePem('CERTIFICATE', certificateDer);
  const broker = await issue('broker-server', 'localhost', {
    dnsNames: ['localhost'],
    ipAddresses: ['127.0.0.1'],
  });
  const proofs = [
    await issue('service-client', listenerName),
    await issue('service-client', adminName),
  ];
  for (let i = 0; i < devices; i++) {
    proofs.push(await issue('device-client', `unit-${String(i).padStart(5, '0')}`));
  }
  mkdirSync(folder, { recursive: true });
  writeFileSync(files.ca, chain + encodePem('CERTIFICATE', root.certificateDer));
  writeFileSync(files.cert, broker.cert + chain);
  writeFileSync(files.key, broker.key, { mode: 0o600 });
  // Last, and in one step: it says that the others are there.
  writeFileSync(`${files.devices}.part`, JSON.stringify(proofs));
  renameSync(`${files.devices}.part`, files.devices);
}
