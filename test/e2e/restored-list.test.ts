// A database that was brought back from before a renewal: what the brokers know of its use stands, and somebody hears of it.
import { cpSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { administer } from '../support/dynsec-admin.ts';
import { readEnrolled, type EnrolledDevice } from '../support/fleet.ts';
import { keylineCommand } from '../support/keyline.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
const patience = { timeout: 60_000, interval: 50 };

async function renew(device: EnrolledDevice): Promise<EnrolledDevice> {
  const key = createDeviceKey();
  const self = suite.keyline.as(device);
  const answer = await self.post('/v1/renew', { csr: await key.csr(device.id) });
  self.close();
  return readEnrolled(expectStatus(answer, 201), key);
}

async function listOf(id: string): Promise<unknown> {
  const { fleet } = suite;
  const [answer] = await administer(fleet.broker, fleet.adminIdentity, [
    { command: 'getClient', username: id },
  ]);
  return (answer?.data as { client?: { serials?: unknown } } | undefined)?.client?.serials;
}

const database = (folder: string): string[] =>
  readdirSync(folder)
    .filter((name) => /^keyline\.db/.test(name))
    .map((name) => join(folder, name));

it('does not let an old key back in at the broker, nor what it renews to, and raises an alert', async () => {
  const old = await suite.fleet.enroll('pump');
  const ca = join(suite.keyline.data, 'ca');
  const backup = join(suite.folder, 'backup');
  mkdirSync(backup);
  await suite.keyline.stop();
  for (const file of database(ca)) cpSync(file, join(backup, file.slice(ca.length)));
  await suite.restart();
  const next = await renew(old);
  expect(await suite.fleet.whyRefused(next)).toBeUndefined();
  await expect.poll(() => listOf('pump'), patience).toEqual([next.serial]);
  await suite.keyline.stop();
  for (const file of database(ca)) rmSync(file);
  for (const file of database(backup)) cpSync(file, join(ca, file.slice(backup.length)));
  await expect(suite.restart()).rejects.toThrow(/is a copy/);
  const said = await runProgram(keylineCommand, [
    ...['restore', '--copy', '--data', suite.keyline.data],
  ]);
  expect(said.code, said.err).toBe(0);
  await suite.restart();
  await expect
    .poll(async () => {
      const { body } = expectStatus(await suite.fleet.admin.get('/v1/alerts'), 200);
      return body.items.map(({ summary }: { summary: string }) => summary);
    }, patience)
    .toContainEqual(expect.stringMatching(new RegExp(`${next.serial}.*not on record`)));
  expect(await listOf('pump')).toEqual([next.serial]);
  expect(await suite.fleet.whyRefused(old)).toMatch(/not authorized/i);
  expect(await suite.fleet.whyRefused(next)).toBeUndefined();
  const third = await renew(old);
  expect(await suite.fleet.whyRefused(third)).toMatch(/not authorized/i);
  expect(await listOf('pump')).toEqual([next.serial]);
  // An operator decides: enrolled anew, with another key.
  await suite.fleet.admin.post('/v1/devices/pump/decommission', {});
  const anew = await suite.fleet.enroll('pump');
  expect(await suite.fleet.whyRefused(anew)).toBeUndefined();
  expect(await suite.fleet.whyRefused(next)).toMatch(/not authorized/i);
});

it('nobody but an administrator reads, settles or changes what the broker knows of certificates', async () => {
  const thief = await suite.fleet.enroll('thief');
  const victim = await suite.fleet.enroll('victim');
  const session = await suite.fleet.connect(thief);
  const uses = [{ username: 'victim', serial: victim.serial }];
  for (const command of [
    {
      command: 'admitCertificates',
      certificates: [{ ...uses[0], serial: thief.serial, predecessor: null, anew: true }],
    },
    { command: 'settleCertificateUses', uses },
    { command: 'getCertificateReports', after: 0 },
  ]) {
    const payload = JSON.stringify({ commands: [command] });
    expect(await session.publish('$CONTROL/dynamic-security/v1', payload)).toBe('refused');
  }
  const report = JSON.stringify({
    responses: [
      {
        command: 'getCertificateReports',
        data: { start: 'x', last: 9, reports: [{ kind: 'used', ...uses[0], address: '' }] },
      },
    ],
  });
  expect(await session.publish('$CONTROL/dynamic-security/v1/response', report)).toBe('refused');
  await session.close();
  expect(await listOf('victim')).toEqual([victim.serial]);
});
