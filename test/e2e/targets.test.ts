// Several brokers follow one ledger: one that is down holds up neither the requests nor the others, and has everything afterwards, in
// order, once. What differs on a broker, by whatever hand or backup, is found, repaired and reported.
import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { administer } from '../support/dynsec-admin.ts';
import { choosePort, ExternalMosquitto, targetsYaml } from '../support/external-mosquitto.ts';
import type { EnrolledDevice } from '../support/fleet.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import { MqttDevice, type BrokerAddress } from '../support/mqtt-device.ts';
import { has } from '../support/needs.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const own = 'broker';
const plant = 'plant';
const patience = { timeout: 90_000, interval: 50 };
/** Milliseconds; longer than any request takes on a busy machine that waits for nobody. */
const provisionWait = 10_000;

interface Client {
  readonly username: string;
  readonly disabled?: boolean;
  readonly clientid?: string;
  readonly roles?: readonly { readonly rolename: string }[];
  readonly groups?: readonly unknown[];
}

describe.skipIf(!has('mosquitto'))('an embedded broker and a Mosquitto of the team', () => {
  let port = 0;
  let mosquitto: ExternalMosquitto;
  let token: string;
  const suite = useKeyline({
    async config(folder) {
      const config = join(folder, 'config');
      if (port === 0) port = await choosePort();
      cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
      writeFileSync(join(config, 'targets.yaml'), targetsYaml(plant, { port }));
      const service = readFileSync(join(config, 'service.yaml'), 'utf8');
      const longer = service.replace(
        'provisionWait: 2s',
        `provisionWait: PT${provisionWait / 1000}S`,
      );
      expect(longer).not.toBe(service);
      writeFileSync(join(config, 'service.yaml'), longer);
      return config;
    },
  });

  beforeAll(async () => {
    const { folder, fleet } = suite;
    const place = { folder: join(folder, 'hall-3'), port };
    mosquitto = await ExternalMosquitto.create(place, fleet, join(folder, 'config'));
    token = await fleet.createToken({ maxUses: 5000 });
  });

  afterAll(() => mosquitto.stop('SIGKILL'));

  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(mosquitto.log.slice(-20000));
  });

  const brokers = (): Record<string, BrokerAddress> => ({
    [own]: suite.fleet.broker,
    [plant]: mosquitto.address,
  });

  async function change(id: string, what: string, request: object = {}) {
    const answer = await suite.fleet.admin.post(`/v1/devices/${id}/${what}`, request);
    return expectStatus(answer, 200).body;
  }

  async function targetView(name: string) {
    const { body } = expectStatus(await suite.fleet.admin.get('/v1/targets'), 200);
    return body.items.find((item: { name: string }) => item.name === name);
  }

  async function metric(line: string): Promise<number> {
    const { text } = await suite.fleet.admin.get('/metrics');
    const found = text.split('\n').find((each) => each.startsWith(`${line} `));
    return Number(found?.split(' ').at(-1));
  }

  async function runKeyline(...args: string[]) {
    return runProgram(keylineCommand, [...args, '--endpoints', suite.keyline.endpointsFile]);
  }

  async function followed(name: string): Promise<void> {
    await expect
      .poll(() => targetView(name), patience)
      .toMatchObject({ healthy: true, lag: 0, lastError: null });
  }

  async function clientsOn(name: string): Promise<Map<string, Client>> {
    const [answer] = await administer(brokers()[name]!, suite.fleet.adminIdentity, [
      { command: 'listClients', verbose: true, count: -1 },
    ]);
    const { clients } = answer?.data as { clients: Client[] };
    return new Map(clients.map((client) => [client.username, client]));
  }

  /** Every device of the fleet, as this broker should have it. */
  async function expectDesired(name: string): Promise<void> {
    const actual = await clientsOn(name);
    const { body } = expectStatus(await suite.fleet.admin.get('/v1/devices?limit=1000'), 200);
    for (const { id, state, type } of body.items) {
      const client = actual.get(id);
      // Our broker refuses whom it does not know, so a suspended device need not be there.
      if (name === own && state === 'suspended' && client === undefined) continue;
      const got = client && {
        disabled: client.disabled === true,
        roles: (client.roles ?? []).map(({ rolename }) => rolename),
        groups: client.groups ?? [],
        bound: (client.clientid ?? '') !== '',
      };
      const role = type === 'gateway' ? 'gateway' : 'device';
      const may = { disabled: false, roles: [role], groups: [], bound: false };
      const must: Record<string, unknown> = {
        active: may,
        suspended:
          name === own
            ? { ...may, disabled: true, roles: [] }
            : { ...may, disabled: true, roles: ['keyline-denied'] },
        revoked: name === own ? undefined : { ...may, disabled: true, roles: ['keyline-denied'] },
      };
      expect(got, `${id}, ${state}, on ${name}`).toEqual(must[state]);
    }
    const devices = [...actual.keys()].filter((username) => !username.includes('@'));
    const known = new Set(body.items.map(({ id }: { id: string }) => id));
    expect(devices.filter((id) => !known.has(id))).toEqual([]);
  }

  const enroll = (id: string): Promise<EnrolledDevice> => suite.fleet.enroll(id, { token });

  /** 120 enrollments, 40 suspensions, 20 of them resumed, 20 revocations; none waits for a broker that is away. */
  async function change200(prefix: string): Promise<void> {
    const ids = Array.from({ length: 120 }, (_, n) => `${prefix}-${n}`);
    const jobs = ids.map((id, n) => async () => {
      const steps: (() => Promise<unknown>)[] = [() => enroll(id)];
      if (n % 3 === 0) steps.push(() => change(id, 'suspend'));
      if (n % 6 === 0) steps.push(() => change(id, 'resume'));
      if (n % 6 === 1) steps.push(() => change(id, 'revoke', { reason: 'keyCompromise' }));
      for (const step of steps) await withoutWaiting(step);
    });
    await Promise.all(
      Array.from({ length: 4 }, async () => {
        for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
      }),
    );
  }

  /** A request that waits for a broker waits for as long as it may: that is told from one that is slow. */
  async function withoutWaiting(step: () => Promise<unknown>): Promise<void> {
    const begun = performance.now();
    await step();
    expect(performance.now() - begun, 'ms of one request').toBeLessThan(provisionWait);
  }

  it('says which broker is pending, waits for it a bounded time, and not at all once it is known to be down', async () => {
    const { fleet } = suite;
    await followed(own);
    const admin = await fleet.admin.post('/v1/enroll', {
      id: 'early-1',
      token,
      csr: await fleetCsr('early-1'),
    });
    const { provisioned, evidence } = expectStatus(admin, 201).body;
    expect(provisioned).toBe(false);
    expect(evidence.targets).toEqual([
      { target: own, done: true, at: expect.any(String) as string, refuses: null, pending: null },
      {
        ...{ target: plant, done: false, at: null, refuses: null },
        pending: expect.stringMatching(/./) as string,
      },
    ]);
    await expect.poll(async () => (await targetView(plant)).healthy, patience).toBe(false);
    await withoutWaiting(() => enroll('early-2'));
  });

  it('fills a broker that comes, and then waits for it too', async () => {
    await mosquitto.start('none');
    await followed(plant);
    await expect.poll(async () => (await targetView(plant)).compared?.devices, patience).toBe(2);
    const device = await enroll('early-3');
    expect(device.provisioned).toBe(true);
    for (const broker of Object.values(brokers())) {
      const session = await MqttDevice.connect(broker, device);
      expect(await session.publish('devices/early-3/state', 'x')).toBe('accepted');
      await session.close();
    }
    await expectDesired(plant);
  });

  it('holds nobody up while one hangs during 200 changes, shows it, and brings them afterwards, in order, once', async () => {
    process.kill(mosquitto.pid, 'SIGSTOP');
    try {
      const first = await enroll('hang-first');
      expect(first.provisioned).toBe(false);
      await expect.poll(async () => (await targetView(plant)).healthy, patience).toBe(false);
      await change200('hang');
      await followed(own);
      await expectDesired(own);
      const view = await targetView(plant);
      expect(view.lag).toBeGreaterThanOrEqual(200);
      expect(view.lastError).toMatch(/not answered for \d+ s|within \d+ ms/);
      expect(await metric(`keyline_follower_lag{follower="${plant}"}`)).toBeGreaterThanOrEqual(200);
      expect(await metric(`keyline_follower_lag{follower="${own}"}`)).toBe(0);
      expect(await metric(`keyline_target_healthy{target="${plant}"}`)).toBe(0);
      expect(await metric(`keyline_target_healthy{target="${own}"}`)).toBe(1);
      const { out } = await runKeyline('target', 'list');
      expect(out).toMatch(/^broker +ok +0 /m);
      expect(out).toMatch(/^plant +The broker "plant".* not answered.* \d{3} /m);
    } finally {
      process.kill(mosquitto.pid, 'SIGCONT');
    }
    await followed(plant);
    await expectDesired(plant);
    // Each device was made once: what came afterwards was the end of what had happened, not all of it again. (One that was suspended
    // and resumed meanwhile may be made anew, so that whoever is connected under its name is cut.)
    for (const id of ['hang-first', 'hang-2', 'hang-5', 'hang-119']) expectMadeOnce(id);
  });

  it('brings a broker that was stopped during 200 changes what it missed', async () => {
    await mosquitto.stop();
    await expect.poll(async () => (await targetView(plant)).healthy, patience).toBe(false);
    expect((await targetView(plant)).lastError).toMatch(/not connected since|can't be/);
    await change200('gone');
    await mosquitto.start('none');
    await followed(plant);
    await expectDesired(plant);
    for (const id of ['gone-2', 'gone-5', 'gone-119']) expectMadeOnce(id);
    const device = await enroll('gone-last');
    expect(device.provisioned).toBe(true);
  });

  it('follows with keyline device revoke --wait until every broker has it, and says so when one has not', async () => {
    await enroll('waited-1');
    const done = await runKeyline('device', 'revoke', 'waited-1', '--wait');
    expect(done).toMatchObject({ code: 0, err: '' });
    for (const line of [
      /^ledger entry \d+ durable +2\d{3}-/m,
      /^broker: session cut, rights gone +2\d{3}-/m,
      /^broker: reconnect refused +2\d{3}-/m,
      /^plant: session cut, rights gone +2\d{3}-/m,
      /^plant: reconnect refused +when it has read CRL \d+ or a later one/m,
      /^OCSP says revoked +2\d{3}-/m,
      /^CRL \d+ of issuing-1.* 2\d{3}-/m,
    ]) {
      expect(done.out).toMatch(line);
    }
    // It comes back while the command waits.
    await enroll('waited-2');
    await mosquitto.stop();
    const following = runKeyline('device', 'revoke', 'waited-2', '--wait', '--json');
    await expect
      .poll(async () => (await suite.fleet.admin.get('/v1/devices/waited-2')).body.state, patience)
      .toBe('revoked');
    const early = await change('waited-2', 'revoke');
    expect(early.evidence.targets[1]).toMatchObject({ target: plant, done: false });
    await mosquitto.start('none');
    const { code, out } = await following;
    expect(code).toBe(0);
    const { evidence } = JSON.parse(out);
    expect(evidence.targets).toMatchObject([
      { target: own, done: true, refuses: 'broker', pending: null },
      { target: plant, done: true, refuses: 'crl', pending: null },
    ]);
  });

  describe.each([[own], [plant]])('drift on %s', (name) => {
    const kept: EnrolledDevice[] = [];

    beforeAll(async () => {
      for (let n = 0; n < 6; n += 1) kept.push(await enroll(`${name}-drift-${n}`));
      await change(`${name}-drift-5`, 'revoke', { wait: true });
      expectStatus(await suite.fleet.admin.post(`/v1/targets/${name}/compare`), 200);
    });

    it('by hand is found and repaired: rights, roles, clients, and a way back in', async () => {
      const id = (n: number): string => `${name}-drift-${n}`;
      const back =
        name === own
          ? [{ command: 'createClient', username: id(5) }]
          : [{ command: 'enableClient', username: id(5) }];
      await administer(brokers()[name]!, suite.fleet.adminIdentity, [
        { command: 'deleteClient', username: id(0) },
        { command: 'addClientRole', username: id(1), rolename: 'gateway' },
        { command: 'disableClient', username: id(2) },
        { command: 'setClientId', username: id(3), clientid: 'elsewhere' },
        { command: 'createGroup', groupname: `${name}-friends`, roles: [{ rolename: 'gateway' }] },
        { command: 'addGroupClient', groupname: `${name}-friends`, username: id(4) },
        ...back,
        { command: 'addClientRole', username: id(5), rolename: 'device' },
        { command: 'createClient', username: `${name}-intruder` },
        { command: 'addClientRole', username: `${name}-intruder`, rolename: 'device' },
        {
          command: 'addRoleACL',
          ...{ rolename: 'device', acltype: 'publishClientSend', topic: '#', allow: true },
        },
        {
          command: 'setDefaultACLAccess',
          acls: [{ acltype: 'publishClientReceive', allow: true }],
        },
      ]);
      const { code, out } = await runKeyline('target', 'compare', name, '--json');
      expect(code).toBe(0);
      const { compared } = JSON.parse(out);
      expect(compared).toMatchObject({ missing: 1, changed: 4, stale: 1, foreign: 1, roles: 2 });
      await expectDesired(name);
      for (const [kind, count] of Object.entries({ missing: 1, changed: 4, stale: 1, roles: 2 })) {
        const line = `keyline_target_drift{target="${name}",kind="${kind}"}`;
        expect(await metric(line), kind).toBe(count);
      }
      expect((await runKeyline('target', 'list')).out).toMatch(/4 were changed/);
      const session = await MqttDevice.connect(brokers()[name]!, kept[0]!);
      expect(await session.publish(`devices/${id(0)}/state`, 'x')).toBe('accepted');
      expect(await session.publish(`devices/${id(1)}/state`, 'x')).toBe('refused');
      await session.close();
      const again = await suite.fleet.admin.post(`/v1/targets/${name}/reconcile`);
      expect(expectStatus(again, 200).body.compared).toMatchObject({
        ...{ missing: 0, changed: 0, stale: 0, foreign: 0, roles: 0 },
      });
    });

    /** With another state in the place of its own. */
    async function comeBack(backup: string | undefined): Promise<void> {
      if (name === plant) {
        await mosquitto.stop('SIGKILL');
        mosquitto.state = backup ?? emptied;
        await mosquitto.start('none');
        return;
      }
      const folder = join(suite.keyline.data, 'broker', 'dynsec');
      const before = suite.keyline.endpoints.pids.broker;
      process.kill(before, 'SIGKILL');
      rmSync(folder, { recursive: true });
      if (backup !== undefined) cpSync(backup, folder, { recursive: true });
      await expect.poll(() => suite.keyline.endpoints.pids.broker, patience).not.toBe(before);
    }

    function backUp(): string {
      if (name === plant) return mosquitto.state;
      const copy = join(suite.folder, 'dynsec-backup');
      cpSync(join(suite.keyline.data, 'broker', 'dynsec'), copy, { recursive: true });
      return copy;
    }

    const emptied =
      '{"clients":[{"username":"keyline@service","roles":[{"rolename":"admin"}]},{"username":"admin@keyline","roles":[{"rolename":"admin"}]}],"roles":[{"rolename":"admin","acls":[{"acltype":"publishClientSend","topic":"$CONTROL/dynamic-security/#","allow":true},{"acltype":"publishClientReceive","topic":"$CONTROL/dynamic-security/#","allow":true},{"acltype":"subscribePattern","topic":"$CONTROL/dynamic-security/#","allow":true}]}]}';

    /** Of all comparisons since, by the log: what one finds, the next does not find again, and it may follow within milliseconds. */
    function foundSince(time: number, kind: 'missing' | 'stale'): number {
      const log = readFileSync(join(suite.keyline.data, 'logs', 'keyline-ca.log'), 'utf8');
      return log
        .split('\n')
        .filter((line) => line.includes(`"target":"${name}"`) && line.includes(`"${kind}":`))
        .map((line) => JSON.parse(line) as { at: number } & Record<typeof kind, number>)
        .filter(({ at }) => at >= time)
        .reduce((sum, found) => sum + found[kind], 0);
    }

    it('by a lost state file is found when the broker comes back, and everything is there again', async () => {
      const begun = Date.now();
      await comeBack(undefined);
      await expect.poll(() => foundSince(begun, 'missing'), patience).toBeGreaterThan(100);
      await followed(name);
      await expectDesired(name);
    });

    it('by an older backup lets nobody back in for long who was revoked since', async () => {
      const device = await enroll(`${name}-backup`);
      const session = await MqttDevice.connect(brokers()[name]!, device);
      expect(await session.publish(`devices/${device.id}/state`, 'x')).toBe('accepted');
      const backup = backUp();
      await change(device.id, 'revoke', { wait: true });
      await session.untilEnded();
      // Comparisons rest between each other, and the last one is of just now.
      await sleep(2500);
      const begun = Date.now();
      await comeBack(backup);
      const up = performance.now();
      let usedFor = 0;
      // The device tries all the time, and whatever gets through counts.
      for (;;) {
        expect(performance.now() - up, 'still in').toBeLessThan(patience.timeout);
        const back = await MqttDevice.connect(brokers()[name]!, device).catch(() => undefined);
        const verdict = await back?.publish(`devices/${device.id}/state`, 'x');
        await back?.close();
        if (verdict === 'accepted') usedFor = performance.now() - up;
        const compared = (await targetView(name)).compared;
        if (verdict !== 'accepted' && Date.parse(compared.at) > begun) break;
        await sleep(10);
      }
      console.info(
        `${name}: a revoked device of an older backup was in for ${usedFor.toFixed()} ms`,
      );
      expect(foundSince(begun, 'stale')).toBeGreaterThanOrEqual(1);
      await expectDesired(name);
    });
  });

  function fleetCsr(id: string): Promise<string> {
    return createDeviceKey().csr(id);
  }

  function expectMadeOnce(id: string): void {
    const told = mosquitto.log.split('\n').filter((line) => line.includes(`username=${id} `));
    const made = told.filter((line) => line.includes('| createClient |'));
    expect(made, told.join('\n')).toHaveLength(1);
  }
});
