// Revocations bite for as long as the service can administer the broker: its certificate there may be revoked, the broker may hang.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline({
  config(folder) {
    const config = join(folder, 'config');
    cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
    const change = (name: string, pattern: RegExp, to: string): void => {
      const file = join(config, name);
      const text = readFileSync(file, 'utf8');
      expect(text).toMatch(pattern);
      writeFileSync(file, text.replace(pattern, to));
    };
    change('service.yaml', /behindAfter: \w+/, 'behindAfter: PT5S');
    change('alerts.yaml', /evaluateEvery: \w+/, 'evaluateEvery: PT1S');
    return config;
  },
});
const wait = { timeout: 30_000, interval: 200 };

function adminSerial(): string {
  const db = new DatabaseSync(join(suite.keyline.data, 'ca', 'keyline.db'), { readOnly: true });
  const row = db
    .prepare(
      `SELECT lower(hex(serial)) AS serial FROM certificates
       WHERE owner = 'keyline@service' ORDER BY rowid DESC LIMIT 1`,
    )
    .get();
  db.close();
  return String(row?.['serial']);
}

const openAlerts = async (): Promise<{ key: string; severity: string }[]> =>
  expectStatus(await suite.fleet.admin.get('/v1/alerts'), 200).body.items;
const behind = expect.objectContaining({ key: 'state:target:broker:behind', severity: 'critical' });
const ready = async (): Promise<{ status: string; checks: Record<string, string> }> =>
  (await suite.fleet.anyone.get('/readyz')).body;

describe('the certificate with which the service administers the broker', () => {
  it('is replaced when it is revoked, and revocations of devices go on biting without a restart', async () => {
    const { fleet } = suite;
    const device = await fleet.enroll('after-1');
    const session = await fleet.connect(device);
    const before = adminSerial();
    expectStatus(await fleet.admin.post(`/v1/certificates/${before}/revoke`, { wait: true }), 200);
    await expect.poll(adminSerial, wait).not.toBe(before);
    const revoked = await fleet.admin.post('/v1/devices/after-1/revoke', { wait: true });
    expect(expectStatus(revoked, 200).body.evidence.targets).toMatchObject([{ done: true }]);
    await expect.poll(() => session.ended, wait).toBeDefined();
    expect(await fleet.whyRefused(device)).toBeDefined();
    expect(await openAlerts()).not.toContainEqual(behind);
  });
});

describe('a broker that does not answer', () => {
  it('is a critical alert, in /readyz and in the doctor, and no revocation says done, until it is back', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('hung-1');
    const { pids } = JSON.parse(readFileSync(keyline.endpointsFile, 'utf8')) as {
      pids: { broker: number };
    };
    process.kill(pids.broker, 'SIGSTOP');
    try {
      const revoked = await fleet.admin.post('/v1/devices/hung-1/revoke', {});
      const [target] = expectStatus(revoked, 200).body.evidence.targets;
      expect(target).toMatchObject({ done: false, at: null });
      expect(target.pending).not.toBe('');
      await expect.poll(async () => (await ready()).checks['brokers'], wait).toBe('behind: 1 of 1');
      expect((await ready()).status).toBe('degraded');
      await expect.poll(openAlerts, wait).toContainEqual(behind);
      const doctor = await runProgram(keylineCommand, ['doctor'], {
        cwd: suite.folder,
        env: { ...process.env, KEYLINE_ENDPOINTS: keyline.endpointsFile },
      });
      expect(doctor.code).not.toBe(0);
      expect(doctor.out).toMatch(/target broker/);
    } finally {
      process.kill(pids.broker, 'SIGCONT');
    }
    await expect.poll(async () => (await ready()).status, wait).toBe('ok');
    const again = await fleet.admin.post('/v1/devices/hung-1/revoke', { wait: true });
    expect(expectStatus(again, 200).body.evidence.targets).toMatchObject([{ done: true }]);
    expect(await fleet.whyRefused(device)).toBeDefined();
  });
});
