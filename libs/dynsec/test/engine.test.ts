// What the engine does beyond Mosquitto's answers (test/conformance holds those): identities, passwords, revocation, admins, bounds.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { answersOf, carryOut, execute, openEngine, temporaryFolder } from './engine-fixture.ts';

const session = (username: string | undefined, clientId = username ?? 'anyone') => ({
  username,
  clientId,
});

describe('Identities', () => {
  it('are known, unknown or disabled', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createClient', username: 'on' },
      { command: 'createClient', username: 'off' },
      { command: 'disableClient', username: 'off' },
    );
    expect(engine.checkIdentity('on')).toBe('known');
    expect(engine.checkIdentity('off')).toBe('disabled');
    expect(engine.checkIdentity('none')).toBe('unknown');
  });

  it('of admins are known even when the state does not know or disables them', async () => {
    const engine = await openEngine();
    expect(engine.checkIdentity('admin@keyline')).toBe('known');
    await carryOut(
      engine,
      { command: 'createClient', username: 'admin@keyline' },
      { command: 'disableClient', username: 'admin@keyline' },
    );
    expect(engine.checkIdentity('admin@keyline')).toBe('known');
  });

  it('have the client id they are bound to, until it is taken away', async () => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'a', clientid: 'only-this' });
    expect(engine.boundClientId('a')).toBe('only-this');
    await carryOut(engine, { command: 'setClientId', username: 'a', clientid: '' });
    expect(engine.boundClientId('a')).toBeUndefined();
    expect(engine.boundClientId('none')).toBeUndefined();
  });
});

describe('Rates of a role', () => {
  it('are its clients’, by their own roles before those of their groups, each rate by the first that has one', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createRole', rolename: 'meter', messagerate: 0.5 },
      { command: 'createRole', rolename: 'camera', messagerate: 30, byterate: 1_000_000 },
      { command: 'createGroup', groupname: 'site', roles: [{ rolename: 'camera' }] },
      { command: 'createClient', username: 'a', roles: [{ rolename: 'meter' }] },
      { command: 'createClient', username: 'b', roles: [{ rolename: 'meter' }] },
      { command: 'addGroupClient', groupname: 'site', username: 'b' },
      { command: 'createClient', username: 'c' },
    );
    expect(engine.ratesOf('a')).toEqual({ messages: 0.5, bytes: 0 });
    expect(engine.ratesOf('b')).toEqual({ messages: 0.5, bytes: 1_000_000 });
    expect(engine.ratesOf('c')).toEqual({ messages: 0, bytes: 0 });
    expect(engine.ratesOf('constructor')).toEqual({ messages: 0, bytes: 0 });
  });

  it('change without a kick, and with a new version', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createRole', rolename: 'r', messagerate: 1 },
      { command: 'createClient', username: 'a', roles: [{ rolename: 'r' }] },
    );
    const before = engine.version;
    const { kicks } = await carryOut(engine, {
      ...{ command: 'modifyRole', rolename: 'r', messagerate: 2, byterate: 3 },
    });
    expect(kicks.usernames.size).toBe(0);
    expect(engine.version).toBeGreaterThan(before);
    expect(engine.ratesOf('a')).toEqual({ messages: 2, bytes: 3 });
    await carryOut(engine, { command: 'modifyRole', rolename: 'r', messagerate: 0 });
    expect(engine.ratesOf('a')).toEqual({ messages: 0, bytes: 3 });
  });

  it.each([-1, '5', null, {}])('are refused as %j, and nothing is changed', async (messagerate) => {
    const engine = await openEngine();
    const asked = { command: 'createRole', rolename: 'r', messagerate };
    const [answer] = answersOf(await execute(engine, asked));
    expect(answer.error).toBe('Invalid messagerate');
    expect(engine.counts().roles).toBe(0);
  });

  it('are there again after a start, from the journal and from the snapshot', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await carryOut(
      engine,
      { command: 'createRole', rolename: 'r', messagerate: 7, byterate: 8 },
      { command: 'createClient', username: 'a', roles: [{ rolename: 'r' }] },
    );
    const copy = temporaryFolder();
    cpSync(folder, copy, { recursive: true });
    await engine.close();
    for (const from of [copy, folder]) {
      expect((await openEngine(from)).ratesOf('a')).toEqual({ messages: 7, bytes: 8 });
    }
  });
});

describe('Rights', () => {
  it('give admins $CONTROL/dynamic-security, and nothing else', async () => {
    const engine = await openEngine();
    const admin = session('admin@keyline');
    expect(engine.mayPublish(admin, '$CONTROL/dynamic-security/v1')).toBe(true);
    expect(engine.mayReceive(admin, '$CONTROL/dynamic-security/v1/response')).toBe(true);
    expect(engine.maySubscribe(admin, '$CONTROL/dynamic-security/#')).toBe(true);
    expect(engine.maySubscribe(admin, '$CONTROL/dynamic-security')).toBe(true);
    expect(engine.maySubscribe(admin, '$CONTROL/#')).toBe(false);
    expect(engine.mayPublish(admin, '$CONTROL/dynamic-securityx/v1')).toBe(false);
    expect(engine.mayPublish(admin, 'devices/x')).toBe(false);
    expect(engine.mayPublish(session('other'), '$CONTROL/dynamic-security/v1')).toBe(false);
  });

  it('are none for who is unknown or disabled, whatever the defaults', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createClient', username: 'off' },
      { command: 'disableClient', username: 'off' },
      {
        command: 'setDefaultACLAccess',
        acls: ['publishClientSend', 'subscribe'].map((acltype) => ({ acltype, allow: true })),
      },
    );
    for (const name of ['off', 'none']) {
      expect(engine.mayPublish(session(name), 't')).toBe(false);
      expect(engine.mayReceive(session(name), 't')).toBe(false);
      expect(engine.maySubscribe(session(name), 't')).toBe(false);
    }
  });

  it('of the anonymous are those of their group, then the defaults', async () => {
    const engine = await openEngine();
    expect(engine.maySubscribe(session(undefined), 'public/x')).toBe(false);
    const { kicks, rightsChanged } = await carryOut(
      engine,
      {
        command: 'createRole',
        rolename: 'public',
        acls: [{ acltype: 'subscribePattern', topic: 'public/#', allow: true }],
      },
      { command: 'createGroup', groupname: 'everybody', roles: [{ rolename: 'public' }] },
      { command: 'setAnonymousGroup', groupname: 'everybody' },
    );
    expect(kicks.anonymous).toBe(true);
    expect(rightsChanged).toBe(true);
    expect(engine.maySubscribe(session(undefined), 'public/x')).toBe(true);
    expect(engine.maySubscribe(session(undefined), 'private/x')).toBe(false);
    expect(engine.mayReceive(session(undefined), 'anything')).toBe(true);
    const { kicks: after } = await carryOut(engine, {
      command: 'removeGroupRole',
      groupname: 'everybody',
      rolename: 'public',
    });
    expect(after.anonymous).toBe(true);
    expect(engine.maySubscribe(session(undefined), 'public/x')).toBe(false);
  });

  it('without wildcards: a role with allowwildcardsubs false ends the search (2.1)', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      {
        command: 'createRole',
        rolename: 'exact',
        allowwildcardsubs: false,
        acls: [{ acltype: 'subscribePattern', topic: 't/#', allow: true }],
      },
      { command: 'createClient', username: 'a', roles: [{ rolename: 'exact' }] },
    );
    expect(engine.maySubscribe(session('a'), 't/x')).toBe(true);
    expect(engine.maySubscribe(session('a'), 't/+')).toBe(false);
    expect(engine.maySubscribe(session('a'), 't/#')).toBe(false);
  });

  it('forbid everything behind an ACL whose filter MQTT does not allow and that denies', async () => {
    const engine = await openEngine();
    const role = (rolename: string, allow: boolean) => ({
      command: 'createRole',
      rolename,
      acls: [
        { acltype: 'publishClientSend', topic: 'a/#/b', allow, priority: 1 },
        { acltype: 'publishClientSend', topic: '#', allow: true },
      ],
    });
    await carryOut(
      engine,
      role('denies', false),
      role('allows', true),
      { command: 'createClient', username: 'a', roles: [{ rolename: 'denies' }] },
      { command: 'createClient', username: 'b', roles: [{ rolename: 'allows' }] },
    );
    expect(engine.mayPublish(session('a'), 'x')).toBe(false);
    expect(engine.mayPublish(session('b'), 'x')).toBe(true);
  });

  it('do not give $CONTROL by default through a shared subscription either', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createClient', username: 'a' },
      { command: 'setDefaultACLAccess', acls: [{ acltype: 'subscribe', allow: true }] },
    );
    expect(engine.maySubscribe(session('a'), '$share/g/t')).toBe(true);
    expect(engine.maySubscribe(session('a'), '$share/g/$CONTROL/dynamic-security/#')).toBe(false);
  });

  it('follow a change of a role at once, for all who have it', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createRole', rolename: 'r' },
      ...['a', 'b', 'c'].map((username) => ({
        command: 'createClient',
        username,
        roles: username === 'c' ? [] : [{ rolename: 'r' }],
      })),
    );
    expect(engine.mayPublish(session('a'), 't')).toBe(false);
    const { kicks, rightsChanged } = await carryOut(engine, {
      command: 'addRoleACL',
      rolename: 'r',
      acltype: 'publishClientSend',
      topic: 't',
      allow: true,
    });
    expect(engine.mayPublish(session('a'), 't')).toBe(true);
    expect([...kicks.usernames].sort()).toEqual(['a', 'b']);
    expect([...(rightsChanged as Set<string>)].sort()).toEqual(['a', 'b']);
  });
});

describe('Passwords', () => {
  it('are right or wrong; a client without one never passes', async () => {
    const engine = await openEngine();
    await carryOut(
      engine,
      { command: 'createClient', username: 'a', password: 'right' },
      { command: 'createClient', username: 'certificate-only' },
      { command: 'createClient', username: 'empty', password: '' },
    );
    expect(await engine.checkPassword('a', 'right')).toBe('ok');
    expect(await engine.checkPassword('a', Buffer.from('right'))).toBe('ok');
    expect(await engine.checkPassword('a', 'wrong')).toBe('wrong');
    expect(await engine.checkPassword('certificate-only', '')).toBe('wrong');
    expect(await engine.checkPassword('empty', '')).toBe('wrong');
    expect(await engine.checkPassword('none', 'right')).toBe('unknown');
    await carryOut(engine, { command: 'setClientPassword', username: 'a', password: 'new' });
    expect(await engine.checkPassword('a', 'right')).toBe('wrong');
    expect(await engine.checkPassword('a', 'new')).toBe('ok');
    await carryOut(engine, { command: 'disableClient', username: 'a' });
    expect(await engine.checkPassword('a', 'new')).toBe('disabled');
  });

  it('are in no answer', async () => {
    const engine = await openEngine();
    await carryOut(engine, { command: 'createClient', username: 'a', password: 'right' });
    const { response } = await execute(
      engine,
      { command: 'getClient', username: 'a' },
      { command: 'listClients', verbose: true },
    );
    expect(response).not.toMatch(/password|salt|iterations|\$7\$/);
  });

  it('do not let a later payload overtake the one that waits for its hash', async () => {
    const engine = await openEngine();
    const first = execute(engine, { command: 'createClient', username: 'a', password: 'p' });
    const second = execute(engine, { command: 'createClient', username: 'a' });
    expect(answersOf(await first)).toEqual([{ command: 'createClient' }]);
    expect(answersOf(await second)[0].error).toBe('Client already exists');
  });
});

describe("Keyline's revokeCertificates", () => {
  it('revokes serials in any spelling, and tells which are new', async () => {
    const engine = await openEngine();
    const { kicks, rightsChanged } = await carryOut(engine, {
      command: 'revokeCertificates',
      serials: ['0A:BC', '00ff', '01'],
    });
    expect([...kicks.serials]).toEqual(['0abc', 'ff', '01']);
    expect(rightsChanged).toBe(false);
    for (const spelling of ['0abc', 'ABC', '0a:bc', '000abc', 'FF', '1']) {
      expect(engine.isRevoked(spelling), spelling).toBe(true);
    }
    expect(engine.isRevoked('0abd')).toBe(false);
    const again = await carryOut(engine, { command: 'revokeCertificates', serials: ['abc', '02'] });
    expect([...again.kicks.serials]).toEqual(['02']);
    expect(engine.counts().revokedSerials).toBe(4);
  });

  it('takes all or none', async () => {
    const engine = await openEngine();
    for (const serials of [
      undefined,
      'ab',
      ['ab', 'xyz'],
      ['ab', ''],
      ['ab', 'f'.repeat(41)],
      [1],
    ]) {
      const [{ error }] = answersOf(
        await execute(engine, { command: 'revokeCertificates', serials }),
      );
      expect(error).toMatch(/^Invalid/);
    }
    expect(engine.counts()).toMatchObject({ revokedSerials: 0, changeIndex: 0 });
  });

  it('does not vouch for what is no serial', async () => {
    const engine = await openEngine();
    expect(engine.isRevoked('no serial')).toBe(true);
  });
});

describe('Names that JavaScript knows', () => {
  const names = ['constructor', '__proto__', 'toString', 'valueOf', 'hasOwnProperty', 'prototype'];

  it.each(names)('are names like any other: %s', async (name) => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    expect(engine.checkIdentity(name)).toBe('unknown');
    expect(engine.mayPublish(session(name), name)).toBe(false);
    expect(engine.checkCertificate(name, '01')).toBe('no list');
    await carryOut(
      engine,
      {
        command: 'createRole',
        rolename: name,
        acls: [{ acltype: 'publishClientSend', topic: `${name}/#`, allow: true }],
      },
      { command: 'createGroup', groupname: name, roles: [{ rolename: name }] },
      { command: 'createClient', username: name, groups: [{ groupname: name }], serials: ['01'] },
    );
    const [refused] = answersOf(await execute(engine, { command: name, [name]: name }));
    expect(refused).toMatchObject({ command: name, error: 'Unknown command' });
    await engine.close();
    const again = await openEngine(folder);
    expect(again.mayPublish(session(name), `${name}/${name}`)).toBe(true);
    expect(again.checkCertificate(name, '02')).toBe('unlisted');
    await carryOut(again, { command: 'deleteClient', username: name });
    expect(again.checkIdentity(name)).toBe('unknown');
  });

  it('do nothing as members of a payload', async () => {
    const engine = await openEngine();
    const payload =
      '{"commands":[{"command":"createClient","username":"a","__proto__":{"disabled":true,"roles":[5]}}],"__proto__":{"commands":[]}}';
    const { response } = await engine.execute(Buffer.from(payload), session('admin@keyline'));
    expect(JSON.parse(response)).toEqual({ responses: [{ command: 'createClient' }] });
    expect(engine.checkIdentity('a')).toBe('known');
    expect(({} as Record<string, unknown>)['disabled']).toBeUndefined();
  });
});

describe('Payloads', () => {
  it('that change nothing leave the change index', async () => {
    const engine = await openEngine();
    await execute(engine, { command: 'listClients' }, { command: 'deleteClient', username: 'x' });
    expect(engine.counts().changeIndex).toBe(0);
    await carryOut(
      engine,
      { command: 'createRole', rolename: 'a' },
      { command: 'createRole', rolename: 'b' },
    );
    expect(engine.counts()).toMatchObject({ changeIndex: 2, recordIndex: 1 });
  });

  it('count their changes, each command that is done, and keep the count in the state file as Mosquitto 2.1 does', async () => {
    const folder = temporaryFolder();
    const engine = await openEngine(folder);
    await execute(
      engine,
      { command: 'createClient', username: 'a' },
      { command: 'createClient', username: 'a' },
      { command: 'disableClient', username: 'a' },
      { command: 'disableClient', username: 'a' },
      { command: 'getClient', username: 'a' },
      { command: 'revokeCertificates', serials: [] },
    );
    const [details] = answersOf(await execute(engine, { command: 'getDetails' }));
    expect(details.data.changeIndex).toBe(3);
    await engine.close();
    const file = readFileSync(join(folder, 'dynamic-security.json'), 'utf8');
    expect(JSON.parse(file).changeIndex).toBe(3);
    const again = await openEngine(folder);
    await carryOut(again, { command: 'enableClient', username: 'a' });
    expect(again.counts().changeIndex).toBe(4);
    // Without a snapshot between: from the journal.
    const crashed = temporaryFolder();
    cpSync(folder, crashed, { recursive: true });
    expect((await openEngine(crashed)).counts().changeIndex).toBe(4);
  });

  it('go on counting where the file of a Mosquitto stood', async () => {
    const folder = temporaryFolder();
    writeFileSync(
      join(folder, 'dynamic-security.json'),
      JSON.stringify({ changeIndex: 41, clients: [], groups: [], roles: [] }),
    );
    const engine = await openEngine(folder);
    await carryOut(engine, { command: 'createRole', rolename: 'r' });
    expect(engine.counts().changeIndex).toBe(42);
  });

  it('are bounded in commands and bytes', async () => {
    const engine = await openEngine();
    const many = await execute(engine, ...Array.from({ length: 20_001 }, () => ({ command: 'x' })));
    expect(answersOf(many)).toEqual([{ command: 'Unknown command', error: 'Too many commands' }]);
    const big = await execute(engine, { command: 'x'.repeat(9 * 1024 * 1024) });
    expect(answersOf(big)).toEqual([{ command: 'Unknown command', error: 'Payload too large' }]);
  });

  it('are bounded in what they are answered', async () => {
    const engine = await openEngine();
    await carryOut(engine, {
      command: 'createRole',
      rolename: 'long',
      textdescription: 'x'.repeat(1024 * 1024),
    });
    const answers = answersOf(
      await execute(
        engine,
        ...Array.from({ length: 80 }, () => ({ command: 'getRole', rolename: 'long' })),
      ),
    );
    expect(answers).toHaveLength(80);
    expect(answers[0].data.role.rolename).toBe('long');
    expect(answers[79]).toEqual({ command: 'getRole', error: 'Response too large' });
  });

  it('list the connections that the broker knows (2.1)', async () => {
    const engine = await openEngine(undefined, {
      connectionsOf: (username) =>
        username === 'a' ? [{ address: '192.0.2.7', clientId: 'a' }] : [],
    });
    await carryOut(engine, { command: 'createClient', username: 'a' });
    const [{ data }] = answersOf(await execute(engine, { command: 'getClient', username: 'a' }));
    expect(data.client.connections).toEqual([{ address: '192.0.2.7' }]);
  });
});
