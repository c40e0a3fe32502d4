// The client against a real Mosquitto with its dynamic-security plugin.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  adminLogin,
  adminState,
  startMosquitto,
  type RealMosquitto,
} from '../../../test/conformance/real-mosquitto.ts';
import { has } from '../../../test/support/needs.ts';
import { createDynsecClient, type DynsecClient } from '../src/index.ts';
import type { DynsecClientOptions } from '../src/client.ts';

describe.skipIf(!has('mosquitto'))('The dynamic-security client', () => {
  let mosquitto: RealMosquitto;
  const clients: DynsecClient[] = [];

  beforeEach(async () => {
    mosquitto = await startMosquitto(adminState());
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.close()));
    await mosquitto.stop();
  });

  function createClient(options: Partial<DynsecClientOptions> = {}): DynsecClient {
    const client = createDynsecClient({ url: mosquitto.url, ...adminLogin, ...options });
    clients.push(client);
    return client;
  }

  it('answers in the order of the commands, with errors and data', async () => {
    const answers = await createClient().send([
      { command: 'createClient', username: 'a' },
      { command: 'createClient', username: 'a' },
      { command: 'listClients' },
    ]);
    expect(answers).toEqual([
      { command: 'createClient' },
      { command: 'createClient', error: 'Client already exists' },
      { command: 'listClients', data: { totalCount: 2, clients: ['a', 'admin'] } },
    ]);
  });

  it('has many payloads under way, each with its own answers, and never more than it may', async () => {
    const client = createClient({ maximumInFlight: 4 });
    await client.send([{ command: 'createRole', rolename: 'r' }]);
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, at) =>
        client.send([
          { command: 'createClient', username: `c${at}` },
          { command: 'addClientRole', username: `c${at}`, rolename: 'r' },
          { command: 'getClient', username: `c${at}` },
        ]),
      ),
    );
    for (const [at, [created, added, got]] of answers.entries()) {
      expect(created).toEqual({ command: 'createClient' });
      expect(added).toEqual({ command: 'addClientRole' });
      expect(got?.data).toMatchObject({ client: { username: `c${at}` } });
    }
  });

  it('does not take another admin for itself, though every admin sees every answer', async () => {
    const [one, two] = [createClient(), createClient()];
    const asked = (client: DynsecClient, name: string) =>
      Promise.all(
        Array.from({ length: 30 }, () => client.send([{ command: 'getRole', rolename: name }])),
      );
    const [ones, twos] = await Promise.all([asked(one, 'admin'), asked(two, 'none')]);
    expect(ones.every(([answer]) => answer?.error === undefined)).toBe(true);
    expect(twos.every(([answer]) => answer?.error === 'Role not found')).toBe(true);
  });

  it('costs no delayed acknowledgements: of 50 payloads one after the other some take less than one', async () => {
    const client = createClient();
    await client.send([{ command: 'getDefaultACLAccess' }]);
    let fastest = Infinity;
    for (let at = 0; at < 50; at += 1) {
      const began = performance.now();
      await client.send([{ command: 'getDefaultACLAccess' }]);
      fastest = Math.min(fastest, performance.now() - began);
    }
    // A delayed acknowledgement holds up each of them, whatever else the machine does.
    expect(fastest).toBeLessThan(40);
  });

  it('rejects what is in flight when the connection is lost, and comes back by itself', async () => {
    const reasons: string[] = [];
    let connections = 0;
    const client = createClient({
      onConnect: () => (connections += 1),
      onDisconnect: (reason) => reasons.push(reason),
    });
    await client.send([{ command: 'getDefaultACLAccess' }]);
    // A change to the admin itself: Mosquitto ends its session.
    const cut = client.send([
      { command: 'setClientId', username: 'admin' },
      { command: 'getDefaultACLAccess' },
    ]);
    const [outcome] = await Promise.allSettled([cut]);
    if (outcome.status === 'rejected') {
      expect(outcome.reason).toMatchObject({ code: 'TARGET_UNREACHABLE' });
    }
    expect(await client.send([{ command: 'getAnonymousGroup' }])).toHaveLength(1);
    expect(connections).toBe(2);
    expect(reasons).toHaveLength(1);
  });

  it('says so within its patience when there is no broker, and finds it when it comes', async () => {
    const { port } = mosquitto;
    const state = await mosquitto.stop();
    const client = createClient({ connectTimeout: 300 });
    await expect(client.send([{ command: 'listRoles' }])).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    mosquitto = await startMosquitto(state, { port });
    for (let tries = 0; !client.isConnected && tries < 500; tries += 1) await sleep(20);
    expect(await client.send([{ command: 'listRoles' }])).toHaveLength(1);
  });

  it('gives up a payload that is not answered in time', async () => {
    const client = createClient({ timeout: 1 });
    // 1 ms is not enough for 3,000 commands; what was asked may still be done.
    const commands = Array.from({ length: 3000 }, (_, at) => ({
      command: 'getClient',
      username: `x${at}`,
    }));
    await expect(client.send(commands)).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
      detail: expect.stringMatching(/answered \d+ of 3000 commands within 1 ms/),
    });
  });

  it('asks for its credentials at each connection', async () => {
    let asked = 0;
    const client = createClient({
      credentials: () => {
        asked += 1;
        return {};
      },
      url: mosquitto.url.replace('mqtt:', 'mqtts:'),
      connectTimeout: 500,
    });
    // TLS to a plain listener fails, each time after it was asked.
    await expect(client.send([{ command: 'listRoles' }])).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
    });
    expect(asked).toBeGreaterThan(1);
  });

  it('connects anew when told, after what is in flight was answered', async () => {
    let connections = 0;
    const client = createClient({ onConnect: () => (connections += 1) });
    await client.send([{ command: 'listRoles' }]);
    const under = client.send([{ command: 'listRoles' }]);
    const again = client.reconnect();
    expect(await under).toHaveLength(1);
    await again;
    expect(await client.send([{ command: 'listRoles' }])).toHaveLength(1);
    expect(connections).toBe(2);
  });

  it('says what is missing to an identity that may not administer', async () => {
    await createClient().send([
      { command: 'createClient', username: 'nobody', password: 'p' },
      { command: 'setClientPassword', username: 'nobody', password: 'pw' },
    ]);
    const client = createClient({ username: 'nobody', password: 'pw', connectTimeout: 500 });
    await expect(client.send([{ command: 'listRoles' }])).rejects.toMatchObject({
      code: 'TARGET_REFUSED',
      detail: expect.stringContaining('subscribePattern on $CONTROL/dynamic-security/#'),
    });
  });

  it('rejects what is in flight when it is closed, and everything after', async () => {
    const client = createClient();
    await client.send([{ command: 'listRoles' }]);
    const under = client.send([{ command: 'listRoles' }]);
    const closed = client.close();
    await expect(under).rejects.toMatchObject({ code: 'TARGET_UNREACHABLE' });
    await closed;
    await expect(client.send([{ command: 'listRoles' }])).rejects.toMatchObject({
      code: 'TARGET_UNREACHABLE',
    });
  });
});
