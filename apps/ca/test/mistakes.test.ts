// A mistake in one broker of targets.yaml or in one channel of alerts.yaml: the service starts, says so, and takes nothing for done.
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildIssuingCa, config, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let ca: IssuingCa;
let folder: string;
beforeAll(async () => {
  ca = await buildIssuingCa();
  folder = join(ca.folder, 'config');
  await cp(config, folder, { recursive: true });
});
afterAll(() => ca.close());

const admin = async (method: string, path: string, body?: unknown) =>
  (await ca.call(method, path, { as: ca.admin, body })).body;
const items = async (path: string): Promise<any[]> => (await admin('GET', path)).items; // eslint-disable-line @typescript-eslint/no-explicit-any -- parsed JSON

it('starts without them, raises a critical alert for each, and says what to mend', async () => {
  await writeFile(
    join(folder, 'targets.yaml'),
    `targets:
  - { name: hall, description: In hall 3., url: "mqtts://127.0.0.1:1", exclusive: false, ca: nowhere.pem }
  - { name: yard, description: In the yard., url: "mqtt://127.0.0.1:1", exclusive: false }
`,
  );
  const alerts = join(folder, 'alerts.yaml');
  await writeFile(
    alerts,
    (await readFile(alerts, 'utf8')).replace(
      'webhooks:',
      `webhooks:
    - { name: oncall, url: "http://127.0.0.1:1/", timeout: PT1S, attempts: 1, headersFile: nowhere.headers }
    - { name: pager, url: "http://127.0.0.1:1/", timeout: PT1S, attempt: 1 }`,
    ),
  );
  await ca.restart(folder);

  const targets = await items('/v1/targets');
  expect(targets.map(({ name, healthy }) => [name, healthy])).toEqual([
    ['hall', false],
    ['yard', false],
  ]);
  expect(targets[0].lastError).toMatch(/is told of nothing: The file .*nowhere\.pem .* Mend it/);
  expect(targets[1].lastError).toMatch(/targets\.yaml:3:\d+: "targets\.1\.url" can't be/);
  const channels = await items('/v1/alert-channels');
  expect(channels.map(({ name, unreachable }) => [name, unreachable === null])).toEqual([
    ['log', true],
    ['oncall', false],
    ['pager', false],
  ]);
  expect(channels[2].unreachable).toMatch(/unknown key "attempt"; did you mean "attempts"\?/);
  const open = await items('/v1/alerts');
  expect(open.map(({ key, severity }) => [key, severity])).toEqual(
    expect.arrayContaining([
      ['state:channel:oncall:unusable', 'critical'],
      ['state:channel:pager:unusable', 'critical'],
      ['state:target:hall:behind', 'critical'],
      ['state:target:yard:behind', 'critical'],
    ]),
  );
  const ready = (await ca.plain('GET', '/readyz')).body;
  expect([ready.status, ready.checks.brokers]).toEqual(['degraded', 'behind: 2 of 2']);
});

it('enrolls and revokes meanwhile, and never says that such a broker knows of it', async () => {
  const { secret } = await admin('POST', '/v1/tokens', { maxUses: 1 });
  const { pem: csr } = await makeCsr('pump-1');
  const enrolled = await ca.call('POST', '/v1/enroll', { body: { csr, token: secret } });
  expect([enrolled.status, enrolled.body.provisioned]).toEqual([201, false]);
  const revoked = await admin('POST', '/v1/devices/pump-1/revoke', { reason: 'keyCompromise' });
  expect(
    revoked.evidence.targets.map((one: { target: string; done: boolean; pending: string }) => [
      ...[one.target, one.done, one.pending.includes('is told of nothing')],
    ]),
  ).toEqual([
    ['hall', false, true],
    ['yard', false, true],
  ]);
});

it('closes the alerts once they are mended', async () => {
  await cp(join(config, 'targets.yaml'), join(folder, 'targets.yaml'));
  await cp(join(config, 'alerts.yaml'), join(folder, 'alerts.yaml'));
  await ca.restart(folder);
  expect(await items('/v1/targets')).toEqual([]);
  const open = (await items('/v1/alerts')).map(({ key }) => key as string);
  expect(open.filter((key) => /unusable|behind/.test(key))).toEqual([]);
});
