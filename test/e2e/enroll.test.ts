// Job 4, enroll a device: as a firmware developer does it with curl and openssl, and everything a token can say no to.
import { X509Certificate } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { expectRefusal, expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { readEnrolled } from '../support/fleet.ts';
import { has } from '../support/needs.ts';
import { openssl, runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();

async function enrollRequest(id: string, token: string) {
  return { id, csr: await createDeviceKey().csr(id), token };
}

describe.skipIf(!has('curl', 'openssl'))('a device with nothing but curl and openssl', () => {
  it('enrolls with one curl call, and OpenSSL finds the certificate strictly right', async () => {
    const { fleet, folder, keyline } = suite;
    const at = (name: string): string => join(folder, name);
    const { api, ca } = keyline.endpoints;
    const token = await fleet.createToken({ idPattern: 'curl-*' });
    await openssl([
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', '/CN=curl-1', '-keyout', at('curl-1.key'), '-out', at('curl-1.csr')],
    ]);
    const curl = ['--silent', '--show-error', '--fail-with-body', '--cacert', ca];
    const { code, out, err } = await runProgram('curl', [
      ...[...curl, `${api}/v1/enroll`, '--data-binary', `@${at('curl-1.csr')}`],
      ...['-H', `Authorization: Bearer ${token}`, '-H', 'Content-Type: application/pkcs10'],
    ]);
    expect({ code, err }, out).toEqual({ code: 0, err: '' });
    const answer = JSON.parse(out);
    expect(answer).toMatchObject({
      device: { id: 'curl-1', state: 'active' },
      broker: { url: keyline.endpoints.broker, clientId: 'curl-1' },
      provisioned: true,
    });

    writeFileSync(at('curl-1.crt'), answer.certificate);
    writeFileSync(at('chain.crt'), answer.chain.join(''));
    const verify = ['verify', '-x509_strict', '-purpose', 'sslclient', '-CAfile', ca];
    await openssl([...verify, '-untrusted', at('chain.crt'), at('curl-1.crt')]);

    // With what it got it reads itself, as the README shows.
    const self = await runProgram('curl', [
      ...[...curl, `${api}/v1/devices/curl-1`],
      ...['--cert', at('curl-1.crt'), '--key', at('curl-1.key')],
    ]);
    expect(self.code, self.err + self.out).toBe(0);
    expect(JSON.parse(self.out)).toMatchObject({ id: 'curl-1', serial: answer.serial });
  });

  it('gets the bare certificate when it asks for application/pkix-cert', async () => {
    const { fleet, keyline } = suite;
    const token = await fleet.createToken();
    const request = await enrollRequest('der-1', token);
    const headers = { accept: 'application/pkix-cert' };
    const answer = await keyline.as('anyone').post('/v1/enroll', request, { headers });
    expect(answer.status).toBe(201);
    expect(answer.headers['content-type']).toBe('application/pkix-cert');
  });
});

describe('an enrolled device', () => {
  it('gets a certificate that ends when the profile says, for its own key, and is told its topics', async () => {
    const device = await suite.fleet.enroll('plain-1');
    const certificate = new X509Certificate(device.leaf);
    expect(certificate.subject).toBe('CN=plain-1');
    expect(certificate.subjectAltName).toBe('URI:urn:keyline:device:plain-1');
    expect(certificate.ca).toBe(false);
    expect(certificate.serialNumber.toLowerCase()).toBe(device.serial);
    const days = (certificate.validToDate.getTime() - Date.now()) / 86_400_000;
    expect(days).toBeGreaterThan(89.9);
    expect(days).toBeLessThanOrEqual(90);
    expect(device.topics).toEqual({
      publish: ['devices/plain-1/telemetry', 'devices/plain-1/events/#', 'devices/plain-1/state'],
      subscribe: ['devices/plain-1/commands/#', 'config/global/#'],
    });
  });

  it.each(['ec-p384', 'ed25519', 'rsa-2048'] as const)(
    'with a key of the kind %s connects to the broker',
    async (algorithm) => {
      const device = await suite.fleet.enroll(`alg-${algorithm}`, { algorithm });
      const session = await suite.fleet.connect(device);
      expect(await session.publish(`devices/${device.id}/state`, 'up')).toBe('accepted');
      await session.close();
    },
  );

  it('that lost the answer sends the same request again and gets the same certificate, at no cost', async () => {
    const { fleet } = suite;
    const request = await enrollRequest('again-1', await fleet.createToken());
    const first = expectStatus(await fleet.anyone.post('/v1/enroll', request), 201);
    const entries = fleet.countEntries();
    const second = expectStatus(await fleet.anyone.post('/v1/enroll', request), 200);
    expect(second.body.certificate).toBe(first.body.certificate);
    expect(fleet.countEntries()).toBe(entries);
  });

  it('takes the topics of its type and the labels of its token', async () => {
    const { fleet } = suite;
    const token = await fleet.createToken({ type: 'gateway', labels: { hall: 'b' } });
    const device = await fleet.enroll('gw-1', { token });
    expect(device.topics.publish).toContain('gateways/gw-1/things/+/telemetry');
    const { body } = await fleet.admin.get('/v1/devices/gw-1');
    expect(body).toMatchObject({ type: 'gateway', labels: { hall: 'b' } });
    const list = await fleet.admin.get('/v1/devices?label=hall%3Db&type=gateway');
    expect(list.body.items.map(({ id }: { id: string }) => id)).toEqual(['gw-1']);
  });

  it('never shares a key with another device', async () => {
    const { fleet } = suite;
    const token = await fleet.createToken({ maxUses: 2 });
    const key = createDeviceKey();
    const enroll = async (id: string) =>
      fleet.anyone.post('/v1/enroll', { id, csr: await key.csr(id), token });
    expectStatus(await enroll('twin-1'), 201);
    expectRefusal(await enroll('twin-2'), 'CSR_KEY_IN_USE');
    expectStatus(await fleet.admin.get('/v1/devices/twin-2'), 404);
  });
});

describe('an enrollment token', () => {
  it('for one device is used up by the first', async () => {
    const { fleet } = suite;
    const token = await fleet.createToken();
    await fleet.enroll('once-1', { token });
    const answer = await fleet.anyone.post('/v1/enroll', await enrollRequest('once-2', token));
    expectRefusal(answer, 'TOKEN_EXHAUSTED');
  });

  it('for three devices lets exactly three in, also when eight come at once', async () => {
    const { fleet } = suite;
    const token = await fleet.createToken({ maxUses: 3 });
    const answers = await Promise.all(
      Array.from({ length: 8 }, async (_, n) =>
        fleet.anyone.post('/v1/enroll', await enrollRequest(`rush-${n}`, token)),
      ),
    );
    expect(answers.filter(({ status }) => status === 201)).toHaveLength(3);
    const refused = answers.filter(({ status }) => status !== 201);
    for (const answer of refused) expectRefusal(answer, 'TOKEN_EXHAUSTED');
    const { body } = await fleet.admin.get('/v1/devices?q=rush-');
    expect(body.items).toHaveLength(3);
  });

  it('says no after its end', async () => {
    const { fleet } = suite;
    const token = await fleet.createToken({ expiresIn: 'PT1S' });
    await sleep(1100);
    const answer = await fleet.anyone.post('/v1/enroll', await enrollRequest('late-1', token));
    expectRefusal(answer, 'TOKEN_EXPIRED');
  });

  it('says no to an id that does not fit its pattern, and the message names the pattern', async () => {
    const { fleet } = suite;
    const token = await fleet.createToken({ idPattern: 'line1-??' });
    const answer = await fleet.anyone.post('/v1/enroll', await enrollRequest('line2-01', token));
    expectRefusal(answer, 'TOKEN_PATTERN_MISMATCH');
    expect(answer.body.detail).toContain('line1-??');
    await fleet.enroll('line1-01', { token });
  });

  it('says no when it was revoked', async () => {
    const { fleet } = suite;
    const { body } = await fleet.admin.post('/v1/tokens', { maxUses: 5 });
    await fleet.enroll('before-1', { token: body.secret });
    expectStatus(await fleet.admin.send('DELETE', `/v1/tokens/${body.token.id}`), 200);
    const request = await enrollRequest('after-1', body.secret);
    expectRefusal(await fleet.anyone.post('/v1/enroll', request), 'TOKEN_INVALID');
  });
});

describe('a renewal over mTLS', () => {
  it('keeps the key when no CSR is sent, and the session on the broker lives on', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('renew-1');
    const session = await fleet.connect(device);
    const self = keyline.as(device);
    // Long before its window: not with the key it has, until an operator says so.
    expectRefusal(await self.post('/v1/renew', {}), 'RENEWAL_TOO_EARLY');
    expectStatus(await fleet.admin.post('/v1/devices/renew-1/allow-renewal', {}), 200);
    const renewed = readEnrolled(
      expectStatus(await self.post('/v1/renew', {}), 201),
      device.deviceKey,
    );
    self.close();
    expect(renewed.serial).not.toBe(device.serial);
    const publicKeys = [device, renewed].map(({ leaf }) =>
      new X509Certificate(leaf).publicKey.export({ type: 'spki', format: 'pem' }),
    );
    expect(publicKeys[0]).toEqual(publicKeys[1]);
    expect(await session.publish('devices/renew-1/state', 'still here')).toBe('accepted');
    await session.close();
    // A device that lost the answer is not stranded: the broker takes the old one too, until the new one has come.
    expect(await fleet.whyRefused(device)).toBeUndefined();
    expect(await fleet.whyRefused(renewed)).toBeUndefined();
    expect(await fleet.whyRefused(device)).toMatch(/not authorized/i);
  });

  it('changes the key with a CSR, and the new pair is the device from then on', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('renew-2');
    const nextKey = createDeviceKey();
    const self = keyline.as(device);
    const answer = await self.post('/v1/renew', { csr: await nextKey.csr('renew-2') });
    self.close();
    const renewed = readEnrolled(expectStatus(answer, 201), nextKey);
    const session = await fleet.connect(renewed);
    await session.close();
    const readHistory = () => fleet.admin.get('/v1/devices/renew-2/history');
    // The broker reports the first use by itself, a moment later.
    await expect
      .poll(async () => (await readHistory()).body.items.map(({ kind }: { kind: string }) => kind))
      .toEqual(['certificate-used', 'device-renewed', 'device-enrolled']);
    const history = await readHistory();
    const states = history.body.certificates.map(
      (certificate: { serial: string; state: string }) => [certificate.serial, certificate.state],
    );
    expect(Object.fromEntries(states)).toEqual({
      [device.serial]: 'superseded',
      [renewed.serial]: 'active',
    });
  });

  it('is refused without a certificate, and for the name of another device', async () => {
    const { fleet, keyline } = suite;
    expectRefusal(await fleet.anyone.post('/v1/renew', {}), 'UNAUTHENTICATED');
    const device = await fleet.enroll('renew-3');
    const self = keyline.as(device);
    const csr = await createDeviceKey().csr('renew-1');
    expectRefusal(await self.post('/v1/renew', { csr }), 'CSR_SUBJECT_MISMATCH');
    self.close();
  });
});

describe('an Idempotency-Key', () => {
  it('gives the first answer again, secret and all, and makes nothing new', async () => {
    const { fleet } = suite;
    const call = { headers: { 'idempotency-key': 'a-key-of-this-test' } };
    const first = await fleet.admin.post('/v1/tokens', { description: 'idem' }, call);
    const second = await fleet.admin.post('/v1/tokens', { description: 'idem' }, call);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    const other = await fleet.admin.post('/v1/tokens', { description: 'other' }, call);
    expectRefusal(other, 'IDEMPOTENCY_KEY_REUSED');
  });
});
