// Clients with user name and password on a TLS listener of their own, as Mosquitto's users have them.
import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { LoginQueue } from '../src/login-queue.ts';
import { runTool } from './support/run-tool.ts';
import { ended, nextMessage, TestBroker, type ConnectOptions } from './support/test-broker.ts';

let broker: TestBroker;

const role = (name: string, ...acls: readonly [acltype: string, topic: string][]): object => ({
  command: 'createRole',
  rolename: name,
  acls: acls.map(([acltype, topic]) => ({ acltype, topic, allow: true, priority: 0 })),
});

beforeAll(async () => {
  broker = await TestBroker.start({ maxGuessesPerAddress: 1000 });
  await broker.control(
    role(
      'plant',
      ['publishClientSend', 'plant/#'],
      ['publishClientReceive', 'plant/#'],
      ['subscribePattern', 'plant/#'],
    ) as Record<string, unknown>,
    role(
      'administrator',
      ['publishClientSend', '$CONTROL/dynamic-security/#'],
      ['publishClientReceive', '$CONTROL/dynamic-security/#'],
      ['subscribePattern', '$CONTROL/dynamic-security/#'],
    ) as Record<string, unknown>,
    {
      command: 'createClient',
      username: 'meter',
      password: 'correct horse',
      roles: [{ rolename: 'plant' }],
    },
    {
      command: 'createClient',
      username: 'old-admin',
      password: 'battery staple',
      roles: [{ rolename: 'administrator' }],
    },
    { command: 'createClient', username: 'no-password', roles: [{ rolename: 'plant' }] },
  );
});

afterAll(() => broker.stop());

const login = (
  username: string | undefined,
  password: string | undefined,
  options: ConnectOptions = {},
): ConnectOptions => ({
  port: broker.broker.passwordPort!,
  ...(username === undefined ? {} : { username }),
  ...(password === undefined ? {} : { password }),
  ...options,
});

describe.each([4, 5] as const)('a login by password, MQTT version %i', (protocolVersion) => {
  it('is let in with the rights of its roles, under a client id of its choice', async () => {
    const client = await broker.connect(
      undefined,
      login('meter', 'correct horse', { protocolVersion, clientId: 'reader-12' }),
    );
    await client.subscribeAsync('plant/#');
    const message = nextMessage(client);
    await client.publishAsync('plant/1', 'on', { qos: 1 });
    expect(await message).toEqual({ topic: 'plant/1', text: 'on' });
    const [answer] = await client.subscribeAsync('other/#').catch(() => [{ qos: 128 }]);
    expect(answer?.qos).toBeGreaterThanOrEqual(0x80);
    await client.endAsync();
  });

  it.each([
    ['a wrong password', 'meter', 'wrong', 'bad-login'],
    ['an empty password', 'meter', '', 'bad-login'],
    ['a name that is not known', 'nobody', 'wrong', 'bad-login'],
    ['a client that has no password', 'no-password', 'wrong', 'bad-login'],
    ['the name of an administrator with a certificate', 'keyline@service', 'wrong', 'bad-login'],
    ['no name and no password', undefined, undefined, 'no-login'],
  ])('is refused with %s', async (_what, username, password, reason) => {
    const refused = await broker.refusal(
      undefined,
      login(username, password, { protocolVersion, clientId: 'x' }),
    );
    expect(refused.code).toBe(protocolVersion === 5 ? 0x86 : 4);
    expect(broker.line('connection refused')?.reason).toBe(reason);
    expect(JSON.stringify(broker.lines)).not.toContain('correct horse');
  });

  it('may not take the client id of another identity, nor one below it', async () => {
    await broker.device('pump');
    for (const clientId of ['pump', 'pump:2', 'keyline@service']) {
      const refused = await broker.refusal(
        undefined,
        login('meter', 'correct horse', { protocolVersion, clientId }),
      );
      expect(refused.code).toBe(protocolVersion === 5 ? 0x85 : 2);
    }
  });
});

it('is asked for no certificate, and one that it has changes nothing', async () => {
  const device = await broker.device('with-both');
  const refused = await broker.refusal(
    device,
    login(undefined, undefined, { clientId: 'with-both' }),
  );
  expect(refused.code).toBe(0x86);
});

it('ends when its password changes, its client is disabled or deleted', async () => {
  await broker.control({
    command: 'createClient',
    username: 'brief',
    password: 'one',
    roles: [{ rolename: 'plant' }],
  });
  for (const [command, password, then] of [
    [{ command: 'setClientPassword', username: 'brief', password: 'two' }, 'one', 'two'],
    [{ command: 'disableClient', username: 'brief' }, 'two', undefined],
  ] as const) {
    const client = await broker.connect(undefined, login('brief', password, { clientId: 'b' }));
    const end = ended(client);
    await broker.control(command);
    expect((await end).reasonCode).toBe(0x98);
    if (then !== undefined) {
      await (await broker.connect(undefined, login('brief', then, { clientId: 'b' }))).endAsync();
    }
  }
  expect((await broker.refusal(undefined, login('brief', 'two', { clientId: 'b' }))).code).toBe(
    0x86,
  );
});

it('goes on when the authorities of those with certificates change', async () => {
  const changing = await TestBroker.start();
  try {
    await changing.control({ command: 'createClient', username: 'meter', password: 'right' });
    const client = await changing.connect(undefined, {
      ...{ port: changing.broker.passwordPort!, clientId: 'reader' },
      ...{ username: 'meter', password: 'right' },
    });
    const { certFile, cert } = changing.pki.ca;
    const other = await changing.pki.createSubordinate('Issuing CA 2');
    await writeFile(`${certFile}.new`, Buffer.concat([cert, other.cert]));
    await rename(`${certFile}.new`, certFile);
    await changing.broker.reload();
    expect(changing.line('certificate swapped')).toBeDefined();
    expect(await changing.metrics()).not.toMatch(/kicked_total\{reason="no-longer-let-in"\} [1-9]/);
    await client.endAsync();
  } finally {
    await changing.stop();
  }
});

it('survives whatever comes instead of a CONNECT, whole, in bytes or not at all', async () => {
  const inputs = [
    Buffer.from([0xc0, 0x00]),
    Buffer.from([0x00]),
    Buffer.from([0x10, 0xff, 0xff, 0xff, 0x7f]),
    Buffer.from([0x10, 0x80, 0x80, 0x80, 0x80, 0x01]),
    Buffer.from([0x10, 0x0a, 0x00]),
    ...Array.from({ length: 20 }, () => randomBytes(200)),
  ];
  for (const input of inputs) {
    const socket = connectTls({
      host: '127.0.0.1',
      port: broker.broker.passwordPort!,
      rejectUnauthorized: false,
    });
    socket.on('error', () => undefined);
    socket.resume();
    socket.end(input);
    await new Promise<void>((resolve) => socket.once('close', () => resolve()));
  }
  const client = await broker.connect(
    undefined,
    login('meter', 'correct horse', { clientId: 'm' }),
  );
  await client.endAsync();
  expect(await broker.metrics()).not.toMatch(/faults_total\{where="login"\} [1-9]/);
});

describe.skipIf(!has('mosquitto_pub', 'mosquitto_sub', 'mosquitto_ctrl'))(
  'Mosquitto’s own programs',
  () => {
    const common = (username: string, password: string): string[] => [
      ...['-h', '127.0.0.1', '-p', String(broker.broker.passwordPort)],
      ...['--cafile', broker.pki.ca.certFile, '-u', username, '-P', password],
    ];

    it('publish and subscribe with what they have', async () => {
      const heard = runTool('mosquitto_sub', [
        ...common('meter', 'correct horse'),
        ...['-t', 'plant/retained', '-C', '1', '-W', '15'],
      ]);
      const told = await runTool('mosquitto_pub', [
        ...common('meter', 'correct horse'),
        ...['-t', 'plant/retained', '-m', '42', '-q', '1', '-r'],
      ]);
      expect(told).toEqual({ code: 0, output: '' });
      expect(await heard).toEqual({ code: 0, output: '42\n' });
    });

    it('are told that a password is wrong', async () => {
      const { code, output } = await runTool('mosquitto_pub', [
        ...common('meter', 'guess'),
        ...['-t', 'plant/1', '-m', 'x'],
      ]);
      expect(code).not.toBe(0);
      expect(output).toMatch(/not authori[sz]ed|bad user ?name or password/i);
    });

    it('administer with mosquitto_ctrl, if a role lets them', async () => {
      const admin = await runTool('mosquitto_ctrl', [
        ...common('old-admin', 'battery staple'),
        ...['dynsec', 'getClient', 'meter'],
      ]);
      expect(admin.output).toMatch(/Username:\s+meter/);
      expect(admin.code).toBe(0);
      // It ends with 0 whatever it is told: what counts is that nothing was done.
      await runTool('mosquitto_ctrl', [
        ...common('meter', 'correct horse'),
        ...['dynsec', 'deleteClient', 'old-admin'],
      ]);
      const [answer] = await broker.control({ command: 'getClient', username: 'old-admin' });
      expect(answer).toHaveProperty('data');
    });
  },
);

describe('wrong passwords', () => {
  it('are answered without being looked at beyond the limit of an address, and others get in', async () => {
    let now = 0;
    const queue = new LoginQueue({ perAddress: 3, perName: 1000 }, () => now);
    let looked = 0;
    const guess = (address: string, right: boolean) =>
      queue.check(address, 'meter', async () => {
        looked += 1;
        return right;
      });
    const answers = await Promise.all(Array.from({ length: 50 }, () => guess('a', false)));
    expect(answers.filter((answer) => answer === 'too-many-guesses').length).toBeGreaterThan(44);
    expect(looked).toBeLessThan(6);
    // Also a right one: which it is, is not to be found out.
    expect(await guess('a', true)).toBe('too-many-guesses');
    expect(await guess('b', true)).toBe('right');
    now += 60_000;
    expect(await guess('a', true)).toBe('right');
  });

  it('at one name from many addresses lock out strangers, and not who is at home there', async () => {
    const queue = new LoginQueue({ perAddress: 1000, perName: 5 }, () => 0);
    const check = (address: string, right: boolean) =>
      queue.check(address, 'meter', () => Promise.resolve(right));
    expect(await check('home', true)).toBe('right');
    for (let count = 0; count < 20; count += 1) await check(`stranger-${String(count)}`, false);
    expect(await check('stranger-x', true)).toBe('too-many-guesses');
    expect(await check('home', true)).toBe('right');
  });

  it('leaves nothing to do behind for who has hung up', async () => {
    const queue = new LoginQueue({ perAddress: 1000, perName: 1000 }, () => 0);
    const ends: ((right: boolean) => void)[] = [];
    const slowly = () => new Promise<boolean>((resolve) => ends.push(resolve));
    const waiting = ['a', 'b'].map((address) => queue.check(address, 'x', slowly));
    let checked = 0;
    const gone = Array.from({ length: 1000 }, (_, at) =>
      queue.check(
        `bot-${at}`,
        'x',
        () => {
          checked += 1;
          return Promise.resolve(true);
        },
        () => true,
      ),
    );
    const there = queue.check('c', 'x', () => Promise.resolve(true));
    for (const end of ends) end(false);
    expect(await there).toBe('right');
    expect(new Set(await Promise.all(gone))).toEqual(new Set(['wrong']));
    expect(checked).toBe(0);
    await Promise.all(waiting);
  });

  it('of one address wait behind each other, and not in front of others', async () => {
    const queue = new LoginQueue({ perAddress: 1000, perName: 1000 }, () => 0);
    const order: string[] = [];
    const check = (address: string) =>
      queue.check(address, address, async () => {
        await Promise.resolve();
        order.push(address);
        return true;
      });
    await Promise.all([...Array.from({ length: 20 }, () => check('flood')), check('one')]);
    expect(order.indexOf('one')).toBeLessThan(5);
  });

  it('do not hold up the event loop: the work is done beside it', async () => {
    await broker.control({ command: 'createClient', username: 'slow', password: 'x' });
    const guesses = Array.from({ length: 20 }, (_entry, count) =>
      broker.refusal(undefined, login('slow', `guess ${String(count)}`, { clientId: 's' })),
    );
    const client = await broker.connect(await broker.device('quick'), { clientId: 'quick' });
    await client.publishAsync('devices/quick/x', '1', { qos: 1 });
    await client.endAsync();
    const codes = (await Promise.all(guesses)).map(({ code }) => code);
    // Ten a minute at one name, and what was under way.
    expect(codes.filter((code) => code === 0x9f).length).toBeGreaterThan(5);
    expect(codes.every((code) => code === 0x86 || code === 0x9f)).toBe(true);
  });
});
