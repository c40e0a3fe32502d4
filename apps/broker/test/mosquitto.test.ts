// Real Mosquitto under Keyline's supervision: who is let in, what each may do, and that it comes back whatever is done to it.
import { once } from 'node:events';
import { spawn, type ChildProcess } from 'node:child_process';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { MqttClient } from 'mqtt';
import { has, findCommand } from '../../../test/support/needs.ts';
import { MosquittoBroker, publish } from './support/mosquitto-broker.ts';
import { spawnTool } from './support/run-tool.ts';
import type { TestCertificate } from './support/test-pki.ts';

const real = has('openssl', 'mosquitto');
const patience = { timeout: 60_000, interval: 20 };

/** As the target makes a device known. */
function activate(name: string) {
  return [
    { command: 'createClient', username: name },
    { command: 'addClientRole', username: name, rolename: 'device' },
  ];
}

async function listen(client: MqttClient, filter: string): Promise<string[]> {
  const received: string[] = [];
  client.on('message', (topic) => received.push(topic));
  await client.subscribeAsync(filter, { qos: 1 });
  return received;
}

const closed = (client: MqttClient): Promise<void> =>
  new Promise((resolve) => client.once('close', () => resolve()));

describe.skipIf(!real)('Mosquitto, supervised', () => {
  let broker: MosquittoBroker;
  let one: TestCertificate;
  let oneTwo: TestCertificate;

  beforeAll(async () => {
    broker = await MosquittoBroker.start();
    [one, oneTwo] = await Promise.all([broker.pki.issue('device1'), broker.pki.issue('device12')]);
    await broker.control(
      {
        command: 'createRole',
        rolename: 'device',
        acls: [{ acltype: 'publishClientSend', topic: 'plant/all', allow: true }],
      },
      ...activate('device1'),
      ...activate('device12'),
    );
  });
  afterAll(() => broker.stop());

  it('keeps nothing for a name that was disabled, for whoever may have it next', async () => {
    const lasting = { clean: false, properties: { sessionExpiryInterval: 3600 } };
    const subject = await broker.pki.issue('device7');
    await broker.control(...activate('device7'));
    const before = await broker.connect(subject, { clientId: 'device7', ...lasting });
    await before.subscribeAsync('devices/device7/commands/#', { qos: 1 });
    await before.endAsync();
    await broker.control(
      {
        command: 'createRole',
        rolename: 'sender',
        acls: [{ acltype: 'publishClientSend', topic: 'devices/#', allow: true }],
      },
      { command: 'createClient', username: 'sender' },
      { command: 'addClientRole', username: 'sender', rolename: 'sender' },
    );
    const sender = await broker.connect(await broker.pki.issue('sender'));
    expect(await publish(sender, 'devices/device7/commands/secret')).toBe('accepted');
    const offline = (): Promise<string | undefined> =>
      broker.metric('keyline_broker_sessions_offline');
    await expect.poll(offline, patience).toBe('1');
    await broker.control({ command: 'disableClient', username: 'device7' });
    // The supervisor reads of it in Mosquitto's log.
    await expect.poll(offline, patience).toBe('0');
    await broker.control({ command: 'enableClient', username: 'device7' });
    const heard: string[] = [];
    const after = await broker.connect(subject, { clientId: 'device7', ...lasting });
    after.on('message', (topic) => heard.push(topic));
    await after.subscribeAsync('devices/device7/commands/#', { qos: 1 });
    expect(await publish(sender, 'devices/device7/commands/new')).toBe('accepted');
    await expect.poll(() => heard, patience).toEqual(['devices/device7/commands/new']);
    await Promise.all([after.endAsync(), sender.endAsync()]);
  });

  describe('lets in', () => {
    it('a device by its certificate, under its own name whatever client id it asks for', async () => {
      const client = await broker.connect(one, { clientId: 'device12' });
      const other = await broker.connect(oneTwo, { clientId: 'device12' });
      await publish(client, 'devices/device1/state');
      expect([client.connected, other.connected]).toEqual([true, true]);
      await Promise.all([client.endAsync(), other.endAsync()]);
    });

    it('nobody with a certificate of another CA, and nobody without one', async () => {
      const ca = await broker.pki.createOtherCa();
      const foreign = await broker.pki.issue('device1', { ca });
      expect(await broker.whyRefused(foreign)).toMatch(/alert unknown ca|closed|ECONNRESET/i);
      expect(await broker.whyRefused(undefined)).toMatch(/certificate required|closed|ECONNRESET/i);
    });
  });

  describe('gives a device', () => {
    it('its own topics and those of its role, and nobody else’s, not even those of a name that begins like its own', async () => {
      const [first, second] = await Promise.all([broker.connect(one), broker.connect(oneTwo)]);
      const heard = await listen(first, 'devices/+/commands/#');
      const heardToo = await listen(second, 'devices/device1/commands/#');
      expect({
        own: await publish(first, 'devices/device1/telemetry'),
        shared: await publish(first, 'plant/all'),
        longer: await publish(first, 'devices/device12/telemetry'),
        shorter: await publish(second, 'devices/device1/telemetry'),
        elsewhere: await publish(first, 'anything'),
        ownCommands: await publish(first, 'devices/device1/commands/reboot'),
        control: await publish(first, '$CONTROL/dynamic-security/v1', '{"commands":[]}'),
      }).toEqual({
        own: 'accepted',
        shared: 'accepted',
        longer: 'refused',
        shorter: 'refused',
        elsewhere: 'refused',
        ownCommands: 'refused',
        control: 'refused',
      });
      await broker.control(
        {
          command: 'createRole',
          rolename: 'commander',
          acls: [{ acltype: 'publishClientSend', topic: 'devices/+/commands/#', allow: true }],
        },
        { command: 'createClient', username: 'commander' },
        { command: 'addClientRole', username: 'commander', rolename: 'commander' },
      );
      const commander = await broker.connect(await broker.pki.issue('commander'));
      expect(await publish(commander, 'devices/device12/commands/stop')).toBe('accepted');
      expect(await publish(commander, 'devices/device1/commands/start')).toBe('accepted');
      await expect.poll(() => heard, patience).toEqual(['devices/device1/commands/start']);
      expect(heardToo).toEqual([]);
      await Promise.all([first, second, commander].map((client) => client.endAsync(true)));
    });

    it('nothing when it is denied, and everything again when it is not', async () => {
      const name = 'suspended';
      const certificate = await broker.pki.issue(name);
      await broker.control(...activate(name));
      const client = await broker.connect(certificate);
      const cut = closed(client);
      expect(await publish(client, `devices/${name}/state`)).toBe('accepted');
      const roles = [{ rolename: 'keyline-denied', priority: 1000 }];
      await broker.control(
        { command: 'disableClient', username: name },
        { command: 'modifyClient', username: name, roles, groups: [] },
      );
      await cut;
      const denied = await broker.connect(certificate);
      expect(await publish(denied, `devices/${name}/state`)).toBe('refused');
      expect(await publish(denied, 'plant/all')).toBe('refused');
      await expect(denied.subscribeAsync(`devices/${name}/commands/#`)).rejects.toThrow(
        /not authorized/i,
      );
      await expect(denied.subscribeAsync(`$share/g/devices/${name}/commands/a`)).rejects.toThrow(
        /not authorized/i,
      );
      await broker.control(
        { command: 'modifyClient', username: name, roles: [{ rolename: 'device' }] },
        { command: 'enableClient', username: name },
      );
      const back = await broker.connect(certificate);
      expect(await publish(back, `devices/${name}/state`)).toBe('accepted');
      await back.endAsync();
    });

    it('nothing when dynamic security does not know it: it is found, cut and denied', async () => {
      const certificate = await broker.pki.issue('stranger');
      const client = await broker.connect(certificate);
      if (client.connected) await closed(client);
      const again = await broker.connect(certificate);
      expect(await publish(again, 'devices/stranger/state')).toBe('refused');
      await expect(again.subscribeAsync('#')).rejects.toThrow(/not authorized/i);
      expect(again.connected).toBe(true);
      expect(broker.said('stranger denied')).toMatchObject([{ certificate: { cn: 'stranger' } }]);
      expect(await broker.metric('keyline_broker_strangers_denied_total')).toBe('1');
      // The issuing CA makes it known after all.
      const roles = [{ rolename: 'device' }];
      await broker.control({ command: 'modifyClient', username: 'stranger', roles });
      const known = await broker.connect(certificate);
      expect(await publish(known, 'devices/stranger/state')).toBe('accepted');
      await known.endAsync();
    });
  });

  describe('comes back', () => {
    it('after kill -9, with its rights', async () => {
      const pid = await broker.pid();
      process.kill(pid, 'SIGKILL');
      await expect.poll(() => broker.said('mosquitto ended').length, patience).toBe(1);
      await expect.poll(() => broker.said('mosquitto serving').length, patience).toBe(2);
      expect(await broker.pid()).not.toBe(pid);
      const client = await broker.connect(one);
      expect(await publish(client, 'devices/device1/telemetry')).toBe('accepted');
      expect(await publish(client, 'devices/device12/telemetry')).toBe('refused');
      await client.endAsync();
      expect(await broker.metric('keyline_broker_restarts_total{why="crashed"}')).toBe('1');
    });

    it('and finds the strangers who were there before its supervisor could ask', async () => {
      const certificate = await broker.pki.issue('early');
      const before = broker.said('mosquitto serving').length;
      process.kill(await broker.pid(), 'SIGKILL');
      let first: MqttClient | undefined;
      while (first === undefined) first = await broker.connect(certificate).catch(() => undefined);
      if (first.connected) await closed(first);
      await expect.poll(() => broker.said('mosquitto serving').length, patience).toBe(before + 1);
      await expect
        .poll(() => broker.said('stranger denied').at(-1)?.['certificate'], patience)
        .toEqual({ cn: 'early' });
      const again = await broker.connect(certificate);
      expect(await publish(again, 'devices/early/state')).toBe('refused');
      await again.endAsync();
    });
  });
});

describe.skipIf(!real)('Mosquitto’s files', () => {
  let broker: MosquittoBroker;
  beforeEach(async () => {
    broker = await MosquittoBroker.prepare();
  });
  afterEach(() => broker.stop());

  const serialOf = (port: number, ca: Buffer): Promise<string> =>
    new Promise((answer, reject) => {
      const socket: TLSSocket = connectTls({ port, host: '127.0.0.1', ca }, () => {
        answer(socket.getPeerCertificate().serialNumber.toLowerCase());
        socket.destroy();
      });
      socket.once('error', reject);
    });

  it('are swapped when the server certificate is: new connections see the new one, sessions stay', async () => {
    await broker.open();
    const device = await broker.pki.issue('device1');
    await broker.control({ command: 'createRole', rolename: 'device' }, ...activate('device1'));
    const client = await broker.connect(device);
    const { port } = broker.broker;
    expect(await serialOf(port, broker.pki.ca.cert)).toBe(broker.server.serialHex);
    const next = await broker.pki.issue('broker', { usage: 'serverAuth' });
    await copyFile(next.keyFile, broker.server.keyFile);
    await copyFile(next.certFile, broker.server.certFile);
    await expect.poll(() => serialOf(port, broker.pki.ca.cert), patience).toBe(next.serialHex);
    expect(client.connected).toBe(true);
    expect(await publish(client, 'devices/device1/state')).toBe('accepted');
  });

  it('name its ciphers where some are asked for, those of TLS 1.2 and of 1.3', async () => {
    await broker.open({
      tls: {
        minVersion: '1.2',
        ciphers: 'ECDHE-ECDSA-AES128-CCM8:TLS_AES_128_CCM_8_SHA256:@SECLEVEL=0',
      },
    });
    const { port } = broker.broker;
    for (const [version, name, weak] of [
      ['-tls1_2', 'ECDHE-ECDSA-AES128-CCM8', 'ECDHE-ECDSA-AES128-CCM8@SECLEVEL=0'],
      ['-tls1_3', 'TLS_AES_128_CCM_8_SHA256', 'DEFAULT@SECLEVEL=0'],
    ] as const) {
      const suites = version === '-tls1_3' ? ['-ciphersuites', name] : [];
      const { output } = await spawnTool(
        'openssl',
        [
          ...['s_client', '-connect', `127.0.0.1:${String(port)}`, version, '-cipher', weak],
          ...suites,
        ],
        '',
      );
      expect(output).toContain(`Cipher is ${name}`);
    }
  });

  it('of rights may be laid there before the first start, in any order; the admin is put in', async () => {
    await broker.open();
    await broker.close();
    const clients = Array.from({ length: 500 }, (_, index) => ({
      username: `seed-${String(index).padStart(3, '0')}`,
      roles: [{ rolename: 'device' }],
    }));
    const roles = [
      {
        rolename: 'device',
        acls: [{ acltype: 'publishClientSend', topic: 'plant/all', allow: true, priority: 0 }],
      },
    ];
    await writeFile(broker.file('dynamic-security.json'), JSON.stringify({ clients, roles }));
    await broker.open();
    const client = await broker.connect(await broker.pki.issue('seed-042'));
    expect(await publish(client, 'plant/all')).toBe('accepted');
    await broker.control({ command: 'getClient', username: 'seed-499' });
  });

  it('that are no state of dynamic security are set aside, and nobody has rights', async () => {
    await broker.open();
    await broker.close();
    await writeFile(broker.file('dynamic-security.json'), '{"clients": [{');
    await broker.open();
    expect(broker.said('state set aside')).toHaveLength(1);
    await broker.control({ command: 'listClients' });
  });

  it('reach it although the folders above are closed to the user it runs as', async () => {
    await broker.open();
    const status = await readFile(`/proc/${await broker.pid()}/status`, 'utf8');
    const uid = Number(/^Uid:\s+(\d+)/m.exec(status)?.[1]);
    expect(uid).toBeGreaterThan(0);
    if (process.getuid?.() !== 0) expect(uid).toBe(process.getuid?.());
  });
});

describe.skipIf(!real)('A Mosquitto that is left over', () => {
  let broker: MosquittoBroker;
  let left: ChildProcess | undefined;
  beforeEach(async () => {
    broker = await MosquittoBroker.prepare();
    await broker.open();
    await broker.close();
  });
  afterEach(async () => {
    left?.kill('SIGKILL');
    await broker.stop();
  });

  it('from a supervisor that was killed is stopped by the next start', async () => {
    left = spawn(findCommand('mosquitto')!, ['-c', 'mosquitto.conf'], {
      cwd: broker.file('.'),
      stdio: 'ignore',
    });
    const gone = once(left, 'exit');
    await writeFile(join(broker.data, 'mosquitto.pid'), `${left.pid}\n`);
    // Until it is what it will be: before, it is a copy of this process.
    const { pid } = left;
    await expect
      .poll(() => readFile(`/proc/${String(pid)}/cmdline`, 'utf8'), patience)
      .toContain('mosquitto.conf');
    await broker.open();
    await gone;
    expect(broker.said('leftover stopped')).toMatchObject([{ pid: left.pid }]);
    expect(await broker.isListening()).toBe(true);
  });

  it('is not mistaken for a process that got its number', async () => {
    left = spawn('sleep', ['60'], { stdio: 'ignore' });
    await writeFile(join(broker.data, 'mosquitto.pid'), `${left.pid}\n`);
    await broker.open();
    expect(left.exitCode ?? left.signalCode).toBeNull();
    expect(broker.said('leftover stopped')).toEqual([]);
  });
});
