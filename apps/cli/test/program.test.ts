import { chmodSync, mkdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { PresenceView } from '@keyline/api';
import { KeylineError } from '@keyline/kernel';
import { batch, device, evidence, token } from '../../../libs/client/test/support/documents.ts';
import {
  startFakeService,
  type FakeService,
} from '../../../libs/client/test/support/fake-service.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
let service: FakeService;
let caller: string[];

beforeAll(async () => {
  workshop = openWorkshop();
  service = await startFakeService(workshop);
  workshop.write('api.token', 'api-secret\n');
  caller = [...service.options, '--token-file', 'api.token'];
});
afterAll(async () => {
  await service.close();
  workshop.remove();
});
beforeEach(() => {
  service.calls.length = 0;
  service.answers = {};
});

/** Every command there is, by what --help lists. */
async function listCommands(words: readonly string[] = []): Promise<string[][]> {
  const { code, out } = await workshop.run(...words, '--help');
  expect(code, words.join(' ')).toBe(0);
  const listed = /^Commands:\n((?: .*\n)+)/m.exec(out)?.[1] ?? '';
  const found: string[][] = [];
  for (const [, name = ''] of listed.matchAll(/^ {2}([a-z][a-z-]*)/gm)) {
    // Its help is that of keyline-broker.
    if (name === 'help' || [...words, name].join(' ') === 'broker serve') continue;
    found.push([...words, name], ...(await listCommands([...words, name])));
  }
  return found;
}

describe('the command line', () => {
  it('has help with an example for every command', async () => {
    const commands = await listCommands();
    expect(commands.length).toBeGreaterThan(30);
    expect(commands).toEqual(
      expect.arrayContaining([['up'], ['device', 'enroll'], ['alerts', 'acknowledge'], ['doctor']]),
    );
    for (const words of commands) {
      const { out } = await workshop.run(...words, '--help');
      expect(out).toContain(`Example:\n  $ keyline ${words.join(' ')}`);
    }
  });

  it('documents its exit codes in --help', async () => {
    const { code, out } = await workshop.run('--help');
    expect(code).toBe(0);
    for (const number of [0, 1, 2, 3, 4, 5, 6])
      expect(out).toMatch(new RegExp(`^  ${String(number)}  `, 'm'));
  });

  it.each([
    ['an unknown command', ['devices']],
    ['a missing argument', ['device', 'show']],
    ['an unknown option', ['device', 'list', '--stat', 'active']],
    ['a missing mandatory option', ['batch', 'create', 'wo-1']],
    ['a quota that is no number', ['batch', 'create', 'wo-1', '--quota', 'many']],
    ['an unknown algorithm', ['device', 'enroll', '--id', 'd', '--out', '.', '--algorithm', 'dsa']],
    ['--api without --ca', ['device', 'list', '--api', 'https://127.0.0.1']],
    [
      '--cert without --key',
      ['device', 'list', '--cert', 'test-ca.pem', '--endpoints', 'endpoints.json'],
    ],
  ])('exits 2 for %s and prints nothing on stdout', async (_, args) => {
    workshop.write(
      'endpoints.json',
      JSON.stringify({
        api: service.url,
        http: 'http://127.0.0.1:1',
        broker: 'mqtts://127.0.0.1:1',
        ca: 'test-ca.pem',
        admin: { certificate: 'test-ca.pem', key: 'test-ca.key' },
      }),
    );
    const { code, out, err } = await workshop.run(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).not.toBe('');
  });

  it('exits 5 and says what to start when there is no endpoints.json', async () => {
    const { code, err } = await workshop.run('device', 'list');
    expect(code).toBe(5);
    expect(err).toContain('keyline up --data .keyline');
  });

  it('exits 5 when nothing listens', async () => {
    const { code, err } = await workshop.run(
      ...['device', 'list', '--api', 'https://127.0.0.1:1', '--ca', 'test-ca.pem'],
      ...['--token-file', 'api.token'],
    );
    expect(code).toBe(5);
    expect(err).toContain('Nothing listens at https://127.0.0.1:1');
  });

  it('exits 5 when the service shows a certificate of another authority', async () => {
    const other = openWorkshop();
    workshop.write('other.pem', other.caPem);
    other.remove();
    const { code, err } = await workshop.run(
      ...['device', 'list', '--api', service.url, '--ca', 'other.pem', '--token-file', 'api.token'],
    );
    expect(code).toBe(5);
    expect(err).toContain('another authority');
  });

  it.each([
    ['a file that is not there', '6', ['--api', 'https://127.0.0.1:1', '--ca', 'nowhere.pem']],
    ['a CA file without a certificate', '6', ['--api', 'https://127.0.0.1:1', '--ca', 'api.token']],
  ])('exits 6 for %s', async (_, code, args) => {
    const ran = await workshop.run('device', 'list', ...args, '--token-file', 'api.token');
    expect(String(ran.code)).toBe(code);
  });

  it('finds the service and the admin by endpoints.json, with file names relative to it', async () => {
    service.answers.listDevices = ({ request }) => {
      expect(request.headers.authorization).toBeUndefined();
      return { items: [], nextCursor: null };
    };
    const options = { env: { KEYLINE_ENDPOINTS: workshop.path('endpoints.json') } };
    const { code, err } = await workshop.runWith(options, 'device', 'list');
    expect({ code, err }).toEqual({ code: 0, err: 'No device is like that.\n' });
  });

  it('maps a problem document to its exit code, with its detail on stderr and as JSON on stdout', async () => {
    service.answers.getDevice = () => {
      throw new KeylineError('DEVICE_NOT_FOUND', 'There is no device "d1".');
    };
    service.answers.getDeviceHistory = service.answers.getDevice;
    const { code, out, err } = await workshop.run('device', 'show', 'd1', ...caller, '--json');
    expect(code).toBe(4);
    expect(err).toBe('keyline: There is no device "d1". [DEVICE_NOT_FOUND]\n');
    expect(JSON.parse(out)).toEqual({
      error: {
        code: 'DEVICE_NOT_FOUND',
        exitCode: 4,
        detail: 'There is no device "d1".',
        status: 404,
      },
    });
  });

  it('takes an answer that is no problem document for what its status says', async () => {
    service.raw.set('/v1/devices', (_, response) => response.writeHead(502).end('<html>'));
    const { code, err } = await workshop.run('device', 'list', ...caller);
    service.raw.clear();
    expect(code).toBe(1);
    expect(err).toContain('status 502');
  });
});

describe('keyline device', () => {
  const here: PresenceView = {
    status: 'online',
    ...{ lastSeen: '2026-11-24T16:00:00Z', since: '2026-11-24T15:00:00Z', broker: 'broker' },
    ...{ address: '192.0.2.7', clientId: 'other', protocol: '5' },
  };

  it('sends filters as the contract names them and follows cursors', async () => {
    service.answers.listDevices = ({ query }) =>
      query.get('cursor') === null
        ? { items: [device('d1')], nextCursor: 'c2' }
        : {
            items: [device('pump-17', { state: 'suspended', batch: 'wo-1', presence: here })],
            nextCursor: null,
          };
    const { code, out } = await workshop.run(
      ...['device', 'list', ...caller, '--state', 'active', '--type', 'default', '-q', 'd'],
      ...['--expires-before', '2027-01-01T00:00:00Z', '--label', 'line=1', '--online'],
    );
    expect(code).toBe(0);
    const [first, second] = service.calls.map(({ call }) => Object.fromEntries(call.query));
    expect(first).toEqual({
      state: 'active',
      type: 'default',
      q: 'd',
      label: 'line=1',
      expiresBefore: '2027-01-01T00:00:00Z',
      online: 'true',
      limit: '100',
    });
    expect(second).toMatchObject({ cursor: 'c2', limit: '99' });
    expect(out.split('\n').map((line) => line.slice(0, 86).trimEnd())).toEqual([
      'ID       STATE      ONLINE   LAST SEEN  ADDRESS    CLIENT           TYPE     BATCH  CE',
      'd1       active     unknown  unknown    -          -                default  -      20',
      'pump-17  suspended  yes      now        192.0.2.7  MQTT 5 as other  default  wo-1   20',
      '',
    ]);
  });

  it('asks for those that were not seen since a moment, or for so long', async () => {
    service.answers.listDevices = () => ({ items: [], nextCursor: null });
    const asked = async (since: string): Promise<number> => {
      await workshop.run('device', 'list', ...caller, '--not-seen-since', since);
      return Date.parse(service.calls.at(-1)?.call.query.get('notSeenSince') ?? '');
    };
    const weekAgo = Date.now() - 7 * 86_400_000;
    expect(Math.abs((await asked('7d')) - weekAgo)).toBeLessThan(60_000);
    expect(Math.abs((await asked('P7D')) - weekAgo)).toBeLessThan(60_000);
    expect(await asked('2026-01-02T03:04:05Z')).toBe(Date.parse('2026-01-02T03:04:05Z'));
    const { code, err } = await workshop.run('device', 'list', ...caller, '--not-seen-since', 'x');
    expect([code, err]).toEqual([2, expect.stringContaining('is not a time')]);
  });

  it('shows who is there, and what was refused, with the cure and without what acts on a terminal', async () => {
    service.answers.getDevice = () => device('d1', { presence: here });
    service.answers.getDeviceHistory = () => ({ items: [], certificates: [] });
    const refusal = {
      ...{ event: 'message denied', reason: 'publish', topic: 'a', count: 3, broker: 'hall' },
      ...{ firstAt: '2026-11-24T16:00:00Z', lastAt: '2026-11-24T16:00:05Z', address: '192.0.2.7' },
      ...{ clientId: 'd1', serial: '0a', happened: 'It may\u001b[2J not.', remedy: 'Let it.' },
    };
    service.answers.listDeviceRefusals = () => ({
      items: [
        { ...refusal, proven: true },
        { ...refusal, proven: false },
      ],
      nextCursor: null,
    });
    const { code, out } = await workshop.run('device', 'show', 'd1', ...caller);
    expect(code).toBe(0);
    expect(out).toMatch(/^online +yes, since 2026-11-24 15:00/m);
    expect(out).toMatch(/^last seen +now from 192\.0\.2\.7 on broker \(MQTT 5 as other\)$/m);
    expect(out).toMatch(
      /^2026-11-24 16:00:05 \(.* ago\), message denied, 3 times, on hall from 192\.0\.2\.7\n {2}It may.* not\.\n {2}→ Let it\.$/m,
    );
    expect(out.match(/somebody who has not shown that the name is theirs/g)).toHaveLength(1);
    expect(out).not.toContain('\u001b');
  });

  it('knows the states of a device without asking', async () => {
    const { code, err } = await workshop.run('device', 'list', '--state', 'wrong', ...caller);
    expect(code).toBe(2);
    expect(err).toContain('suspended');
    expect(service.calls).toEqual([]);
  });

  it('prints the history of a device with what each entry says', async () => {
    const at = '2026-11-24T16:00:00.120Z';
    const data = { device: 'd1', serial: '0a1b', serials: ['0a1b', '0c'], notAfter: 0 };
    service.answers.getDeviceHistory = () => ({
      items: [
        {
          seq: 7,
          at,
          actor: 'operator:alice',
          address: '2001:db8::7',
          kind: 'device-revoked',
          data,
        },
      ],
      certificates: [],
    });
    const { code, out } = await workshop.run('device', 'history', 'd1', ...caller);
    expect(code).toBe(0);
    expect(out.split('\n')[1]).toBe(
      '2026-11-24 16:00:00  device-revoked  operator:alice  2001:db8::7      7  serial=0a1b serials=0a1b,0c notAfter=1970-01-01T00:00:00.000Z',
    );
  });

  it('prints each effect of a revocation with its time', async () => {
    service.answers.revokeDevice = ({ body }) => {
      expect(body).toEqual({ reason: 'keyCompromise', wait: true });
      return { device: device('d1', { state: 'revoked' }), evidence };
    };
    const { code, out } = await workshop.run(
      ...['device', 'revoke', 'd1', ...caller, '--reason', 'keyCompromise', '--wait'],
    );
    expect(code).toBe(0);
    expect(out).toBe(`d1 is revoked.

EFFECT                             SINCE (UTC)
ledger entry 7 durable             2026-11-24 16:00:00.120
bundled: session cut, rights gone  2026-11-24 16:00:00.180
bundled: reconnect refused         2026-11-24 16:00:00.180
OCSP says revoked                  2026-11-24 16:00:00.120
CRL 3 of issuing-1                 2026-11-24 16:00:00.240
`);
  });
});

describe('keyline token and keyline batch', () => {
  it('prints the secret of a new token alone on stdout', async () => {
    service.answers.createToken = ({ body }) => {
      expect(body).toEqual({ use: 'enroll', maxUses: 3, labels: { line: '1', hall: 'b' } });
      return { token, secret: 'klt_secret' };
    };
    const labels = ['--label', 'line=1', '--label', 'hall=b'];
    const { code, out, err } = await workshop.run(
      ...['token', 'create', ...caller, '--max-uses', '3', ...labels],
    );
    expect({ code, out }).toEqual({ code: 0, out: 'klt_secret\n' });
    expect(err).toContain(token.id);
    expect(err).toContain('Shown this once:');
    const kept = await workshop.run(
      'token',
      'create',
      ...caller,
      ...['--max-uses', '3'],
      ...labels,
      ...['--out', 'kept'],
    );
    expect(kept.err).toContain('The secret is in kept.');
    expect(kept.err).not.toContain('Shown this once');
  });

  it('makes no token for a file that is in the way, and leaves none behind whose secret could not be kept', async () => {
    service.answers.createToken = () => ({ token, secret: 'klt_secret' });
    service.answers.revokeToken = () => token;
    workshop.write('there.txt', 'kept');
    const create = (file: string): ReturnType<Workshop['run']> =>
      workshop.run('token', 'create', '--out', file, ...caller);
    expect(await create('there.txt')).toMatchObject({ code: 6 });
    expect(workshop.read('there.txt')).toBe('kept');
    expect(service.calls).toEqual([]);
    expect((await create('no/folder.txt')).err).toContain('its folder is not there');
    expect(service.calls).toEqual([]);
    // The folder goes while the service answers.
    service.answers.createToken = () => {
      rmSync(workshop.path('going'), { recursive: true });
      return { token, secret: 'klt_secret' };
    };
    const createAsItGoes = (): ReturnType<Workshop['run']> => {
      mkdirSync(workshop.path('going'));
      return create('going/token.txt');
    };
    const { code, err } = await createAsItGoes();
    expect(code).toBe(6);
    expect(err).toContain('its folder is not there');
    expect(err).toContain('revoked again');
    expect(service.calls.map(({ name, call }) => [name, call.params])).toEqual([
      ['createToken', {}],
      ['revokeToken', { id: token.id }],
    ]);
    delete service.answers.revokeToken;
    expect((await createAsItGoes()).err).toContain(`keyline token revoke ${token.id}`);
  });

  it('calls with the API token of the environment', async () => {
    service.answers.listTokens = ({ request }) => {
      expect(request.headers.authorization).toBe('Bearer from-env');
      return { items: [token], nextCursor: null };
    };
    const { code, out } = await workshop.runWith(
      { env: { KEYLINE_TOKEN: 'from-env' } },
      ...['token', 'list', ...service.options, '--json'],
    );
    expect(code).toBe(0);
    expect(JSON.parse(out)).toEqual({ items: [token], nextCursor: null });
  });

  it('sends the API token of the environment only to a service that was named', async () => {
    const folder = { KEYLINE_ENDPOINTS: workshop.path('endpoints.json') };
    service.answers.listTokens = () => ({ items: [token], nextCursor: null });
    const env = { KEYLINE_TOKEN: 'from-env', ...folder };
    for (const args of [[], ['--endpoints', 'endpoints.json']]) {
      const { code, err } = await workshop.runWith({ env }, 'token', 'list', ...args);
      expect(code).toBe(2);
      expect(err).toContain('Give --api URL --ca FILE, or set KEYLINE_API and KEYLINE_CA');
    }
    expect(service.calls).toEqual([]);
    const named = { ...env, KEYLINE_API: service.url, KEYLINE_CA: 'test-ca.pem' };
    expect((await workshop.runWith({ env: named }, 'token', 'list')).code).toBe(0);
    expect(service.calls.map(({ call }) => call.request.headers.authorization)).toEqual([
      'Bearer from-env',
    ]);
  });

  it('refuses a token file that others may read, before anything is sent', async () => {
    const file = workshop.write('open.token', 'secret');
    chmodSync(file, 0o644);
    const { code, err } = await workshop.run(
      ...['token', 'list', ...service.options, '--token-file', 'open.token'],
    );
    expect({ code, err }).toEqual({
      code: 6,
      err: `keyline: The API token file "${file}" can be read by others (mode 644), so it is not used. Run: chmod 600 ${file} [FILE_UNREADABLE]\n`,
    });
    expect(service.calls).toEqual([]);
  });

  it('prints nothing that acts on a terminal, whoever wrote it', async () => {
    const name = 'x\u001b]0;owned\u0007\u202e\nDONE';
    service.answers.listTokens = () => ({
      items: [{ ...token, idPattern: name }],
      nextCursor: null,
    });
    const list = await workshop.run('token', 'list', ...caller);
    const json = await workshop.run('token', 'list', ...caller, '--json');
    for (const { out } of [list, json]) {
      expect(out).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
    }
    expect(list.out).not.toMatch(/^DONE/m);
    expect(JSON.parse(json.out)).toMatchObject({ items: [{ idPattern: name }] });
    service.answers.listTokens = () => {
      throw new KeylineError('REQUEST_INVALID', `not "${name}"`);
    };
    expect((await workshop.run('token', 'list', ...caller)).err).toBe(
      `${String.raw`keyline: not "x\u001b]0;owned\u0007\u202e\u000aDONE" [REQUEST_INVALID]`}\n`,
    );
  });

  it('opens a batch with what was given and nothing else', async () => {
    service.answers.createBatch = ({ body }) => {
      expect(body).toEqual({ id: 'wo-1', quota: 50, stations: ['st1', 'st2'] });
      return batch;
    };
    const { code, out } = await workshop.run(
      ...[
        'batch',
        'create',
        'wo-1',
        ...caller,
        '--quota',
        '50',
        '--station',
        'st1',
        '--station',
        'st2',
      ],
    );
    expect(code).toBe(0);
    expect(out).toContain('signed     2 of 50\n');
  });
});
