import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  startFakeService,
  type FakeService,
} from '../../../libs/client/test/support/fake-service.ts';
import { openWorkshop, type Ran, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
let service: FakeService;
let env: Record<string, string>;
const file = (): string => workshop.path('config', 'keyline', 'contexts.json');
const run = (...args: string[]): Promise<Ran> => workshop.runWith({ env }, ...args);
const login = (...args: string[]): Promise<Ran> =>
  run('login', ...service.options, '--token-file', 'api.token', ...args);

beforeEach(async () => {
  workshop = openWorkshop();
  service = await startFakeService(workshop);
  service.answers = {
    whoAmI: () => ({ name: 'line-3', role: 'operator', via: 'token' }),
    listDevices: () => ({ items: [], nextCursor: null }),
  };
  workshop.write('api.token', 'kla_secret-of-the-api\n');
  env = { XDG_CONFIG_HOME: workshop.path('config'), HOME: workshop.path('home') };
});
afterEach(async () => {
  await service.close();
  workshop.remove();
});

describe('keyline login', () => {
  it('saves what worked, for its owner only, and other commands use it from anywhere', async () => {
    const { code, out } = await login('plant-1');
    expect({ code, out }).toEqual({
      code: 0,
      out: `You are line-3 (operator) at ${service.url}. Saved as "plant-1" in ${file()}; commands use it from now on.\n`,
    });
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(statSync(workshop.path('config', 'keyline')).mode & 0o777).toBe(0o700);
    service.calls.length = 0;
    expect(await run('device', 'list')).toMatchObject({ code: 0 });
    expect(service.calls[0]?.call.request.headers.authorization).toBe(
      'Bearer kla_secret-of-the-api',
    );
  });

  it('shows its secret nowhere', async () => {
    const said = [
      await login('plant-1'),
      await run('context', 'list'),
      await run('context', 'list', '--json'),
    ];
    for (const { out, err } of said) expect(`${out}${err}`).not.toContain('kla_');
  });

  it('saves nothing that did not work', async () => {
    service.answers = {};
    expect((await login('plant-1')).code).not.toBe(0);
    expect(existsSync(file())).toBe(false);
    expect(await run('login', '--api', 'https://127.0.0.1:1', '--ca', 'test-ca.pem')).toMatchObject(
      {
        code: 2,
      },
    );
    expect(existsSync(file())).toBe(false);
  });

  it('keeps a key where it is, by its absolute path', async () => {
    const { code } = await run(
      ...['login', 'admin', ...service.options],
      ...['--cert', 'test-ca.pem', '--key', 'test-ca.key'],
    );
    expect(code).toBe(0);
    const text = readFileSync(file(), 'utf8');
    expect(text).not.toContain('PRIVATE KEY');
    expect(JSON.parse(text).contexts.admin).toMatchObject({
      certificate: workshop.path('test-ca.pem'),
      key: workshop.path('test-ca.key'),
    });
    expect(await run('device', 'list')).toMatchObject({ code: 0 });
  });

  it.each(['', '..', '-x', 'a b', '__proto__', 'a/b', 'x'.repeat(64)])(
    'refuses the name %j',
    async (name) => {
      expect(
        (await run('login', ...service.options, '--token-file', 'api.token', '--', name)).code,
      ).toBe(2);
      expect(existsSync(file())).toBe(false);
    },
  );

  it('takes an API token only, and says what the other kind is for', async () => {
    workshop.write('enroll.token', 'kle_secret\n');
    const { code, err } = await run('login', ...service.options, '--token-file', 'enroll.token');
    expect(code).toBe(2);
    expect(err).toContain('an enrollment token (kle_…), and this command takes an API token');
    const enroll = ['device', 'enroll', '--id', 'd', '--out', 'd', ...service.options];
    expect((await run(...enroll, '--token-file', 'api.token')).err).toContain(
      'an API token (kla_…), and this command takes an enrollment token',
    );
    expect(service.calls).toEqual([]);
  });

  it('reads the token from stdin too', async () => {
    const { code } = await workshop.runWith(
      { env, stdin: 'kla_from-stdin\n' },
      ...['login', 'plant-1', ...service.options, '--token-file', '-'],
    );
    expect(code).toBe(0);
    expect(readFileSync(file(), 'utf8')).toContain('kla_from-stdin');
  });
});

describe('a context', () => {
  it('is listed, chosen and deleted, as kubectl has it', async () => {
    await login('plant-1');
    await login('plant-2');
    const list = async (): Promise<unknown> =>
      JSON.parse((await run('context', 'list', '--json')).out);
    expect(await list()).toMatchObject({ current: 'plant-2', items: [{ name: 'plant-1' }, {}] });
    expect((await run('context', 'list')).out).toMatch(/^\* +plant-2 /m);
    expect(await run('context', 'use', 'plant-1')).toMatchObject({ code: 0 });
    expect(await list()).toMatchObject({ current: 'plant-1' });
    expect(await run('context', 'delete', 'plant-1')).toMatchObject({ code: 0 });
    expect(await list()).toMatchObject({ current: null, items: [{ name: 'plant-2' }] });
    const { code, err } = await run('context', 'use', 'plant-1');
    expect(code).toBe(4);
    expect(err).toContain('There are: plant-2.');
  });

  it('is named by --context or KEYLINE_CONTEXT, and what the line names goes before it', async () => {
    await login('plant-1');
    await run('context', 'delete', 'plant-1');
    await login('plant-2');
    expect((await run('device', 'list', '--context', 'plant-1')).code).toBe(4);
    env['KEYLINE_CONTEXT'] = 'plant-2';
    expect((await run('device', 'list')).code).toBe(0);
    env['KEYLINE_CONTEXT'] = 'plant-1';
    expect((await run('device', 'list')).code).toBe(4);
    expect((await run('device', 'list', '--context', 'plant-2')).code).toBe(0);
    expect((await run('device', 'list', '--context', 'plant-2', ...service.options)).code).toBe(2);
  });

  it('does not quietly take the place of the Keyline of this folder', async () => {
    await login('plant-1');
    const endpoints = (api: string): string =>
      JSON.stringify({
        ...{ api, http: 'http://127.0.0.1:1', broker: 'mqtts://127.0.0.1:1' },
        ca: '../test-ca.pem',
        admin: { certificate: '../test-ca.pem', key: '../test-ca.key' },
      });
    mkdirSync(workshop.path('.keyline'));
    workshop.write('.keyline/endpoints.json', endpoints('https://127.0.0.1:9'));
    const { code, err } = await run('device', 'list');
    expect(code).toBe(2);
    expect(err).toContain('Which Keyline?');
    expect(err).toContain('--context plant-1');
    expect((await run('device', 'list', '--context', 'plant-1')).code).toBe(0);
    // The same service by another way is no question.
    workshop.write('.keyline/endpoints.json', endpoints(service.url));
    expect((await run('device', 'list')).code).toBe(0);
  });

  it('is not used from a file that others may read, or that is damaged', async () => {
    await login('plant-1');
    chmodSync(file(), 0o644);
    const { code, err } = await run('device', 'list');
    expect(code).toBe(6);
    expect(err).toContain(`chmod 600 ${file()}`);
    for (const text of [
      '',
      '{',
      '[]',
      'null',
      '{"version":2,"current":null,"contexts":{}}',
      '{"version":1,"current":null,"contexts":[]}',
      '{"version":1,"current":7,"contexts":{}}',
      '{"version":1,"current":"a","contexts":{"a":{"api":7,"caPem":""}}}',
      '{"version":1,"current":"a","contexts":{"a":null}}',
      '{"version":1,"current":"a","contexts":{"../a":{"endpoints":"x"}}}',
    ]) {
      writeFileSync(file(), text);
      chmodSync(file(), 0o600);
      const ran = await run('device', 'list', '--json');
      expect({ text, code: ran.code }).toEqual({ text, code: 6 });
      expect(ran.err).toContain('keyline login');
    }
    // What is current may be gone.
    writeFileSync(file(), '{"version":1,"current":"toString","contexts":{}}');
    expect((await run('device', 'list')).code).toBe(4);
  });

  it('needs a folder, and ignores a relative XDG_CONFIG_HOME as that specification says', async () => {
    env = { XDG_CONFIG_HOME: 'config' };
    const { code, err } = await login();
    expect(code).toBe(2);
    expect(err).toContain('XDG_CONFIG_HOME');
    env = { XDG_CONFIG_HOME: 'config', HOME: workshop.path('home') };
    expect((await login()).code).toBe(0);
    expect(existsSync(workshop.path('home', '.config', 'keyline', 'contexts.json'))).toBe(true);
  });
});
