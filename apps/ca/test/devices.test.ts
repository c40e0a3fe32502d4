// A device's life at the API: enroll, renew, search, revoke, over real TLS and on a real database.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type Identity, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

async function createToken(body: Record<string, unknown> = {}): Promise<string> {
  const answer = await issuingCa.call('POST', '/v1/tokens', { body, as: issuingCa.admin });
  expect(answer.status).toBe(201);
  return answer.body.secret as string;
}

async function enrollDevice(id: string, extra: Record<string, unknown> = {}): Promise<Identity> {
  const csr = await makeCsr(id);
  const token = await createToken();
  const { status, body } = await issuingCa.call('POST', '/v1/enroll', {
    body: { csr: csr.pem, token, ...extra },
  });
  expect(status).toBe(201);
  return { cert: body.certificate + body.chain.join(''), key: csr.key };
}

describe('POST /v1/enroll', () => {
  it('gives certificate, chain, broker address, client id and topics', async () => {
    const csr = await makeCsr('d1');
    const token = await createToken();
    const { status, body } = await issuingCa.call('POST', '/v1/enroll', {
      body: { csr: csr.pem, token },
    });
    expect(status).toBe(201);
    expect(body.device).toMatchObject({ id: 'd1', type: 'default', state: 'active' });
    expect(body.broker.clientId).toBe('d1');
    expect(body.broker.topics.publish).toContain('devices/d1/telemetry');
    expect(body.provisioned).toBe(true);
    expect(body.evidence.ledger.seq).toBeGreaterThan(0);
  });

  it('answers the same request again with the same certificate (200), also without a use left', async () => {
    const csr = await makeCsr('again');
    const token = await createToken();
    const first = await issuingCa.call('POST', '/v1/enroll', { body: { csr: csr.pem, token } });
    const second = await issuingCa.call('POST', '/v1/enroll', { body: { csr: csr.pem, token } });
    expect([first.status, second.status]).toEqual([201, 200]);
    expect(second.body.certificate).toBe(first.body.certificate);
  });

  it('takes a DER CSR with the token as bearer and gives DER when asked', async () => {
    const csr = await makeCsr('der1');
    const { status, bytes, headers } = await issuingCa.call('POST', '/v1/enroll', {
      body: csr.der,
      headers: {
        'content-type': 'application/pkcs10',
        accept: 'application/pkix-cert',
        authorization: `Bearer ${await createToken()}`,
      },
    });
    expect(status).toBe(201);
    expect(headers['content-type']).toBe('application/pkix-cert');
    expect(bytes[0]).toBe(0x30);
  });

  it('refuses a token that is unknown, used up or for other ids, and enrolls nothing', async () => {
    const csr = await makeCsr('x1');
    const used = await createToken();
    await issuingCa.call('POST', '/v1/enroll', {
      body: { csr: (await makeCsr('x0')).pem, token: used },
    });
    const other = await createToken({ idPattern: 'line-*' });
    for (const [token, code, status] of [
      ['kle_none', 'TOKEN_INVALID', 401],
      [used, 'TOKEN_EXHAUSTED', 403],
      [other, 'TOKEN_PATTERN_MISMATCH', 403],
    ] as const) {
      const answer = await issuingCa.call('POST', '/v1/enroll', { body: { csr: csr.pem, token } });
      expect([answer.status, answer.body.code]).toEqual([status, code]);
      expect(answer.headers['content-type']).toContain('application/problem+json');
    }
    const found = await issuingCa.call('GET', '/v1/devices/x1', { as: issuingCa.admin });
    expect(found.body.code).toBe('DEVICE_NOT_FOUND');
  });

  it('refuses a key that another device has', async () => {
    const csr = await makeCsr('k1');
    const token = await createToken({ maxUses: 2 });
    await issuingCa.call('POST', '/v1/enroll', { body: { csr: csr.pem, token } });
    const { createSigner } = await import('@keyline/keys');
    const { createCsr, encodePem } = await import('@keyline/x509');
    const { createPrivateKey } = await import('node:crypto');
    const stolen = encodePem(
      'CERTIFICATE REQUEST',
      await createCsr({ signer: createSigner(createPrivateKey(csr.key)), commonName: 'k2' }),
    );
    const answer = await issuingCa.call('POST', '/v1/enroll', { body: { csr: stolen, token } });
    expect([answer.status, answer.body.code]).toEqual([409, 'CSR_KEY_IN_USE']);
  });
});

describe('POST /v1/renew', () => {
  it('renews before its window with a new key, or with the same one when an operator allows it, once', async () => {
    const device = await enrollDevice('r1');
    const early = await issuingCa.call('POST', '/v1/renew', { body: {}, as: device });
    expect([early.status, early.body.code]).toEqual([409, 'RENEWAL_TOO_EARLY']);
    const allowed = await issuingCa.call('POST', '/v1/devices/r1/allow-renewal', {
      body: { for: 'PT1H' },
      as: issuingCa.admin,
    });
    expect(allowed.body).toMatchObject({ device: 'r1' });
    const same = await issuingCa.call('POST', '/v1/renew', { body: {}, as: device });
    expect(same.status).toBe(201);
    expect(same.body.device.id).toBe('r1');
    const kept = { cert: same.body.certificate + same.body.chain.join(''), key: device.key };
    const again = await issuingCa.call('POST', '/v1/renew', { body: {}, as: kept });
    expect(again.body.code).toBe('RENEWAL_TOO_EARLY');
    const fresh = await makeCsr('r1');
    const changed = await issuingCa.call('POST', '/v1/renew', {
      body: { csr: fresh.pem },
      as: kept,
    });
    expect(changed.status).toBe(201);
    const renewed = {
      cert: changed.body.certificate + changed.body.chain.join(''),
      key: fresh.key,
    };
    const me = await issuingCa.call('GET', '/v1/whoami', { as: renewed });
    expect(me.body).toMatchObject({ name: 'r1', role: 'device', via: 'certificate' });
  });

  it('lets a superseded certificate fetch its successor, and once that is used nothing else; another key is an alert', async () => {
    const old = await enrollDevice('r2');
    const fresh = await makeCsr('r2');
    const renew = (csr: string | undefined, as: Identity) =>
      issuingCa.call('POST', '/v1/renew', { body: csr === undefined ? {} : { csr }, as });
    const first = await renew(fresh.pem, old);
    const next = { cert: first.body.certificate + first.body.chain.join(''), key: fresh.key };
    // The answer was lost, perhaps: the old one is still good, and fetches the same again.
    expect((await issuingCa.call('GET', '/v1/devices/r2', { as: old })).status).toBe(200);
    expect((await renew(fresh.pem, old)).body.serial).toBe(first.body.serial);
    expect((await issuingCa.call('GET', '/v1/whoami', { as: next })).status).toBe(200);
    const late = await issuingCa.call('GET', '/v1/devices/r2', { as: old });
    expect([late.status, late.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
    expect((await renew(fresh.pem, old)).body.serial).toBe(first.body.serial);
    const third = await renew((await makeCsr('r2')).pem, old);
    expect([third.status, third.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
    const alerts = await issuingCa.call('GET', '/v1/alerts', { as: issuingCa.admin });
    expect(alerts.body.items).toContainEqual(
      expect.objectContaining({ key: 'identity:r2:two-holders', severity: 'critical' }),
    );
    const { body } = await issuingCa.call('GET', '/v1/devices/r2/history', { as: issuingCa.admin });
    const conflicts = (body.items as { kind: string; address: string }[]).filter(
      ({ kind }) => kind === 'identity-conflict',
    );
    expect(conflicts).toMatchObject([{ address: '127.0.0.1' }]);
    await issuingCa.call('POST', '/v1/devices/r2/suspend', { body: {}, as: issuingCa.admin });
    const after = await issuingCa.call('GET', '/v1/alerts', { as: issuingCa.admin });
    expect(after.body.items).not.toContainEqual(
      expect.objectContaining({ key: 'identity:r2:two-holders' }),
    );
  });

  it('is refused without a certificate, and for a certificate that is no device', async () => {
    const nobody = await issuingCa.call('POST', '/v1/renew', { body: {} });
    expect([nobody.status, nobody.body.code]).toEqual([401, 'UNAUTHENTICATED']);
    const admin = await issuingCa.call('POST', '/v1/renew', { body: {}, as: issuingCa.admin });
    expect([admin.status, admin.body.code]).toEqual([403, 'FORBIDDEN']);
  });

  it('is refused for a key and certificate that only look like ours', async () => {
    const { createSigner, generateKey } = await import('@keyline/keys');
    const { createRootCertificate } = await import('@keyline/pki');
    const { encodePem } = await import('@keyline/x509');
    const key = generateKey('ec-p256');
    const der = await createRootCertificate({
      signer: createSigner(key),
      commonName: 'r1',
      now: Date.now(),
      validity: 86_400_000,
    });
    const forged = {
      cert: encodePem('CERTIFICATE', der),
      key: key.export({ type: 'pkcs8', format: 'pem' }),
    };
    const answer = await issuingCa.call('POST', '/v1/renew', { body: {}, as: forged });
    expect([answer.status, answer.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
  });
});

describe('device states', () => {
  it('revokes in one call: API closed to the device, OCSP and CRL covered', async () => {
    const device = await enrollDevice('v1');
    const { status, body } = await issuingCa.call('POST', '/v1/devices/v1/revoke', {
      body: { reason: 'keyCompromise', wait: true },
      as: issuingCa.admin,
    });
    expect(status).toBe(200);
    expect(body.device.state).toBe('revoked');
    expect(body.evidence.ocsp.status).toBe('revoked');
    expect(body.evidence.crl.number).toBeGreaterThan(0);
    const refused = await issuingCa.call('POST', '/v1/renew', { body: {}, as: device });
    expect([refused.status, refused.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
    const twice = await issuingCa.call('POST', '/v1/devices/v1/revoke', {
      body: {},
      as: issuingCa.admin,
    });
    expect(twice.status).toBe(200);
    expect(twice.body.evidence.ledger.seq).toBe(body.evidence.ledger.seq);
  });

  it('suspends and resumes: the certificate is on hold in between', async () => {
    const device = await enrollDevice('s1');
    await issuingCa.call('POST', '/v1/devices/s1/suspend', { body: {}, as: issuingCa.admin });
    const held = await issuingCa.call('GET', '/v1/whoami', { as: device });
    expect(held.body.code).toBe('CERTIFICATE_NOT_ACCEPTED');
    await issuingCa.call('POST', '/v1/devices/s1/resume', { body: {}, as: issuingCa.admin });
    const back = await issuingCa.call('GET', '/v1/whoami', { as: device });
    expect(back.status).toBe(200);
  });

  it('lists and pages devices, and tells the history of one', async () => {
    const first = await issuingCa.call('GET', '/v1/devices?limit=2', { as: issuingCa.admin });
    expect(first.body.items).toHaveLength(2);
    const next = await issuingCa.call(
      'GET',
      `/v1/devices?limit=2&cursor=${encodeURIComponent(first.body.nextCursor as string)}`,
      { as: issuingCa.admin },
    );
    expect(next.body.items[0].id).not.toBe(first.body.items[0].id);
    const revoked = await issuingCa.call('GET', '/v1/devices?state=revoked', {
      as: issuingCa.admin,
    });
    expect(revoked.body.items.map((device: { id: string }) => device.id)).toEqual(['v1']);
    const history = await issuingCa.call('GET', '/v1/devices/v1/history', { as: issuingCa.admin });
    const changes = (history.body.items as { kind: string }[]).filter(
      ({ kind }) => kind !== 'call-refused',
    );
    // Who it was says the ledger, and from where.
    expect(changes).toMatchObject([
      { kind: 'device-revoked', actor: 'admin:admin@keyline', address: '127.0.0.1' },
      {
        kind: 'device-enrolled',
        actor: expect.stringMatching(/^token:tok_/),
        address: '127.0.0.1',
      },
    ]);
  });

  it('keeps a device to itself', async () => {
    const device = await enrollDevice('self1');
    expect((await issuingCa.call('GET', '/v1/devices/self1', { as: device })).status).toBe(200);
    const other = await issuingCa.call('GET', '/v1/devices/d1', { as: device });
    expect([other.status, other.body.code]).toEqual([403, 'FORBIDDEN']);
    const list = await issuingCa.call('GET', '/v1/devices', { as: device });
    expect(list.body.code).toBe('FORBIDDEN');
  });

  it('is all there after a restart', async () => {
    await issuingCa.restart();
    const { body } = await issuingCa.call('GET', '/v1/devices/v1', { as: issuingCa.admin });
    expect(body.state).toBe('revoked');
  });
});
