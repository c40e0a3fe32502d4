// An example: a hierarchy that no quantum computer breaks. Root and issuing authority sign with ML-DSA-65, server and device prove
// themselves with ML-DSA-65 and ML-DSA-44 keys, and the session key comes from X25519MLKEM768. Nothing but profiles differs from any other.
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type TLSSocket } from 'node:tls';
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

export interface Greeting {
  /** CN that the server read from the device's certificate. */
  readonly seen: string;
  readonly protocol: string | null;
}

/**
 * One mTLS connection on 127.0.0.1, over which the server tells the device whom it sees.
 * @param options.trust root that the device trusts, and the server
 * @param options.group what the device offers for the key exchange
 * @throws when either side refuses the other
 */
export async function greet(options: {
  readonly server: Identity;
  readonly device: Identity;
  readonly trust: { readonly byServer: Uint8Array; readonly byDevice: Uint8Array };
  readonly group?: string;
}): Promise<Greeting> {
  const { server, device, trust, group } = options;
  const listener = createServer({
    ...quantumSafe,
    key: server.key,
    cert: server.cert,
    ca: encodePem('CERTIFICATE', trust.byServer),
    requestCert: true,
    rejectUnauthorized: true,
  });
  listener.on('secureConnection', (socket: TLSSocket) => {
    socket.on('error', () => undefined); // the device's side of it is what the caller hears of
    socket.end(JSON.stringify(socket.getPeerCertificate().subject.CN));
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const address = listener.address();
  try {
    const socket = connect({
      ...quantumSafe,
      ...(group === undefined ? {} : { ecdhCurve: group }),
      host: '127.0.0.1',
      port: typeof address === 'object' && address !== null ? address.port : 0,
      servername: 'broker.example',
      key: device.key,
      cert: device.cert,
      ca: encodePem('CERTIFICATE', trust.byDevice),
    });
    let text = '';
    socket.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    await once(socket, 'end');
    const protocol = socket.getProtocol();
    socket.destroy();
    return { seen: JSON.parse(text) as string, protocol };
  } finally {
    listener.close();
  }
}
