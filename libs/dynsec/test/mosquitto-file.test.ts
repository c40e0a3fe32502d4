// The state goes to a real Mosquitto and comes back from it.
import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { connectAsync } from 'mqtt';
import { afterEach, describe, expect, it } from 'vitest';
import {
  adminLogin,
  adminState,
  startMosquitto,
  type RealMosquitto,
} from '../../../test/conformance/real-mosquitto.ts';
import { has } from '../../../test/support/needs.ts';
import { carryOut, openEngine, temporaryFolder } from './engine-fixture.ts';

const run = promisify(execFile);

describe.skipIf(!has('mosquitto', 'mosquitto_ctrl'))('With a real Mosquitto', () => {
  let mosquitto: RealMosquitto | undefined;
  afterEach(async () => {
    await mosquitto?.stop();
    mosquitto = undefined;
  });

  async function ctrl(...command: string[]): Promise<string> {
    const { username, password } = adminLogin;
    const { stdout } = await run('mosquitto_ctrl', [
      ...['-h', '127.0.0.1', '-p', String(mosquitto!.port)],
      ...['-u', username, '-P', password, 'dynsec', ...command],
    ]);
    return stdout;
  }

  it('the export is a file it runs on, and what it writes is read back the same', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'dynamic-security.json'), adminState());
    const engine = await openEngine(folder);
    await carryOut(
      engine,
      {
        command: 'createRole',
        rolename: 'sensor',
        textname: 'Sensor',
        acls: [
          { acltype: 'publishClientSend', topic: 'up/#', priority: 5, allow: true },
          { acltype: 'subscribeLiteral', topic: 'down/all', allow: true },
        ],
      },
      {
        command: 'createGroup',
        groupname: 'plant',
        textdescription: 'Halle 4',
        roles: [{ rolename: 'sensor' }],
      },
      { command: 'createClient', username: 'däv-1', password: 'secret', clientid: 'id-1' },
      { command: 'createClient', username: 'dev-2', roles: [{ rolename: 'sensor', priority: 3 }] },
      { command: 'addGroupClient', groupname: 'plant', username: 'däv-1', priority: 7 },
      { command: 'disableClient', username: 'dev-2' },
      { command: 'setAnonymousGroup', groupname: 'plant' },
      { command: 'setDefaultACLAccess', acls: [{ acltype: 'publishClientReceive', allow: false }] },
    );
    const exported = await engine.exportState();

    mosquitto = await startMosquitto(exported);
    expect((await ctrl('listClients')).split('\n')).toEqual(
      expect.arrayContaining(['admin', 'dev-2', 'däv-1']),
    );
    expect(await ctrl('getClient', 'däv-1')).toMatch(
      /Clientid:\s+id-1[\s\S]*plant \(priority: 7\)/,
    );
    expect(await ctrl('getGroup', 'plant')).toContain('däv-1');
    expect(await ctrl('getRole', 'sensor')).toMatch(/publishClientSend\s*:\s*allow\s*:\s*up\/#/);
    // The password we hashed is the one it checks.
    const client = await connectAsync(mosquitto.url, {
      username: 'däv-1',
      password: 'secret',
      clientId: 'id-1',
      reconnectPeriod: 0,
    });
    await client.endAsync();

    // Any change makes it write its file.
    await ctrl('setClientId', 'dev-2', 'id-2');
    const written = await mosquitto.stop();
    mosquitto = undefined;
    const backFolder = temporaryFolder();
    writeFileSync(join(backFolder, 'dynamic-security.json'), written);
    const back = await openEngine(backFolder);
    expect(back.boundClientId('dev-2')).toBe('id-2');
    expect(await back.checkPassword('däv-1', 'secret')).toBe('ok');
    await carryOut(back, { command: 'setClientId', username: 'dev-2' });
    // Mosquitto 2.0 counts no changes.
    expect({ ...JSON.parse(await back.exportState()), changeIndex: 0 }).toEqual({
      ...JSON.parse(exported),
      changeIndex: 0,
    });
  });

  it('a fleet is loaded from our order of clients in a moment', async () => {
    const folder = temporaryFolder();
    writeFileSync(join(folder, 'dynamic-security.json'), adminState());
    const engine = await openEngine(folder);
    await carryOut(
      engine,
      { command: 'createRole', rolename: 'r' },
      ...Array.from({ length: 19_000 }, (_, at) => ({
        command: 'createClient',
        username: `device-${String(at).padStart(6, '0')}`,
        roles: [{ rolename: 'r' }],
      })),
    );
    const state = await engine.exportState();
    // Mosquitto puts each into a sorted list: in ascending order it takes 1.5 s for as many.
    const names = (JSON.parse(state) as { clients: { username: string }[] }).clients.map(
      ({ username }) => username,
    );
    expect(names).toEqual(names.toSorted().toReversed());
    mosquitto = await startMosquitto(state);
    expect(await ctrl('getClient', 'device-018999')).toContain('device-018999');
  });
});

describe('A password of Mosquitto 2.1', () => {
  it('in its one-string form of PBKDF2 is checked, and written as 2.0 reads it too', async () => {
    const folder = temporaryFolder();
    const { clients } = JSON.parse(adminState());
    const { password, salt, iterations } = clients[0];
    writeFileSync(
      join(folder, 'dynamic-security.json'),
      JSON.stringify({
        clients: [{ username: 'a', encoded_password: `$7$${iterations}$${salt}$${password}` }],
      }),
    );
    const engine = await openEngine(folder);
    expect(await engine.checkPassword('a', adminLogin.password)).toBe('ok');
    expect(await engine.checkPassword('a', 'wrong')).toBe('wrong');
    expect(JSON.parse(await engine.exportState()).clients).toEqual([
      { username: 'a', roles: [], password, salt, iterations },
    ]);
  });

  it('in argon2id is checked, and kept as it is', async () => {
    // From the reference implementation's own tests.
    const encoded =
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, 'dynamic-security.json'),
      JSON.stringify({ clients: [{ username: 'a', encoded_password: encoded }] }),
    );
    const engine = await openEngine(folder);
    expect(await engine.checkPassword('a', 'password')).toBe('ok');
    expect(await engine.checkPassword('a', 'Password')).toBe('wrong');
    expect(JSON.parse(await engine.exportState()).clients[0].encoded_password).toBe(encoded);
  });

  it('in a form nobody knows is never right', async () => {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, 'dynamic-security.json'),
      JSON.stringify({ clients: [{ username: 'a', encoded_password: '$9$plain$password' }] }),
    );
    const engine = await openEngine(folder);
    expect(await engine.checkPassword('a', 'password')).toBe('wrong');
  });
});
