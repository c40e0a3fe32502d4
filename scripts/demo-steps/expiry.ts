// Step 7: a certificate near its end raises an alert, and renewing it resolves the alert.
import { setTimeout as sleep } from 'node:timers/promises';
import { expectStatus, must } from '../../test/support/answers.ts';
import { readEnrolled } from '../../test/support/fleet.ts';
import { deviceOf, type World } from './world.ts';

const id = 'valve-7';
const type = 'sensor';
const patience = 20_000;

interface AlertView {
  readonly key: string;
  readonly severity: string;
  readonly summary: string;
  readonly examples: readonly string[];
  readonly resolvedAt: string | null;
}

export async function showExpiry(world: World): Promise<void> {
  const { screen, fleet, devices } = world;
  screen.step('A certificate near its end raises an alert');
  await screen.verify(`${id} asked for a certificate of one minute`, async () => {
    const token = await fleet.createToken({ type, idPattern: id });
    devices.set(id, await fleet.enroll(id, { token, validity: '1m' }));
  });
  let fired: AlertView | undefined;
  await screen.verify('GET /v1/alerts has it', async () => {
    fired = await untilAlert(world, ({ resolvedAt }) => resolvedAt === null);
    return fired.severity;
  });
  screen.note(fired?.summary ?? '');
  await screen.verify(`${id} renewed with its own certificate`, async () => {
    const device = deviceOf(world, id);
    const self = world.keyline.as(device);
    const answer = expectStatus(await self.post('/v1/renew', {}), 201);
    self.close();
    const renewed = readEnrolled(answer, device.deviceKey);
    must(renewed.serial !== device.serial, 'It got the same certificate.');
    devices.set(id, renewed);
    return `good until ${renewed.notAfter.slice(0, 10)}`;
  });
  await screen.verify('the alert is resolved', async () => {
    await untilAlert(world, ({ resolvedAt }) => resolvedAt !== null);
    const { body } = expectStatus(await world.fleet.admin.get('/v1/alerts'), 200);
    must(
      body.items.every((alert: AlertView) => !isOurs(alert)),
      'It is still open.',
    );
  });
}

function isOurs({ key }: AlertView): boolean {
  return key.includes(`device:${type}`);
}

async function untilAlert(world: World, holds: (alert: AlertView) => boolean): Promise<AlertView> {
  const deadline = Date.now() + patience;
  for (;;) {
    const { body } = expectStatus(await world.fleet.admin.get('/v1/alerts?all=true'), 200);
    const found = body.items.find((alert: AlertView) => isOurs(alert) && holds(alert));
    if (found !== undefined) return found;
    must(Date.now() < deadline, `Not within ${patience / 1000} s: ${JSON.stringify(body.items)}`);
    await sleep(100);
  }
}
