// kill -9 of the brokers, of the issuing CA and of several at once, during 1,000 changes of rights on two brokers: afterwards each has
// what the fleet says, and devices get what they should. A failure names its seed; KEYLINE_CRASH_SEED repeats the choices.
import { randomInt } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { administer } from '../support/dynsec-admin.ts';
import { choosePort, ExternalMosquitto, targetsYaml } from '../support/external-mosquitto.ts';
import { readEnrolled, type EnrolledDevice } from '../support/fleet.ts';
import { projectFolder } from '../support/keyline.ts';
import { MqttDevice } from '../support/mqtt-device.ts';
import { has } from '../support/needs.ts';
import { createRandom } from '../support/random.ts';
import type { Answer } from '../support/rest-client.ts';
import { useKeyline } from '../support/use-keyline.ts';

const changes = 1000;
const workers = 8;
/** Who dies together. `plant` is a Mosquitto of the team's own, which the test starts again. */
const kills = [
  ['plant'],
  ['ca'],
  ['broker'],
  ['ca', 'broker'],
  ['plant'],
  ['ca', 'plant'],
  ['broker', 'plant'],
] as const;
/** Against a hang; on a busy machine the kills alone take a minute. */
const timeLimit = 180_000;
const seed = Number(process.env['KEYLINE_CRASH_SEED'] ?? randomInt(1, 2 ** 31));

type State = 'active' | 'suspended' | 'revoked';
type Step = 'enroll' | 'suspend' | 'resume' | 'revoke' | 'renew';

/** How often each step is chosen, and what a device must be for it. */
const steps = [
  ['enroll', 35, undefined, 'active'],
  ['suspend', 27, 'active', 'suspended'],
  ['resume', 13, 'suspended', 'active'],
  ['revoke', 10, 'active', 'revoked'],
  ['renew', 15, 'active', 'active'],
] as const satisfies readonly (readonly [Step, number, State | undefined, State])[];

interface Kept {
  readonly device: EnrolledDevice;
  state: State;
  isBusy: boolean;
}

describe.skipIf(!has('mosquitto'))('kill -9 of brokers and CA', () => {
  let port = 0;
  let plant: ExternalMosquitto;
  const suite = useKeyline({
    async config(folder) {
      const config = join(folder, 'config');
      if (port === 0) port = await choosePort();
      cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
      writeFileSync(join(config, 'targets.yaml'), targetsYaml('plant', { port }));
      // Nobody waits for the brokers: more is pending when the next kill comes.
      const file = join(config, 'service.yaml');
      const text = readFileSync(file, 'utf8');
      const impatient = text.replace('provisionWait: 2s', 'provisionWait: 0s');
      expect(impatient).not.toBe(text);
      writeFileSync(file, impatient);
      return config;
    },
  });
  const random = createRandom(seed);
  const fleet = new Map<string, Kept>();
  let done = 0;
  let retries = 0;

  beforeAll(async () => {
    const place = { folder: join(suite.folder, 'plant'), port };
    plant = await ExternalMosquitto.create(place, suite.fleet, join(suite.folder, 'config'));
    await plant.start('none');
  });
  afterAll(() => plant.stop('SIGKILL'));
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(plant.log.slice(-6000));
  });

  /** Until it is answered, as a device or an operator's script would. */
  async function insist(request: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      try {
        return expectStatus(await request(), 200, 201);
      } catch (error) {
        // A connection that breaks has a code; an answer that is a refusal has none, and must not come.
        if (!(error instanceof Error) || !('code' in error)) throw error;
        retries += 1;
        await sleep(30 + random() * 50);
      }
    }
  }

  async function enroll(id: string, token: string): Promise<void> {
    const key = createDeviceKey();
    const request = { id, csr: await key.csr(id), token };
    const answer = await insist(() => suite.fleet.anyone.post('/v1/enroll', request));
    const device = readEnrolled(answer, key);
    fleet.set(id, { device, state: 'active', isBusy: false });
  }

  async function perform(step: Step, kept: Kept): Promise<void> {
    const { device } = kept;
    if (step === 'renew') {
      const self = suite.keyline.as(device);
      await insist(() => suite.fleet.admin.post(`/v1/devices/${device.id}/allow-renewal`, {}));
      await insist(() => self.post('/v1/renew', {}));
      self.close();
    } else {
      await insist(() => suite.fleet.admin.post(`/v1/devices/${device.id}/${step}`, {}));
    }
  }

  function choose(): readonly [Step, Kept | undefined, State] {
    for (;;) {
      let point = random() * steps.reduce((sum, [, weight]) => sum + weight, 0);
      const [step, , from, to] = steps.find(([, weight]) => (point -= weight) < 0) ?? steps[0];
      if (from === undefined) return [step, undefined, to];
      const fit = [...fleet.values()].filter(({ state, isBusy }) => state === from && !isBusy);
      const kept = fit[Math.floor(random() * fit.length)];
      if (kept !== undefined) return [step, kept, to];
    }
  }

  async function work(token: string): Promise<void> {
    for (;;) {
      const number = done;
      if (number >= changes) return;
      done += 1;
      const [step, kept, to] = choose();
      if (kept === undefined) {
        await enroll(`right-${String(number).padStart(4, '0')}`, token);
        continue;
      }
      kept.isBusy = true;
      await perform(step, kept);
      kept.state = to;
      kept.isBusy = false;
    }
  }

  /** A process that the starter runs, when it serves again after it was killed last. */
  const killed: Record<'ca' | 'broker', number> = { ca: 0, broker: 0 };
  async function pidOf(which: 'ca' | 'broker'): Promise<number> {
    for (;;) {
      const pid = suite.keyline.endpoints.pids[which];
      if (pid !== killed[which]) return pid;
      await sleep(20);
    }
  }

  async function killAlong(): Promise<void> {
    for (const [n, victims] of kills.entries()) {
      const moment = ((n + random()) / kills.length) * (changes - 10);
      while (done < moment) await sleep(2);
      const pids: number[] = [];
      for (const victim of victims) {
        if (victim === 'plant') continue;
        const pid = await pidOf(victim);
        killed[victim] = pid;
        pids.push(pid);
      }
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      if ((victims as readonly string[]).includes('plant')) {
        await plant.stop('SIGKILL');
        await sleep(random() * 500);
        await plant.start('none');
      }
    }
  }

  it(
    `leaves on each broker what the fleet says (seed ${seed})`,
    { timeout: timeLimit },
    async () => {
      const tokenAnswer = await suite.fleet.admin.post('/v1/tokens', { maxUses: 10_000 });
      const { secret } = expectStatus(tokenAnswer, 201).body;
      await Promise.all([
        killAlong(),
        ...Array.from({ length: workers }, () => work(secret as string)),
      ]);
      expect(retries, 'the kills must have been felt').toBeGreaterThan(0);
      const states = [...fleet.values()].map(({ state }) => state);
      for (const state of ['active', 'suspended', 'revoked'] as const) {
        expect(states.filter((each) => each === state).length, state).toBeGreaterThan(20);
      }

      const views = async () => {
        const { body } = await insist(() => suite.fleet.admin.get('/v1/targets'));
        return (body.items as Record<string, unknown>[]).map(
          ({ name, healthy, lag, compared }) => ({ name, healthy, lag, ended: compared !== null }),
        );
      };
      await expect.poll(views, { timeout: 60_000, interval: 100 }).toEqual([
        { name: 'broker', healthy: true, lag: 0, ended: true },
        { name: 'plant', healthy: true, lag: 0, ended: true },
      ]);
      await check('broker');
      await check('plant');
    },
  );

  async function check(name: 'broker' | 'plant'): Promise<void> {
    const isOurs = name === 'broker';
    const broker = isOurs ? suite.fleet.broker : plant.address;
    const denied = 'disabled keyline-denied';
    const form = { active: 'enabled device', suspended: isOurs ? 'disabled' : denied };
    const wanted: Record<string, string> = {};
    for (const [id, { state }] of fleet) {
      if (state !== 'revoked') wanted[id] = form[state];
      else if (!isOurs) wanted[id] = denied;
    }
    const listed = async (): Promise<Record<string, string>> => {
      const [answer] = await administer(broker, suite.fleet.adminIdentity, [
        { command: 'listClients', verbose: true, count: -1 },
      ]);
      const { clients } = answer?.data as {
        clients: { username: string; disabled?: boolean; roles?: { rolename: string }[] }[];
      };
      const actual = Object.fromEntries(
        clients
          .filter(({ username }) => !username.includes('@'))
          .map(({ username, disabled, roles }) => [
            username,
            `${disabled === true ? 'disabled' : 'enabled'} ${(roles ?? []).map(({ rolename }) => rolename).join(' ')}`.trim(),
          ]),
      );
      for (const [id, { state }] of fleet) {
        // Our broker refuses whom it does not know: a suspended device need not be there.
        if (isOurs && state === 'suspended' && actual[id] === undefined) actual[id] = 'disabled';
      }
      return actual;
    };
    // A broker that was killed last may be in the middle of the comparison that fills it again.
    await expect.poll(listed, { timeout: 60_000, interval: 200, message: name }).toEqual(wanted);

    for (const state of ['active', 'suspended', 'revoked'] as const) {
      const some = [...fleet.values()].filter((kept) => kept.state === state).slice(-8);
      for (const { device } of some) {
        // This Mosquitto has no CRL: rights alone keep them out.
        const session = await MqttDevice.connect(broker, device).catch(() => undefined);
        const verdict = await session?.publish(`devices/${device.id}/state`, 'x');
        await session?.close();
        const may = state === 'active' ? 'accepted' : isOurs ? undefined : 'refused';
        expect(verdict, `${device.id}, ${state}, on ${name}`).toBe(may);
      }
    }
  }
});
