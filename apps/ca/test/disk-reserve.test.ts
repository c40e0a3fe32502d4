// A disk that fills up: revocations go on, the rest is told, and it ends by itself.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { openDiskReserve, reserveFile } from '../src/disk-reserve.ts';
import {
  buildIssuingCa,
  changedConfig,
  makeCsr,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

describe('the reserve', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'keyline-reserve-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));
  const size = () =>
    stat(join(folder, reserveFile)).then(
      (found) => found.size,
      () => 0,
    );

  it('is a file of its own, given up below the mark and taken back when there is room for it', async () => {
    let free = 10_000_000;
    const bytes = 2_500_000;
    const reserve = await openDiskReserve({
      ...{ folder, bytes, log: pino({ level: 'silent' }) },
      readFree: () => Promise.resolve(free),
    });
    expect([reserve.isLow(), await size()]).toEqual([false, bytes]);
    free = bytes - 1;
    await reserve.tick();
    expect([reserve.isLow(), await size()]).toEqual([true, 0]);
    expect(() => reserve.assertRoom()).toThrow(/STORAGE_RESERVED/);
    // Its own file's space is no sign of room.
    free = bytes * 2;
    await reserve.tick();
    expect(reserve.isLow()).toBe(true);
    free = bytes * 3;
    await reserve.tick();
    expect([reserve.isLow(), await size()]).toEqual([false, bytes]);
  });

  it('is none when none is asked for', async () => {
    const reserve = await openDiskReserve({
      ...{ folder, bytes: 0, log: pino({ level: 'silent' }) },
      readFree: () => Promise.resolve(0),
    });
    expect([reserve.isLow(), await size()]).toEqual([false, 0]);
  });
});

describe('a service whose disk is nearly full', () => {
  let issuingCa: IssuingCa;
  let device: Identity;
  let token: string;
  beforeAll(async () => {
    issuingCa = await buildIssuingCa();
    const made = await issuingCa.call('POST', '/v1/tokens', {
      body: { maxUses: 9 },
      as: issuingCa.admin,
    });
    token = made.body.secret as string;
    const { pem: csr, key } = await makeCsr('d1');
    const { body } = await issuingCa.call('POST', '/v1/enroll', { body: { csr, token } });
    device = { cert: body.certificate + body.chain.join(''), key };
    // More than any disk of a test has free.
    await issuingCa.restart(
      await changedConfig(issuingCa, [['reserveBytes: 33554432', 'reserveBytes: 1099511627776']]),
    );
  });
  afterAll(() => issuingCa.close());

  it('refuses with 507 and says why whatever is no revocation, and reads on', async () => {
    const { pem: csr } = await makeCsr('d2');
    const calls = [
      issuingCa.call('POST', '/v1/enroll', { body: { csr, token } }),
      issuingCa.call('POST', '/v1/renew', { as: device, body: {} }),
      issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} }),
      issuingCa.call('POST', '/v1/batches', { as: issuingCa.admin, body: { id: 'b', quota: 1 } }),
    ];
    for (const { status, body, headers } of await Promise.all(calls)) {
      expect([status, body.code]).toEqual([507, 'STORAGE_RESERVED']);
      expect(body.detail).toContain('disk');
      expect(headers['retry-after']).toBe('60');
    }
    expect((await issuingCa.call('GET', '/v1/devices/d1', { as: issuingCa.admin })).status).toBe(
      200,
    );
  });

  it('raises a critical alert, and says so to readyz and metrics', async () => {
    const alerts = await issuingCa.call('GET', '/v1/alerts', { as: issuingCa.admin });
    expect(alerts.body.items).toContainEqual(
      expect.objectContaining({ key: 'state:storage:ca:reserved', severity: 'critical' }),
    );
    const ready = await issuingCa.call('GET', '/readyz');
    expect(ready.body.checks.storage).toContain('only revocations');
    const metrics = await issuingCa.call('GET', '/metrics', { as: issuingCa.admin });
    expect(metrics.text).toContain('\nkeyline_disk_reserved 1\n');
  });

  it('still takes revocations of certificates, devices and tokens, and publishes them', async () => {
    const certificate = await issuingCa.call('GET', '/v1/devices/d1', { as: issuingCa.admin });
    const revoked = await issuingCa.call('POST', '/v1/devices/d1/revoke', {
      as: issuingCa.admin,
      body: { reason: 'keyCompromise', wait: true },
    });
    expect([revoked.status, revoked.body.evidence.ocsp.status]).toEqual([200, 'revoked']);
    expect(revoked.body.evidence.crl.number).toBeGreaterThan(0);
    expect(certificate.body.serial).toBe(revoked.body.device.serial);
    const tokens = await issuingCa.call('GET', '/v1/tokens', { as: issuingCa.admin });
    const ended = await issuingCa.call('DELETE', `/v1/tokens/${String(tokens.body.items[0].id)}`, {
      as: issuingCa.admin,
    });
    expect(ended.status).toBe(200);
  });
});
