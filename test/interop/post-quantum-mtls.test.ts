import { X509Certificate } from 'node:crypto';
import { verifyChain } from '@keyline/pki';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  createPostQuantumHierarchy,
  enroll,
  greet,
  type Greeting,
  type Identity,
  type PostQuantumHierarchy,
} from './post-quantum-mtls.ts';

const now = Date.now();
let ours: PostQuantumHierarchy;
let theirs: PostQuantumHierarchy;
let server: Identity;
let device: Identity;
let stranger: Identity;
beforeAll(async () => {
  [ours, theirs] = [await createPostQuantumHierarchy(now), await createPostQuantumHierarchy(now)];
  const broker = {
    profile: 'broker-server',
    id: 'broker',
    dnsNames: ['broker.example'],
    now,
  } as const;
  const pump = { profile: 'device-client', id: 'pump-1', now } as const;
  server = await enroll(ours, broker);
  device = await enroll(ours, pump);
  stranger = await enroll(theirs, pump);
});
const meet = (more: Partial<Parameters<typeof greet>[0]> = {}): Promise<Greeting> =>
  greet({ server, device, trust: { byServer: ours.rootDer, byDevice: ours.rootDer }, ...more });

describe('a post-quantum hierarchy', () => {
  it('has ML-DSA keys and signatures from root to leaf, by Node’s own reading', () => {
    const [root, issuing, leaf, broker] = [
      ours.rootDer,
      ours.issuingDer,
      device.certificateDer,
      server.certificateDer,
    ].map((der) => new X509Certificate(der));
    expect(root?.verify(root.publicKey)).toBe(true);
    expect(issuing?.verify(root!.publicKey)).toBe(true);
    for (const one of [leaf, broker]) expect(one?.verify(issuing!.publicKey)).toBe(true);
    expect([root, issuing, broker, leaf].map((one) => one?.publicKey.asymmetricKeyType)).toEqual([
      'ml-dsa-65',
      'ml-dsa-65',
      'ml-dsa-65',
      'ml-dsa-44',
    ]);
  });

  it('has paths that Keyline validates', () => {
    const question = { intermediates: [ours.issuingDer], now, requiredEku: 'clientAuth' as const };
    const leafDer = device.certificateDer;
    expect(verifyChain({ ...question, leafDer, roots: [ours.rootDer] }).status).toBe('valid');
    expect(verifyChain({ ...question, leafDer, roots: [theirs.rootDer] }).status).toBe('invalid');
  });

  it('does mutual TLS 1.3 over X25519MLKEM768', async () => {
    expect(await meet()).toEqual({ seen: 'pump-1', protocol: 'TLSv1.3' });
  });

  it('refuses a key exchange without ML-KEM', async () => {
    await expect(meet({ group: 'X25519' })).rejects.toThrow(/handshake failure|alert/i);
  });

  it('refuses a device of another root, and a server of another root', async () => {
    await expect(meet({ device: stranger })).rejects.toThrow();
    const trust = { byServer: ours.rootDer, byDevice: theirs.rootDer };
    await expect(meet({ trust })).rejects.toThrow(/certificate/i);
  });
});
