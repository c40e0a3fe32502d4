// What an administrator changes while the disk takes nothing: it is not acknowledged, and holds all the same.
import { appendFile, readdir, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { adminName, ended, TestBroker } from './support/test-broker.ts';

let broker: TestBroker;

afterEach(() => broker.stop());

it.each([
  ['revoked', (serial: string) => ({ command: 'revokeCertificates', serials: [serial] })],
  ['disabled', () => ({ command: 'disableClient', username: 'pump' })],
  ['deleted', () => ({ command: 'deleteClient', username: 'pump' })],
])('cuts the session of a device that is %s, and nobody else’s', async (_what, commandOf) => {
  broker = await TestBroker.start();
  const device = await broker.device('pump');
  const client = await broker.connect(device, { clientId: 'pump' });
  const other = await broker.connect(await broker.device('stays'), { clientId: 'stays' });
  const admin = await broker.connect(broker.admin, { clientId: `${adminName}-2` });
  const folder = join(broker.folder, 'dynsec');
  const journals = (await readdir(folder)).filter((name) => name.includes('journal'));
  expect(journals).toHaveLength(1);
  const journal = join(folder, journals[0]!);
  const { size } = await stat(journal);
  // As if somebody else wrote there: the journal takes nothing more.
  await appendFile(journal, 'x');
  const end = ended(client);
  await expect(
    admin.publishAsync(
      '$CONTROL/dynamic-security/v1',
      JSON.stringify({ commands: [commandOf(device.serialHex)] }),
      { qos: 1 },
    ),
  ).rejects.toMatchObject({ code: 0x80 });
  expect((await end).reasonCode).toBe(0x87);
  expect(other.connected).toBe(true);
  expect(admin.connected).toBe(true);
  await truncate(journal, size);
});
