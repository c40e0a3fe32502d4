// What the doctor says of files with secrets, alerts and their channels.
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createClient, type ApiClient } from '@keyline/client';
import { checkAddresses } from '../src/doctor/address-checks.ts';
import { checkFiles } from '../src/doctor/file-checks.ts';
import { checkAlertChannels, checkAlerts } from '../src/doctor/service-checks.ts';
import {
  startFakeService,
  type FakeService,
} from '../../../libs/client/test/support/fake-service.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
let service: FakeService;
let client: ApiClient;

beforeEach(async () => {
  workshop = openWorkshop();
  service = await startFakeService(workshop);
  const location = { api: service.url, caPem: workshop.caPem, endpoints: undefined };
  client = createClient(location, { via: 'nothing' });
});
afterEach(async () => {
  client.close();
  await service.close();
  workshop.remove();
});

describe('files with secrets', () => {
  const look = () =>
    checkFiles({
      ...{ api: '', caPem: '' },
      endpoints: {
        ...{ api: '', http: '', broker: '', ca: workshop.path('data', 'trust.pem') },
        admin: { certificate: '', key: '' },
      },
    });
  beforeEach(() => {
    for (const folder of ['data', 'data/ca', 'data/ca/authorities', 'data/secrets']) {
      mkdirSync(workshop.path(folder), { mode: 0o700 });
    }
    for (const file of ['trust.pem', 'ca/keyline.db', 'ca/authorities/a.key', 'secrets/ca.pass']) {
      writeFileSync(workshop.path('data', file), 'x', { mode: 0o600 });
    }
  });

  it('are fine when only their owner may read them, whatever becomes of the others', async () => {
    chmodSync(workshop.path('data', 'trust.pem'), 0o644);
    expect(await look()).toMatchObject([{ level: 'ok', message: expect.stringMatching(/^3 /) }]);
  });

  it.each(['ca/keyline.db', 'ca/authorities/a.key', 'secrets/ca.pass'])(
    'fail when others may read one: %s',
    async (file) => {
      const path = workshop.path('data', file);
      chmodSync(path, 0o640);
      expect(await look()).toMatchObject([
        { level: 'fail', message: `${path} can be read by others (mode 640)` },
      ]);
    },
  );

  it('are warned of when others may look into their folder', async () => {
    chmodSync(workshop.path('data'), 0o755);
    expect(await look()).toMatchObject([
      { level: 'warn', advice: expect.stringContaining('chmod 700') },
    ]);
  });

  it('of another machine are nobody’s business here', async () => {
    expect(await checkFiles({ api: '', caPem: '', endpoints: undefined })).toEqual([]);
  });
});

describe('alerts', () => {
  it('fail when a channel could not deliver now, or did not deliver last', async () => {
    const channel = { name: 'a', lag: 0, lastError: null, unreachable: null };
    service.answers.listAlertChannels = () => ({
      items: [
        channel,
        { ...channel, name: 'b', unreachable: 'The webhook "b" did not answer.' },
        { ...channel, name: 'c', lag: 4, lastError: 'It answered 500.' },
      ],
      nextCursor: null,
    });
    expect(await checkAlertChannels(client)).toMatchObject([
      { check: 'alerts to a', level: 'ok' },
      { check: 'alerts to b', level: 'fail', message: 'The webhook "b" did not answer.' },
      { level: 'fail', message: 'It answered 500. Alerts wait for it (4 entries).' },
    ]);
  });

  it('are warned of when nobody would hear of them', async () => {
    service.answers.listAlertChannels = () => ({ items: [], nextCursor: null });
    expect(await checkAlertChannels(client)).toMatchObject([{ level: 'warn' }]);
  });

  it('that are open are shown: critical ones fail', async () => {
    const alert = {
      ...{ key: 'k', summary: 'Broker "b" is behind.', count: 1, examples: [] },
      ...{ firstAt: '2026-01-01T00:00:00Z', lastAt: '2026-01-01T00:00:00Z', resolvedAt: null },
    };
    service.answers.listAlerts = () => ({
      items: [
        { ...alert, severity: 'critical' },
        { ...alert, severity: 'warning' },
        { ...alert, severity: 'info' },
      ],
      nextCursor: null,
    });
    const found = await checkAlerts(client);
    expect(found.map(({ level, message }) => [level, message])).toEqual([
      ['fail', 'Broker "b" is behind.'],
      ['warn', 'Broker "b" is behind.'],
    ]);
  });
});

describe('an address of before', () => {
  const earlier = (http: string, until: string | null, authorities: unknown[] = []): void => {
    const leftAt = '2030-01-01T00:00:00Z';
    service.answers.getAddresses = () => ({
      ...{ names: [], http: 'http://ca.example.org', broker: '' },
      earlier: [{ http, leftAt, until, authorities }],
    });
  };
  const now = Date.parse('2030-02-01T00:00:00Z');

  it('is shown with the day until which certificates name it, and warned of when it is not answered', async () => {
    const issuing = { id: 'issuing-1', notAfter: '2039-01-01T00:00:00Z' };
    earlier('http://127.0.0.1:1', '2030-04-01T00:00:00Z', [issuing]);
    expect(await checkAddresses(client, now)).toMatchObject([
      {
        level: 'warn',
        message: expect.stringMatching(
          /^http:\/\/127\.0\.0\.1:1 is not answered from here \(.*\); named by certificates until 2030-04-01 and the authority issuing-1 until 2039-01-01$/,
        ),
      },
    ]);
    const server = createServer((_request, response) => response.end('x'));
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    earlier(`http://127.0.0.1:${String(port)}`, '2030-04-01T00:00:00Z');
    expect(await checkAddresses(client, now)).toMatchObject([
      { level: 'ok', message: expect.stringContaining('is answered; named by certificates until') },
    ]);
    server.close();
  });

  it('is nobody’s worry once no certificate names it', async () => {
    for (const until of [null, '2030-01-31T00:00:00Z']) {
      earlier('http://127.0.0.1:1', until);
      expect(await checkAddresses(client, now)).toMatchObject([{ level: 'ok' }]);
    }
  });
});
