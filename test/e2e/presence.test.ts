// Who is there: every identity online or when it was last seen, from where and by what client, and what it was refused with the cure;
// kept over restarts of the broker and of the service (docs/decisions/0022-who-is-there.md).
import { expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { keylineCommand } from '../support/keyline.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const patience = { timeout: 60_000, interval: 100 };
const suite = useKeyline();

interface Presence {
  readonly status: string;
  readonly lastSeen: string | null;
  readonly since: string | null;
}

async function presenceOf(id: string): Promise<Presence> {
  return expectStatus(await suite.fleet.admin.get(`/v1/devices/${id}`), 200).body.presence;
}
const statusOf = async (id: string): Promise<string> => (await presenceOf(id)).status;

async function idsOf(query: string): Promise<string[]> {
  const { body } = expectStatus(await suite.fleet.admin.get(`/v1/devices?${query}`), 200);
  return (body.items as { id: string }[]).map(({ id }) => id);
}

async function keyline(...args: string[]): Promise<string> {
  const { code, out, err } = await runProgram(keylineCommand, args, {
    cwd: suite.folder,
    env: { ...process.env, KEYLINE_ENDPOINTS: suite.keyline.endpointsFile },
  });
  expect(code, err).toBe(0);
  return out;
}

it('is told of a device that connects and goes, with its address and its client', async () => {
  const pump = await suite.fleet.enroll('pump-1');
  await expect.poll(() => statusOf('pump-1'), patience).toBe('offline');
  expect(await presenceOf('pump-1')).toMatchObject({ lastSeen: null, since: null, broker: null });

  const session = await suite.fleet.connect(pump, { clientId: 'pump-1:main', protocolVersion: 4 });
  await expect.poll(() => statusOf('pump-1'), patience).toBe('online');
  expect(await presenceOf('pump-1')).toMatchObject({
    ...{ broker: 'broker', address: '127.0.0.1', clientId: 'pump-1:main', protocol: '3.1.1' },
    ...{ since: expect.any(String), lastSeen: expect.any(String) },
  });
  expect(await keyline('device', 'list', '--online')).toMatch(
    /^pump-1 +active +yes +now +127\.0\.0\.1 +MQTT 3\.1\.1 as pump-1:main /m,
  );
  await session.close();
  await expect.poll(() => statusOf('pump-1'), patience).toBe('offline');
  expect(await keyline('device', 'show', 'pump-1')).toMatch(
    /^last seen +.* ago\) from 127\.0\.0\.1 on broker \(MQTT 3\.1\.1 as pump-1:main\)$/m,
  );
});

it('finds devices by it: those online, and those that nobody has seen since a moment', async () => {
  await suite.fleet.enroll('quiet');
  const session = await suite.fleet.connect(await suite.fleet.enroll('lively'));
  await expect.poll(() => idsOf('online=true'), patience).toEqual(['lively']);
  const hourAgo = new Date(Date.now() - 3_600_000).toISOString();
  expect(await idsOf(`notSeenSince=${hourAgo}`)).toEqual(['quiet']);
  const soon = new Date(Date.now() + 3_600_000).toISOString();
  expect(await idsOf(`notSeenSince=${soon}`)).toEqual(['pump-1', 'quiet']);
  expect(await keyline('device', 'list', '--not-seen-since', '7d')).toMatch(
    /^quiet +active +no +never /m,
  );
  await session.close();
});

it('shows the last refusals of a device with the cure, and who has not shown that the name is theirs apart', async () => {
  const [pump, other] = [await suite.fleet.enroll('pump-2'), await suite.fleet.enroll('pump-3')];
  expect(await suite.fleet.whyRefused(pump, { clientId: 'pump-3' })).toMatch(/pump-3/);
  const session = await suite.fleet.connect(pump);
  for (const _time of [1, 2, 3]) await session.publish('devices/pump-3/telemetry', '1');
  await session.subscribe('devices/pump-3/#').catch(() => undefined);
  await session.close();
  const refusals = async () =>
    expectStatus(await suite.fleet.admin.get('/v1/devices/pump-2/refusals'), 200).body.items;
  await expect.poll(refusals, patience).toMatchObject([
    { event: 'subscription denied', topic: 'devices/pump-3/#', proven: true, count: 1 },
    { event: 'message denied', topic: 'devices/pump-3/telemetry', proven: true, count: 3 },
    { event: 'connection refused', reason: 'client-id', clientId: 'pump-3', proven: true },
  ]);
  const shown = await keyline('device', 'show', 'pump-2');
  expect(shown).toMatch(/message denied, 3 times, on broker from 127\.0\.0\.1/);
  expect(shown).toMatch(
    /^ {2}→ Publish to a topic of its role "device", or change that role in roles\/device\.yaml \(publish: line \d+, subscribe: line \d+\)/m,
  );
  // The name that was asked for is another's, and that one was refused nothing.
  expect(
    expectStatus(await suite.fleet.admin.get('/v1/devices/pump-3/refusals'), 200).body.items,
  ).toEqual([]);
  expect(other.id).toBe('pump-3');
});

it('is known still after the broker, and the service, were killed', async () => {
  const stays = await suite.fleet.enroll('stays');
  const goes = await suite.fleet.enroll('goes');
  const before = await suite.fleet.connect(goes);
  await expect.poll(() => statusOf('goes'), patience).toBe('online');
  const pid = suite.keyline.endpoints.pids.broker;
  process.kill(pid, 'SIGKILL');
  await expect.poll(() => before.ended, patience).toBeDefined();
  // Another start of the broker: whoever was there is not, until it comes back.
  await expect.poll(() => statusOf('goes'), patience).toBe('offline');
  const { lastSeen } = await presenceOf('goes');
  expect(Date.now() - Date.parse(lastSeen ?? '')).toBeLessThan(60_000);

  const session = await suite.fleet.connect(stays);
  await expect.poll(() => statusOf('stays'), patience).toBe('online');
  process.kill(suite.keyline.endpoints.pids.ca, 'SIGKILL');
  await expect
    .poll(() => presenceOf('stays').catch(() => undefined), patience)
    .toMatchObject({ status: 'online', clientId: 'stays' });
  expect(await presenceOf('goes')).toMatchObject({ status: 'offline', lastSeen });
  await session.close();
  await expect.poll(() => statusOf('stays'), patience).toBe('offline');
});
