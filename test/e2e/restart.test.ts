// What a restart must not change: everything is in the folder, and brokers catch up with what they missed.
import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { expectRefusal, expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();

async function authorities() {
  return expectStatus(await suite.fleet.admin.get('/v1/authorities'), 200).body.items as {
    role: string;
    serial: string;
    crl: { number: number } | null;
  }[];
}

/** Not by a signal: who is nobody's child stays in the process table until somebody asks for its end. */
function isServing(pid: number): boolean {
  const file = `/proc/${pid}/cmdline`;
  return existsSync(file) && readFileSync(file, 'utf8').includes('serve');
}

/** Until the API answers again and a service has another process. */
async function untilRestarted(which: 'ca' | 'broker', pid: number): Promise<void> {
  const current = (): number => {
    try {
      return suite.keyline.endpoints.pids[which];
    } catch {
      return pid;
    }
  };
  await expect.poll(current, { timeout: 60_000, interval: 50 }).not.toBe(pid);
}

describe('after a restart of everything', () => {
  it('URLs, devices, tokens, batches, revocations and rights are what they were', async () => {
    const { fleet } = suite;
    const token = await fleet.createToken({ maxUses: 3 });
    const kept = await fleet.enroll('kept-1', { token });
    const revoked = await fleet.enroll('revoked-1', { token });
    await fleet.admin.post('/v1/devices/revoked-1/revoke', { wait: true });
    const suspended = await fleet.enroll('suspended-1');
    await fleet.admin.post('/v1/devices/suspended-1/suspend', { wait: true });
    expectStatus(await fleet.admin.post('/v1/batches', { id: 'wo-1', quota: 2 }), 201);
    const unit = { id: 'unit-1', csr: await createDeviceKey().csr('unit-1') };
    const signed = expectStatus(await fleet.admin.post('/v1/batches/wo-1/sign', unit), 201);
    const { pids: _, ...endpoints } = suite.keyline.endpoints;
    const devices = await fleet.listDevices();
    const before = await authorities();

    await suite.restart();
    const { fleet: after } = suite;
    expect(suite.keyline.endpoints).toMatchObject(endpoints);
    expect(await after.listDevices()).toEqual(devices);
    const now = await authorities();
    expect(now.map(({ serial }) => serial)).toEqual(before.map(({ serial }) => serial));
    expect(now[1]?.crl?.number).toBeGreaterThanOrEqual(before[1]?.crl?.number ?? 0);

    const again = expectStatus(await after.admin.post('/v1/batches/wo-1/sign', unit), 200);
    expect(again.body.certificate).toBe(signed.body.certificate);
    await after.enroll('kept-2', { token });
    const fourth = { id: 'kept-3', csr: await createDeviceKey().csr('kept-3'), token };
    expectRefusal(await after.anyone.post('/v1/enroll', fourth), 'TOKEN_EXHAUSTED');

    const session = await after.connect(kept);
    expect(await session.publish('devices/kept-1/state', 'back')).toBe('accepted');
    await session.close();
    expect(await after.whyRefused(revoked)).toMatch(/not authorized/i);
    expect(await after.whyRefused(suspended)).toMatch(/not authorized/i);
  });
});

describe('when the broker alone dies', () => {
  it('enrollment goes on, says pending, and the broker knows the device when it is back', async () => {
    const { fleet, keyline } = suite;
    const { pids } = keyline.endpoints;
    process.kill(pids.broker, 'SIGKILL');
    const device = await fleet.enroll('meanwhile-1');
    await untilRestarted('broker', pids.broker);
    expect(keyline.endpoints.pids.ca).toBe(pids.ca);
    await expect.poll(() => fleet.whyRefused(device), { timeout: 60_000 }).toBeUndefined();
    const target = async () => (await fleet.admin.get('/v1/targets')).body.items[0];
    await expect.poll(target, { timeout: 60_000 }).toMatchObject({ healthy: true, lag: 0 });
  });
});

describe('when the issuing CA alone dies', () => {
  it('live sessions stay, and what was answered before is there', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('live-1');
    const session = await fleet.connect(device);
    const { pids } = keyline.endpoints;
    process.kill(pids.ca, 'SIGKILL');
    expect(await session.publish('devices/live-1/state', 'on')).toBe('accepted');
    await untilRestarted('ca', pids.ca);
    expect(session.ended).toBeUndefined();
    await session.close();
    expectStatus(await fleet.admin.get('/v1/devices/live-1'), 200);
    expect((await fleet.enroll('live-2')).provisioned).toBe(true);
  });
});

describe('when keyline up itself is killed', () => {
  it('the next start stops the services that were left behind, and goes on', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('orphan-1');
    const { pids } = keyline.endpoints;
    await keyline.kill();
    // The services do not know: they still serve.
    expect(await fleet.whyRefused(device)).toBeUndefined();
    await suite.restart();
    for (const pid of Object.values(pids)) expect(isServing(pid)).toBe(false);
    expect(await suite.fleet.whyRefused(device)).toBeUndefined();
    expectStatus(await suite.fleet.admin.get('/v1/devices/orphan-1'), 200);
  });
});

describe('when the terminal of keyline up is closed', () => {
  it('it still stops its services, in order', async () => {
    const { keyline } = suite;
    const { pids } = keyline.endpoints;
    expect(await keyline.hangUp()).toBe('exit code 0');
    for (const pid of Object.values(pids)) expect(isServing(pid)).toBe(false);
    await suite.restart();
  });
});
