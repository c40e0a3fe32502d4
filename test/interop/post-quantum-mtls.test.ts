import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { verifyChain } from '@keyline/pki';
import { encodePem } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MqttDevice } from '../support/mqtt-device.ts';
import {
  clientOptions,
  createPostQuantumHierarchy,
  enroll,
  startPostQuantumBroker,
  type Identity,
  type PostQuantumBroker,
  type PostQuantumHierarchy,
} from './post-quantum-mtls.ts';

const now = Date.now();
const folder = mkdtempSync(join(tmpdir(), 'keyline-post-quantum-'));
const pump = { profile: 'device-client', id: 'pump-1', now } as const;
let ours: PostQuantumHierarchy;
let theirs: PostQuantumHierarchy;
let broker: PostQuantumBroker;
let device: Identity;

beforeAll(async () => {
  [ours, theirs] = [await createPostQuantumHierarchy(now), await createPostQuantumHierarchy(now)];
  broker = await startPostQuantumBroker({ folder, hierarchy: ours, now });
  device = await enroll(ours, pump);
  await broker.admit(pump.id);
});
afterAll(async () => {
  await broker.stop();
  rmSync(folder, { recursive: true });
});

function connect(
  given: { identity?: Identity; trust?: PostQuantumHierarchy; group?: string } = {},
): Promise<MqttDevice> {
  const { identity = device, trust = ours, group } = given;
  return MqttDevice.connect(
    { url: broker.url, ca: encodePem('CERTIFICATE', trust.rootDer) },
    { id: pump.id, certificate: identity.cert, key: identity.key },
    clientOptions(group),
  );
}

describe('a post-quantum hierarchy', () => {
  it('has ML-DSA keys and signatures from root to leaf, by Node’s own reading', () => {
    const [root, issuing, leaf, server] = [
      ours.rootDer,
      ours.issuingDer,
      device.certificateDer,
      broker.certificateDer,
    ].map((der) => new X509Certificate(der));
    expect(root?.verify(root.publicKey)).toBe(true);
    expect(issuing?.verify(root!.publicKey)).toBe(true);
    for (const one of [leaf, server]) expect(one?.verify(issuing!.publicKey)).toBe(true);
    expect([root, issuing, server, leaf].map((one) => one?.publicKey.asymmetricKeyType)).toEqual([
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

  it('connects its devices to the broker over X25519MLKEM768', async () => {
    const session = await connect();
    expect(await session.publish('devices/pump-1/telemetry', '21.5')).toBe('accepted');
    expect(await session.publish('devices/pump-2/telemetry', '21.5')).toBe('refused');
    await session.close();
    expect(broker.log()).toContain('"cn":"pump-1"');
  });

  it('refuses a key exchange without ML-KEM, and says so', async () => {
    await expect(connect({ group: 'X25519' })).rejects.toThrow(/handshake failure|alert/i);
    await expect.poll(() => broker.log()).toMatch(/share no cipher, curve or signature algorithm/);
  });

  it('refuses a device of another root, and a broker of another root', async () => {
    const stranger = await enroll(theirs, pump);
    await expect(connect({ identity: stranger })).rejects.toThrow(/not authorized/i);
    await expect(connect({ trust: theirs })).rejects.toThrow(/certificate/i);
  });
});
