// One identity, one holder: what the broker does with certificates that our own authority has signed and that are no good any more, or
// never were, and who hears of it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { readEnrolled, type EnrolledDevice } from '../support/fleet.ts';
import { openssl } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
const wait = { timeout: 60_000 };

async function openAlerts(): Promise<readonly string[]> {
  const { body } = expectStatus(await suite.fleet.admin.get('/v1/alerts'), 200);
  return body.items.map(({ summary }: { summary: string }) => summary);
}

async function renew(device: EnrolledDevice): Promise<EnrolledDevice> {
  const key = createDeviceKey();
  const self = suite.keyline.as(device);
  const answer = await self.post('/v1/renew', { csr: await key.csr(device.id) });
  self.close();
  return readEnrolled(expectStatus(answer, 201), key);
}

it('lets a device in at once with the certificate it has just got, however often it renews', async () => {
  let device = await suite.fleet.enroll('eager');
  for (let times = 0; times < 5; times += 1) {
    device = await renew(device);
    expect(await suite.fleet.whyRefused(device)).toBeUndefined();
  }
});

it('refuses an old key after the new one was used, at the broker and the API, and raises an alert', async () => {
  const old = await suite.fleet.enroll('stolen');
  const thief = await suite.fleet.connect(old);
  const renewed = await renew(old);
  const session = await suite.fleet.connect(renewed);
  await expect.poll(() => thief.ended, wait).toBeDefined();
  expect(await suite.fleet.whyRefused(old)).toMatch(/not authorized/i);
  await expect
    .poll(openAlerts, wait)
    .toContainEqual(expect.stringMatching(/Two keys are in use for "stolen"/));
  const self = suite.keyline.as(old);
  expect((await self.get('/v1/devices/stolen')).status).toBe(401);
  self.close();
  expect(session.ended).toBeUndefined();
  await session.close();
});

it('refuses a certificate that our authority has signed and nobody has on record, and raises an alert', async () => {
  const device = await suite.fleet.enroll('forged');
  const folder = suite.keyline.data;
  const at = (name: string): string => join(suite.folder, name);
  const key = createDeviceKey();
  writeFileSync(at('forged.csr'), await key.csr('forged'));
  writeFileSync(at('issuer.crt'), device.issuer);
  writeFileSync(
    at('forged.cnf'),
    'basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=clientAuth\n',
  );
  // As somebody does who has the key of the authority.
  await openssl([
    ...['x509', '-req', '-in', at('forged.csr'), '-CA', at('issuer.crt')],
    ...['-CAkey', join(folder, 'ca', 'authorities', 'issuing-1.key')],
    ...['-passin', `file:${join(folder, 'secrets', 'ca.pass')}`],
    ...['-set_serial', '0x4242424242424242', '-days', '30', '-extfile', at('forged.cnf')],
    ...['-out', at('forged.crt')],
  ]);
  const forged = {
    id: 'forged',
    certificate: readFileSync(at('forged.crt'), 'utf8') + device.issuer,
    key: key.keyPem,
  };
  expect(await suite.fleet.whyRefused(forged)).toMatch(/not authorized/i);
  await expect
    .poll(openAlerts, wait)
    .toContainEqual(expect.stringMatching(/4242424242424242.*not on record/));
  expect(await suite.fleet.whyRefused(device)).toBeUndefined();
});
