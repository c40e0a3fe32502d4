// Everything with `keyline up --broker mosquitto`: the same jobs as on the embedded broker, on real Mosquitto.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { administer } from '../support/dynsec-admin.ts';
import { keylineCommand } from '../support/keyline.ts';
import { has } from '../support/needs.ts';
import { runProgram } from '../support/openssl.ts';
import { untilCrlsInForce } from '../support/crl-in-force.ts';
import { useKeyline } from '../support/use-keyline.ts';

const patience = { timeout: 60_000, interval: 50 };

describe.skipIf(!has('mosquitto'))('Keyline on real Mosquitto', () => {
  const suite = useKeyline({ broker: 'mosquitto' });

  async function change(id: string, what: string, request: object = {}) {
    const answer = await suite.fleet.admin.post(`/v1/devices/${id}/${what}`, request);
    return expectStatus(answer, 200).body;
  }

  it('enrolls a device that may at once do what its role says, in its own name only', async () => {
    const { fleet } = suite;
    // The service connects to its broker by itself, a moment after both serve.
    const isHealthy = async (): Promise<boolean> =>
      expectStatus(await fleet.admin.get('/v1/targets'), 200).body.items[0].healthy;
    await expect.poll(isHealthy, patience).toBe(true);
    const [device, other] = [await fleet.enroll('pump-1'), await fleet.enroll('pump-12')];
    expect(device.provisioned).toBe(true);
    const session = await fleet.connect(device);
    const neighbour = await fleet.connect(other);
    expect(await session.publish('devices/pump-1/telemetry', '1')).toBe('accepted');
    expect(await session.publish('devices/pump-12/telemetry', '1')).toBe('refused');
    expect(await neighbour.publish('devices/pump-1/telemetry', '1')).toBe('refused');
    expect(await session.subscribe('devices/pump-1/commands/#')).toBe('accepted');
    await neighbour.subscribe('devices/pump-1/commands/#');
    await administer(fleet.broker, fleet.adminIdentity, [
      {
        command: 'createRole',
        rolename: 'operations',
        acls: [{ acltype: 'publishClientSend', topic: 'devices/+/commands/#', allow: true }],
      },
      { command: 'createClient', username: 'operations@plant' },
      { command: 'addClientRole', username: 'operations@plant', rolename: 'operations' },
    ]);
    const name = { profile: 'service-client', name: 'operations@plant' };
    const operator = await fleet.connect(await fleet.issueIdentity(name));
    expect(await operator.publish('devices/pump-1/commands/reboot', 'now')).toBe('accepted');
    expect(await session.take('devices/pump-1/commands/reboot')).toBe('now');
    expect(neighbour.messages).toEqual([]);
    await Promise.all([session, neighbour, operator].map((each) => each.close()));
  });

  it('cuts a revoked device, leaves it powerless at once, and refuses it with the next CRL', async () => {
    const { fleet } = suite;
    const [device, bystander] = [await fleet.enroll('doomed'), await fleet.enroll('bystander')];
    const session = await fleet.connect(device);
    const { evidence } = await change('doomed', 'revoke', { reason: 'keyCompromise', wait: true });
    expect(await session.untilEnded()).toBe('DISCONNECT 152');
    expect(evidence.targets).toMatchObject([
      { target: 'broker', done: true, at: expect.stringMatching(/Z$/) as string },
    ]);
    const back = await fleet.connect(device).catch(() => undefined);
    if (back !== undefined) {
      expect(await back.publish('devices/doomed/telemetry', '1')).toBe('refused');
      expect(await back.subscribe('devices/doomed/commands/#')).toBe('refused');
      await back.close();
    }
    await expect
      .poll(() => fleet.whyRefused(device), patience)
      .toMatch(/certificate revoked|ECONNRESET/i);
    expect(await fleet.whyRefused(bystander)).toBeUndefined();
  });

  it('suspends a device and gives it everything back', async () => {
    const { fleet } = suite;
    const device = await fleet.enroll('pause-1');
    const session = await fleet.connect(device);
    await change('pause-1', 'suspend', { wait: true });
    expect(await session.untilEnded()).toBe('DISCONNECT 152');
    await expect.poll(() => fleet.whyRefused(device), patience).toBeDefined();
    const resumed = await change('pause-1', 'resume', { wait: true });
    await untilCrlsInForce(() => suite.keyline.endpoints.metrics, [resumed]);
    await expect.poll(() => fleet.whyRefused(device), patience).toBeUndefined();
    const back = await fleet.connect(device);
    expect(await back.publish('devices/pause-1/telemetry', '1')).toBe('accepted');
    await back.close();
  });

  it('comes back after kill -9 of broker and Mosquitto, with every right', async () => {
    const { fleet, keyline } = suite;
    const device = await fleet.enroll('pump-2');
    const mosquitto = (): number =>
      Number(readFileSync(join(keyline.data, 'broker', 'mosquitto.pid'), 'utf8'));
    const [supervisor, before] = [keyline.endpoints.pids.broker, mosquitto()];
    process.kill(supervisor, 'SIGKILL');
    await expect.poll(() => keyline.endpoints.pids.broker, patience).not.toBe(supervisor);
    expect(mosquitto()).not.toBe(before);
    process.kill(mosquitto(), 'SIGKILL');
    await expect.poll(() => fleet.whyRefused(device), patience).toBeUndefined();
    const session = await fleet.connect(device);
    expect(await session.publish('devices/pump-2/telemetry', '1')).toBe('accepted');
    await session.close();
  });

  it('is explained by keyline doctor, with what its version costs', async () => {
    const args = ['doctor', '--json', '--endpoints', suite.keyline.endpointsFile];
    const { out } = await runProgram(keylineCommand, args);
    const { findings } = JSON.parse(out) as {
      findings: { check: string; level: string; message: string }[];
    };
    const engine = findings.find(({ check }) => check === 'broker engine');
    expect(engine?.message).toMatch(/^Mosquitto 2\.\d+\.\d+: /);
    expect(engine?.level).toBe(engine?.message.startsWith('Mosquitto 2.0') ? 'warn' : 'ok');
  });

  it('stays chosen for the folder', async () => {
    await suite.restart();
    const { metrics } = suite.keyline.endpoints;
    const text = await (await fetch(`${metrics}/metrics`)).text();
    expect(text).toContain('engine="mosquitto"');
  });
});
