// The first use of a renewed certificate, at one of several brokers or over the API, ends the one before it at all of them
// (docs/decisions/0012-a-used-successor.md).
import { cpSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { administer } from '../support/dynsec-admin.ts';
import { ExternalBroker } from '../support/external-broker.ts';
import { choosePort, targetsYaml } from '../support/external-mosquitto.ts';
import { readEnrolled, type EnrolledDevice } from '../support/fleet.ts';
import { projectFolder } from '../support/keyline.ts';
import { MqttDevice, type BrokerAddress } from '../support/mqtt-device.ts';
import { useKeyline } from '../support/use-keyline.ts';

const patience = { timeout: 60_000, interval: 50 };
let port = 0;
let hall: ExternalBroker;
const suite = useKeyline({
  async config(folder) {
    const config = join(folder, 'config');
    if (port === 0) port = await choosePort();
    cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
    writeFileSync(join(config, 'targets.yaml'), targetsYaml('hall', { port }));
    return config;
  },
});

beforeAll(async () => {
  hall = await ExternalBroker.create({ folder: join(suite.folder, 'hall-4'), port }, suite.fleet);
  await hall.start();
});
afterAll(() => hall.stop('SIGKILL'));
afterEach(({ task }) => {
  if (task.result?.state === 'fail') console.error(hall.log.slice(-20_000));
});

const own = (): BrokerAddress => suite.fleet.broker;

async function renew(device: EnrolledDevice): Promise<EnrolledDevice> {
  const key = createDeviceKey();
  const self = suite.keyline.as(device);
  const answer = await self.post('/v1/renew', { csr: await key.csr(device.id) });
  self.close();
  return readEnrolled(expectStatus(answer, 201), key);
}

async function listOn(broker: BrokerAddress, id: string): Promise<unknown> {
  const [answer] = await administer(broker, suite.fleet.adminIdentity, [
    { command: 'getClient', username: id },
  ]);
  return (answer?.data as { client?: { serials?: unknown } } | undefined)?.client?.serials;
}

async function change(id: string, what: 'suspend' | 'resume'): Promise<void> {
  expectStatus(await suite.fleet.admin.post(`/v1/devices/${id}/${what}`, {}), 200);
}

/** A device that has renewed and not used the new certificate, with both on the lists of both brokers. */
async function renewed(id: string): Promise<{ old: EnrolledDevice; next: EnrolledDevice }> {
  const old = await suite.fleet.enroll(id);
  const next = await renew(old);
  for (const broker of [own(), hall.address]) {
    await expect.poll(() => listOn(broker, id), patience).toEqual([old.serial, next.serial]);
  }
  return { old, next };
}

const connect = (broker: BrokerAddress, device: EnrolledDevice, part: string) =>
  MqttDevice.connect(broker, device, { clientId: `${device.id}:${part}` });

async function expectOut(
  broker: BrokerAddress,
  { old, next }: Awaited<ReturnType<typeof renewed>>,
) {
  await expect.poll(() => listOn(broker, old.id), patience).toEqual([next.serial]);
  expect(await MqttDevice.whyRefused(broker, old)).toMatch(/not authorized/i);
}

it('at one broker cuts the session of the old one at the other, which is refused from then on, with an alert', async () => {
  const both = await renewed('twice');
  const before = await connect(hall.address, both.old, 'a');
  const session = await connect(own(), both.next, 'b');
  await expect.poll(() => before.ended, patience).toBe('DISCONNECT 135');
  expect(before.reasonString).toMatch(/was superseded by another, which is in use/);
  await expectOut(hall.address, both);
  expect(session.ended).toBeUndefined();
  await session.close();
  expect(await MqttDevice.whyRefused(hall.address, both.next)).toBeUndefined();
  await expect
    .poll(async () => {
      const { body } = expectStatus(await suite.fleet.admin.get('/v1/alerts'), 200);
      return body.items.map(({ summary }: { summary: string }) => summary);
    }, patience)
    .toContainEqual(expect.stringMatching(/Two keys are in use for "twice"/));
});

it('over the API alone does the same at both', async () => {
  const both = await renewed('caller');
  const sessions = [
    await connect(own(), both.old, 'a'),
    await connect(hall.address, both.old, 'a'),
  ];
  const self = suite.keyline.as(both.next);
  expectStatus(await self.get('/v1/devices/caller'), 200);
  self.close();
  for (const session of sessions) {
    await expect.poll(() => session.ended, patience).toBe('DISCONNECT 135');
  }
  await expectOut(own(), both);
  await expectOut(hall.address, both);
});

it('is not lost by a broker that is killed while the issuing CA is away', async () => {
  const both = await renewed('lost');
  const { ca } = suite.keyline.endpoints.pids;
  process.kill(ca, 'SIGSTOP');
  try {
    await (await connect(hall.address, both.next, 'a')).close();
    // Answered when it is durable.
    expect(await listOn(hall.address, 'lost')).toEqual([both.next.serial]);
    await hall.stop('SIGKILL');
    await hall.start();
  } finally {
    process.kill(ca, 'SIGCONT');
  }
  await expectOut(own(), both);
  await expectOut(hall.address, both);
  const self = suite.keyline.as(both.old);
  const third = { csr: await createDeviceKey().csr('lost') };
  expect((await self.post('/v1/renew', third)).status).toBe(401);
  self.close();
});

it('is seen also where the device was suspended and resumed after it had renewed', async () => {
  const both = await renewed('held');
  await change('held', 'suspend');
  await change('held', 'resume');
  await expect
    .poll(() => listOn(hall.address, 'held'), patience)
    .toEqual([both.old.serial, both.next.serial]);
  await (await connect(hall.address, both.old, 'a')).close();
  await (await connect(hall.address, both.next, 'a')).close();
  await expectOut(own(), both);
});

it('is seen also by a broker that came back empty after the renewal', async () => {
  const both = await renewed('emptied');
  await hall.stop();
  await hall.start('empty');
  await expect
    .poll(() => listOn(hall.address, 'emptied').catch(() => undefined), patience)
    .toEqual([both.old.serial, both.next.serial]);
  await (await connect(hall.address, both.next, 'a')).close();
  await expectOut(own(), both);
});

it('while a broker was away is made good by the comparison when it comes', async () => {
  const both = await renewed('away');
  await hall.stop();
  await (await connect(own(), both.next, 'a')).close();
  await expectOut(own(), both);
  await hall.start();
  await expectOut(hall.address, both);
});
