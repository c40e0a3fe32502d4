import type { MqttClient } from 'mqtt';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { adminName, ended, TestBroker } from './support/test-broker.ts';
import { runTool } from './support/run-tool.ts';

let broker: TestBroker;

beforeAll(async () => {
  broker = await TestBroker.start();
});

afterAll(() => broker.stop());

describe('a change by an administrator', () => {
  it.each([
    ['disableClient', { command: 'disableClient' }],
    ['deleteClient', { command: 'deleteClient' }],
    ['modifyClient', { command: 'modifyClient', textname: 'changed' }],
  ])('ends the live session at once: %s', async (name, command) => {
    const device = `kicked-${name}`;
    const client = await broker.connect(await broker.device(device), { clientId: device });
    const end = ended(client);
    await broker.control({ ...command, username: device });
    const { reasonCode, text } = await end;
    expect(reasonCode).toBe(0x98);
    expect(text).toMatch(/administrator/);
    expect(broker.line('session ended')?.['clientId']).toBe(device);
  });

  it('ends the session of an MQTT 3.1.1 client too, and its will is not sent', async () => {
    const certificate = await broker.device('old');
    const watcher = await broker.connect(certificate, { clientId: 'old:watcher' });
    const client = await broker.connect(certificate, {
      clientId: 'old',
      protocolVersion: 4,
      will: { topic: 'devices/old/will', payload: 'gone', qos: 1, retain: true },
    });
    await watcher.endAsync();
    const end = ended(client);
    await broker.control({ command: 'disableClient', username: 'old' });
    await end;
    await broker.control({ command: 'enableClient', username: 'old' });
    const again = await broker.connect(certificate, { clientId: 'old' });
    const seen: string[] = [];
    again.on('message', (topic) => seen.push(topic));
    await again.subscribeAsync('devices/old/#', { qos: 1 });
    await again.publishAsync('devices/old/last', 'x', { qos: 1 });
    await expect.poll(() => seen).toEqual(['devices/old/last']);
    await again.endAsync();
  });

  it('leaves everybody else connected', async () => {
    const bystander = await broker.connect(await broker.device('bystander'), {
      clientId: 'bystander',
    });
    await broker.control({ command: 'createClient', username: 'somebody' });
    await broker.control({ command: 'deleteClient', username: 'somebody' });
    await bystander.publishAsync('devices/bystander/x', '1', { qos: 1 });
    expect(bystander.connected).toBe(true);
    await bystander.endAsync();
  });
});

it('ends a session when its certificate ends, and leaves those whose has not', async () => {
  const lasting = await broker.device('brief');
  const until = new Date(Math.ceil(Date.now() / 1000) * 1000 + 2000);
  const certificate = await broker.pki.issue('brief', {
    until: until.toISOString().replace(/[-:T]|\.\d+/g, ''),
  });
  const bystander = await broker.connect(lasting, { clientId: 'brief:other' });
  const client = await broker.connect(certificate, { clientId: 'brief' });
  await client.publishAsync('devices/brief/x', '1', { qos: 1 });
  const { reasonCode, text } = await ended(client);
  expect(Date.now()).toBeGreaterThanOrEqual(until.getTime());
  expect(reasonCode).toBe(0x87);
  expect(text).toMatch(/certificate of "brief" .* expired on .*Renew it/);
  expect(broker.line('session ended')).toMatchObject({
    reason: 'certificate-expired',
    clientId: 'brief',
  });
  const refused = await broker.refusal(certificate, { clientId: 'brief' });
  expect(refused.reasonString).toMatch(/expired/);
  await bystander.publishAsync('devices/brief/x', '1', { qos: 1 });
  await bystander.endAsync();
});

it('keeps the API from everybody who is not an administrator', async () => {
  const client = await broker.connect(await broker.device('curious'), { clientId: 'curious' });
  await expect(
    client.publishAsync(
      '$CONTROL/dynamic-security/v1',
      '{"commands":[{"command":"listClients"}]}',
      {
        qos: 1,
      },
    ),
  ).rejects.toMatchObject({ code: 0x87 });
  await client.endAsync();
});

it('answers the administrator who asked, and no other', async () => {
  const topic = '$CONTROL/dynamic-security/v1';
  const open = async (name: string) => {
    const client = await broker.connect(broker.admin, { clientId: `${adminName}:${name}` });
    const answers: string[] = [];
    client.on('message', (_topic, payload) => answers.push(String(payload)));
    // Both filters of one session: an answer comes once, with the identifier of each.
    await client.subscribeAsync(`${topic}/response`);
    await client.subscribeAsync(`${topic.slice(0, -3)}/#`, {
      qos: 1,
      properties: { subscriptionIdentifier: 7 },
    });
    return { client, answers };
  };
  const [asking, other] = [await open('asking'), await open('other')];
  const ask = (client: MqttClient, correlationData: string) =>
    client.publishAsync(
      topic,
      JSON.stringify({ commands: [{ command: 'getDefaultACLAccess', correlationData }] }),
      { qos: 1 },
    );
  const identifiers: unknown[] = [];
  asking.client.on('message', (_topic, _payload, { properties }) =>
    identifiers.push(properties?.subscriptionIdentifier),
  );
  await ask(asking.client, 'first');
  await ask(other.client, 'second');
  await expect.poll(() => asking.answers.length + other.answers.length).toBe(2);
  expect(asking.answers).toEqual([expect.stringContaining('"first"')]);
  expect(other.answers).toEqual([expect.stringContaining('"second"')]);
  expect(identifiers).toEqual([7]);
  await Promise.all([asking.client.endAsync(), other.client.endAsync()]);
});

it('keeps identities, roles and revoked serials over a restart', async () => {
  const certificate = await broker.device('lasting');
  const revoked = await broker.device('burnt');
  await broker.control({ command: 'revokeCertificates', serials: [revoked.serialHex] });
  await broker.close();
  await broker.open();
  const client = await broker.connect(certificate, { clientId: 'lasting' });
  await client.publishAsync('devices/lasting/x', '1', { qos: 1 });
  await client.endAsync();
  expect((await broker.refusal(revoked, { clientId: 'burnt' })).reasonString).toMatch(/revoked/);
});

it('tells MQTT 5 clients that it shuts down, and stops', async () => {
  const client = await broker.connect(await broker.device('last'), { clientId: 'last' });
  await client.publishAsync('devices/last/x', '1', { qos: 1 });
  const end = ended(client);
  await broker.broker.close();
  expect((await end).reasonCode).toBe(0x8b);
  await broker.close();
  await broker.open();
});

describe.skipIf(!has('mosquitto_ctrl'))('mosquitto_ctrl', () => {
  const dynsec = (...command: string[]): Promise<{ code: number; output: string }> =>
    runTool('mosquitto_ctrl', [
      ...['-h', '127.0.0.1', '-p', String(broker.port), '--cafile', broker.pki.ca.certFile],
      ...['--cert', broker.admin.certFile, '--key', broker.admin.keyFile],
      'dynsec',
      ...command,
    ]);

  it('gets its own answers while others administer too', async () => {
    const asking = { on: true };
    const others = (async () => {
      while (asking.on) await broker.control({ command: 'listRoles' });
    })();
    for (let round = 0; round < 10; round += 1) {
      expect((await dynsec('getDefaultACLAccess')).output).toMatch(/publishClientSend\s+: deny/);
    }
    asking.on = false;
    await others;
  });

  it('manages clients and roles as on Mosquitto', async () => {
    expect(await dynsec('createRole', 'ctrl-role')).toMatchObject({ code: 0, output: '' });
    for (const type of ['publishClientSend', 'subscribePattern', 'publishClientReceive']) {
      expect(await dynsec('addRoleACL', 'ctrl-role', type, 'ctrl/#', 'allow', '5')).toMatchObject({
        code: 0,
        output: '',
      });
    }
    expect(await dynsec('createClient', 'ctrl-client', '-p', 'unused')).toMatchObject({ code: 0 });
    expect(await dynsec('addClientRole', 'ctrl-client', 'ctrl-role', '1')).toMatchObject({
      code: 0,
    });
    expect((await dynsec('listClients')).output.split('\n')).toContain('ctrl-client');
    expect((await dynsec('listRoles')).output.split('\n')).toContain('ctrl-role');
    const shown = (await dynsec('getClient', 'ctrl-client')).output;
    expect(shown).toMatch(/Username:\s+ctrl-client/);
    expect(shown).toMatch(/Roles:\s+ctrl-role \(priority: 1\)/);
    expect((await dynsec('getRole', 'ctrl-role')).output).toMatch(
      /publishClientSend\s+: allow : ctrl\/# \(priority: 5\)/,
    );

    const client = await broker.connect(await broker.pki.issue('ctrl-client'), {
      clientId: 'ctrl-client',
    });
    await client.publishAsync('ctrl/x', '1', { qos: 1 });
    const end = ended(client);
    expect(await dynsec('disableClient', 'ctrl-client')).toMatchObject({ code: 0 });
    expect((await end).reasonCode).toBe(0x98);
    expect(await dynsec('deleteClient', 'ctrl-client')).toMatchObject({ code: 0 });
    expect((await dynsec('listClients')).output.split('\n')).not.toContain('ctrl-client');
  });

  it('works over MQTT 3.1.1 as well', async () => {
    const { code, output } = await runTool('mosquitto_ctrl', [
      ...['-h', '127.0.0.1', '-p', String(broker.port), '--cafile', broker.pki.ca.certFile],
      ...['--cert', broker.admin.certFile, '--key', broker.admin.keyFile],
      ...['-V', 'mqttv311', 'dynsec', 'getDefaultACLAccess'],
    ]);
    expect(code).toBe(0);
    expect(output).toMatch(/publishClientSend\s+: deny/);
  });
});
