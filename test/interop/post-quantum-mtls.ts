// An example: a hierarchy that no quantum computer breaks. Root and issuing authority sign with ML-DSA-65, broker and device prove
// themselves with ML-DSA-65 and ML-DSA-44 keys, and the session key comes from X25519MLKEM768. Nothing differs from any other but the
// profiles and three options of the broker.
import { spawn } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Duration } from '@keyline/kernel';
import { createSigner } from '@keyline/keys';
import {
  createIssuer,
  createIssuingCertificate,
  createRootCertificate,
  parseCsr,
  type Issuer,
  type Profile,
} from '@keyline/pki';
import { createCsr, encodePem } from '@keyline/x509';
import type { IClientOptions } from 'mqtt';
import { administer } from '../support/dynsec-admin.ts';
import { projectFolder } from '../support/keyline.ts';

const brokerName = 'broker.example';

/** The only key exchange and the only signatures that either side takes part in. */
const quantumSafe = {
  minVersion: 'TLSv1.3',
  ecdhCurve: 'X25519MLKEM768',
  sigalgs: 'mldsa44:mldsa65:mldsa87',
} as const;

const deviceProfile: Profile = {
  name: 'device-client',
  description: 'A device with a post-quantum key.',
  kind: 'device',
  subject: [{ attribute: 'CN', value: '{id}' }],
  san: [{ uri: 'urn:keyline:device:{id}' }],
  keyAlgorithms: ['ml-dsa-44', 'ml-dsa-65', 'ml-dsa-87'],
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
const serverProfile: Profile = {
  ...deviceProfile,
  name: 'broker-server',
  description: 'A server with a post-quantum key.',
  kind: 'server',
  san: [{ request: 'dns' }],
  extendedKeyUsage: ['serverAuth'],
};
const urls = {
  crl: 'http://pki.example.com/crl/pq-1.crl',
  ocsp: 'http://pki.example.com/ocsp',
  caIssuers: 'http://pki.example.com/aia/pq-1.cer',
};

function createKey(algorithm: 'ml-dsa-44' | 'ml-dsa-65'): {
  signer: ReturnType<typeof createSigner>;
  keyPem: string;
} {
  const keyPem = generateKeyPairSync(algorithm).privateKey.export({ format: 'pem', type: 'pkcs8' });
  return { signer: createSigner(createPrivateKey(keyPem)), keyPem };
}

export interface PostQuantumHierarchy {
  readonly rootDer: Uint8Array;
  readonly issuingDer: Uint8Array;
  readonly issuer: Issuer;
}

export async function createPostQuantumHierarchy(now: number): Promise<PostQuantumHierarchy> {
  const { signer: rootSigner } = createKey('ml-dsa-65');
  const rootDer = await createRootCertificate({
    signer: rootSigner,
    commonName: 'Post-quantum root',
    now,
    validity: Duration.days(7300),
    pathLen: 1,
  });
  const { signer } = createKey('ml-dsa-65');
  const issuingDer = await createIssuingCertificate({
    root: { certificateDer: rootDer, signer: rootSigner },
    csr: parseCsr(await createCsr({ signer, commonName: 'Post-quantum issuing 1' })),
    now,
    validity: Duration.days(1825),
    extendedKeyUsage: ['clientAuth', 'serverAuth'],
  });
  const authority = { id: 'pq-1', certificateDer: issuingDer, signer, urls };
  const profiles = new Map([deviceProfile, serverProfile].map((one) => [one.name, one]));
  return { rootDer, issuingDer, issuer: await createIssuer(authority, profiles) };
}

export interface Identity {
  readonly key: string;
  /** The certificate and its issuing authority's, PEM. */
  readonly cert: string;
  readonly certificateDer: Uint8Array;
}

/** The holder makes a key and a CSR; the authority checks and issues. */
export async function enroll(
  { issuer, issuingDer }: PostQuantumHierarchy,
  who: {
    profile: 'device-client' | 'broker-server';
    id: string;
    dnsNames?: readonly string[];
    now: number;
  },
): Promise<Identity> {
  const { signer, keyPem } = createKey(who.profile === 'device-client' ? 'ml-dsa-44' : 'ml-dsa-65');
  const csr = parseCsr(await createCsr({ signer, commonName: who.id }));
  const { spkiDer, algorithm } = csr;
  const { der } = await issuer.issue({ ...who, spkiDer, algorithm });
  const chain = [der, issuingDer].map((one) => encodePem('CERTIFICATE', one));
  return { key: keyPem, cert: chain.join(''), certificateDer: der };
}

const admin = 'keyline@service';

export interface PostQuantumBroker {
  readonly url: string;
  readonly certificateDer: Uint8Array;
  /** Everything it has logged. */
  log(): string;
  /** What it takes for a device to be let in and to publish below its own name. */
  admit(device: string): Promise<void>;
  stop(): Promise<void>;
}

/** keyline-broker as an operator starts it, told to speak nothing but this. */
export async function startPostQuantumBroker(options: {
  readonly folder: string;
  readonly hierarchy: PostQuantumHierarchy;
  readonly now: number;
}): Promise<PostQuantumBroker> {
  const { folder, hierarchy, now } = options;
  const server = await enroll(hierarchy, {
    profile: 'broker-server',
    id: 'broker',
    dnsNames: [brokerName],
    now,
  });
  const file = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text, { mode: 0o600, flag: 'wx' });
    return path;
  };
  const readyFile = join(folder, 'ready');
  const child = spawn(join(projectFolder, 'apps/broker/bin/keyline-broker'), [
    ...['serve', '--data', join(folder, 'data'), '--port', '0', '--ready-file', readyFile],
    ...['--cert', file('broker.crt', server.cert), '--key', file('broker.key', server.key)],
    ...['--ca', file('ca.pem', encodePem('CERTIFICATE', hierarchy.rootDer)), '--admin', admin],
    // The root vouches for servers, too: whose clients are let in is the issuing authority alone.
    '--client-authorities',
    file('client-authorities.pem', encodePem('CERTIFICATE', hierarchy.issuingDer)),
    ...['--tls-version', '1.3', '--tls-groups', quantumSafe.ecdhCurve],
    ...['--tls-signature-algorithms', quantumSafe.sigalgs],
  ]);
  let log = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (part: string) => {
      log += part;
    });
  }
  const ended = once(child, 'exit');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    await ended;
  };
  while (!existsSync(readyFile) || readFileSync(readyFile).length === 0) {
    if (child.exitCode !== null) throw new Error(`the broker did not start: ${log}`);
    await sleep(10);
  }
  const { port } = JSON.parse(readFileSync(readyFile, 'utf8')) as { port: number };
  const url = `mqtts://127.0.0.1:${String(port)}`;
  const operator = await enroll(hierarchy, { profile: 'device-client', id: admin, now });
  return {
    url,
    certificateDer: server.certificateDer,
    log: () => log,
    admit: async (device) => {
      const acl = { acltype: 'publishClientSend', topic: `devices/${device}/#`, allow: true };
      await administer(
        { url, ca: encodePem('CERTIFICATE', hierarchy.rootDer) },
        { id: admin, certificate: operator.cert, key: operator.key },
        [
          { command: 'createRole', rolename: device, acls: [acl] },
          { command: 'createClient', username: device, roles: [{ rolename: device }] },
        ],
        clientOptions(),
      );
    },
    stop,
  };
}

/** What MQTT.js hands on to TLS. @param group what the device offers for the key exchange */
export function clientOptions(group: string = quantumSafe.ecdhCurve): IClientOptions {
  const options = { ...quantumSafe, ecdhCurve: group, servername: brokerName };
  return options;
}
