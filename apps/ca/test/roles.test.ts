// Roles at the API: taken up from changed files without a restart, and explained with file and line.
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import {
  buildIssuingCa,
  changedConfig,
  makeCsr,
  type Answer,
  type IssuingCa,
} from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let folder: string;
let original: string;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  folder = await changedConfig(issuingCa, []);
  original = await readFile(join(folder, 'roles/device.yaml'), 'utf8');
  await issuingCa.restart(folder);
  const { body } = await call('POST', '/v1/tokens', { labels: { site: 'north' } });
  const csr = await makeCsr('p1');
  await issuingCa.call('POST', '/v1/enroll', { body: { csr: csr.pem, token: body.secret } });
});
afterAll(() => issuingCa.close());
beforeEach(async () => {
  await change('roles/device.yaml', () => original);
  await apply();
});

const call = (method: string, path: string, body?: object): Promise<Answer> =>
  issuingCa.call(method, path, { as: issuingCa.admin, ...(body === undefined ? {} : { body }) });
const apply = (): Promise<Answer> => call('POST', '/v1/roles/apply');

async function change(file: string, edit: (text: string) => string): Promise<void> {
  const path = join(folder, file);
  await writeFile(path, edit(await readFile(path, 'utf8')));
}

function explain(topic: string, action = 'publish', device = 'p1'): Promise<Answer> {
  return call(
    'GET',
    `/v1/rights/explain?${new URLSearchParams({ device, topic, action }).toString()}`,
  );
}

describe('POST /v1/roles/apply', () => {
  it('takes a changed role up: whoever enrolls from now on is told its topics', async () => {
    await change('roles/device.yaml', (text) =>
      text.replace('publish:\n', 'publish:\n  - sites/%{label:site}/%u\n'),
    );
    expect((await explain('sites/north/p1')).body).toMatchObject({
      allowed: false,
      unapplied: true,
    });
    expect(await apply()).toMatchObject({
      status: 200,
      body: { changed: ['role:device'], waiting: [] },
    });
    expect((await explain('sites/north/p1')).body).toMatchObject({
      allowed: true,
      unapplied: false,
    });
    const { body } = await call('POST', '/v1/tokens', { labels: { site: 'south' } });
    const csr = await makeCsr('p-south');
    const enrolled = await issuingCa.call('POST', '/v1/enroll', {
      body: { csr: csr.pem, token: body.secret },
    });
    expect(enrolled.body.broker.topics.publish).toContain('sites/south/p-south');
    expect((await apply()).body.changed).toEqual([]);
  });

  it('takes new roles and types up, and a service can be made of them at once', async () => {
    await writeFile(
      join(folder, 'roles/reader.yaml'),
      'name: reader\ndescription: Reads.\nkind: service\npublish: []\nsubscribe: [a/#]\n',
    );
    expect((await apply()).body.changed).toEqual(['role:reader', 'type:service:reader']);
    const csr = await makeCsr('app');
    const made = await call('POST', '/v1/services', { name: 'app', role: 'reader', csr: csr.pem });
    expect(made.status).toBe(201);
    await rm(join(folder, 'roles/reader.yaml'));
    expect((await apply()).body.changed).toEqual(['role:reader', 'type:service:reader']);
    expect((await explain('a/b', 'subscribe', 'app')).body).toMatchObject({
      ...{ allowed: false, role: null },
      reason: expect.stringContaining('ca-config has no more') as string,
    });
  });

  it.each([
    ['a topic that no role may have', 'publish:\n', 'publish:\n  - $CONTROL/#\n'],
    ['what is no YAML', 'publish:', 'publish: ['],
    ['an unknown key', 'publish:', 'publishes:'],
  ])('keeps the roles as they were for %s, and names file and line', async (_what, from, to) => {
    await change('roles/device.yaml', (text) => text.replace(from, to));
    const answer = await apply();
    expect(answer).toMatchObject({ status: 409, body: { code: 'CONFIG_INVALID' } });
    expect(answer.body.detail).toMatch(/roles\/device\.yaml:\d+:\d+: .*roles stay as they were/);
    expect((await explain('devices/p1/telemetry')).body).toMatchObject({
      allowed: true,
      unapplied: true,
    });
  });

  it('is on record with who did it, and is for administrators alone', async () => {
    await change('roles/device.yaml', (text) =>
      text.replace('devices/%u/state', 'devices/%u/status'),
    );
    expect((await issuingCa.call('POST', '/v1/roles/apply', {})).status).toBe(401);
    await apply();
    expect((await explain('devices/p1/status')).body.allowed).toBe(true);
  });

  it('says what else differs and waits for a restart', async () => {
    await change('service.yaml', (text) => text.replace('bodyBytes: 65536', 'bodyBytes: 65537'));
    expect((await apply()).body).toMatchObject({ changed: [], waiting: ['service.yaml'] });
    await change('service.yaml', (text) => text.replace('bodyBytes: 65537', 'bodyBytes: 65536'));
  });
});

describe('GET /v1/rights/explain', () => {
  it('names the file and line that allow, and what to add where none does', async () => {
    const line = original.split('\n').findIndex((one) => one.includes('devices/%u/telemetry')) + 1;
    const file = join(folder, 'roles/device.yaml');
    expect((await explain('devices/p1/telemetry')).body).toMatchObject({
      allowed: true,
      role: { name: 'device', file },
      filter: { text: 'devices/%u/telemetry', line },
    });
    expect((await explain('devices/p1/alarms')).body).toMatchObject({
      allowed: false,
      add: { text: 'devices/%u/alarms', list: 'publish', line: line - 1 },
    });
    expect((await explain('devices/p2/telemetry')).body.reason).toContain('another');
  });

  it('says of whoever is not let in that it is not, and of whom there is not that there is none', async () => {
    await call('POST', '/v1/devices/p1/suspend', {});
    expect((await explain('devices/p1/telemetry')).body).toMatchObject({
      allowed: false,
      reason: 'It is suspended, and no broker lets it in.',
    });
    await call('POST', '/v1/devices/p1/resume', {});
    expect(await explain('a', 'publish', 'nobody')).toMatchObject({
      status: 404,
      body: { detail: 'There is no device or service "nobody".' },
    });
    expect((await explain('')).status).toBe(400);
    expect((await explain('a/+')).body).toMatchObject({ allowed: false, add: null });
    expect((await explain('a', 'receive')).status).toBe(400);
  });
});

describe('GET /v1/roles', () => {
  it('lists what runs, with whose it may be', async () => {
    const { body } = await call('GET', '/v1/roles');
    expect(body.items).toContainEqual(
      expect.objectContaining({ name: 'telemetry-reader', kind: 'service' }),
    );
    expect(body.items).toContainEqual(
      expect.objectContaining({
        name: 'device',
        kind: 'device',
        file: join(folder, 'roles/device.yaml'),
      }),
    );
  });
});
