// What a device may and may not do, role by role, as MQTT clients see it on each broker; and that rights that went are gone for a live
// subscription, a stored session and its queued messages.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '@keyline/config';
import type { IClientOptions } from 'mqtt';
import { beforeAll, describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { administer } from '../support/dynsec-admin.ts';
import type { EnrolledDevice } from '../support/fleet.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import type { MqttDevice, MqttIdentity } from '../support/mqtt-device.ts';
import { has } from '../support/needs.ts';
import { runProgram } from '../support/openssl.ts';
import { untilCrlsInForce } from '../support/crl-in-force.ts';
import { useKeyline } from '../support/use-keyline.ts';

type Engine = 'embedded' | 'mosquitto';

/** Mosquitto's acl_file holds whatever the role: in its own name a device may there what any role allows. */
type Allowed = 'both' | 'mosquitto' | 'none';

interface RoleTable {
  /** A type of ca-config/types.yaml that has the role. */
  readonly type: string;
  /** `ME` is the device, `NEXT` one whose id begins with it. */
  readonly publish: readonly (readonly [topic: string, Allowed])[];
  /** Mosquitto grants every filter, and sends only what may be received. */
  readonly subscribe: readonly (readonly [filter: string, allowed: boolean])[];
  /** Sent by a service; to be received by who has subscribed to everything above. */
  readonly receive: readonly (readonly [topic: string, Allowed])[];
}

const foreign = [
  ['devices/NEXT/telemetry', 'none'],
  ['devices/NEXT/events/alarm', 'none'],
  ['devices/NEXT/state', 'none'],
  ['devices/other/state', 'none'],
  ['devices/ME', 'none'],
  ['devices/ME/telemetry/more', 'none'],
  ['devices/ME/commands/reboot', 'none'],
  ['devices//telemetry', 'none'],
  ['devices/me/telemetry', 'none'],
  ['gateways/NEXT/things/t1/state', 'none'],
  ['gateways/all/config', 'none'],
  ['$SYS/broker/uptime', 'none'],
  ['$CONTROL/dynamic-security/v1', 'none'],
  ['$share/g/devices/ME/telemetry', 'none'],
] as const;

const ownPublish = [
  ['devices/ME/telemetry', 'both'],
  ['devices/ME/events/alarm', 'both'],
  ['devices/ME/events/a/b/c', 'both'],
  ['devices/ME/state', 'both'],
] as const;

const ownSubscribe = [
  ['devices/ME/commands/#', true],
  ['devices/ME/commands', true],
  ['devices/ME/commands/reboot', true],
  ['devices/ME/commands/+', true],
] as const;

const wideSubscribe = [
  ['#', false],
  ['+/+/commands/#', false],
  ['devices/#', false],
  ['devices/+/commands/#', false],
  ['devices/ME/#', false],
  ['devices/ME/+', false],
  ['devices/ME/state', false],
  ['devices/NEXT/commands/#', false],
  ['gateways/NEXT/things/#', false],
  ['$share/g/devices/ME/commands/#', false],
  ['$share/g/devices/NEXT/commands/#', false],
  ['$SYS/#', false],
  ['$CONTROL/#', false],
  ['$CONTROL/dynamic-security/v1/response', false],
] as const;

const commonReceive = [
  ['devices/ME/commands', 'both'],
  ['devices/ME/commands/reboot', 'both'],
  ['devices/ME/commands/a/b', 'both'],
  ['devices/NEXT/commands', 'none'],
  ['devices/NEXT/commands/reboot', 'none'],
  ['devices/ME/state', 'none'],
  ['devices/ME/telemetry', 'none'],
  ['devices/NEXT/telemetry', 'none'],
  ['gateways/NEXT/things/t1/commands/on', 'none'],
  ['plant/news', 'none'],
] as const;

const tables: Readonly<Record<string, RoleTable>> = {
  device: {
    type: 'sensor',
    publish: [...ownPublish, ...foreign, ['gateways/ME/things/t1/telemetry', 'mosquitto']],
    subscribe: [
      ...ownSubscribe,
      ...wideSubscribe,
      ['gateways/all/config', false],
      ['gateways/ME/things/+/commands/#', false],
    ],
    receive: [
      ...commonReceive,
      ['gateways/all/config', 'none'],
      ['gateways/ME/things/t1/commands/on', 'mosquitto'],
    ],
  },
  gateway: {
    type: 'gateway',
    publish: [
      ...ownPublish,
      ...foreign,
      ['gateways/ME/things/t1/telemetry', 'both'],
      ['gateways/ME/things/t1/events/a/b', 'both'],
      ['gateways/ME/things/t2/state', 'both'],
      ['gateways/ME/things/t1/t2/state', 'none'],
      ['gateways/ME/things/t1/commands/on', 'none'],
    ],
    subscribe: [
      ...ownSubscribe,
      ...wideSubscribe,
      ['gateways/all/config', true],
      ['gateways/ME/things/+/commands/#', true],
      ['gateways/ME/things/t1/commands/on', true],
      ['gateways/ME/things/#', false],
      ['gateways/+/config', false],
    ],
    receive: [
      ...commonReceive,
      ['gateways/all/config', 'both'],
      ['gateways/ME/things/t1/commands/on', 'both'],
      ['gateways/ME/things/t1/state', 'none'],
      ['gateways/all/other', 'none'],
    ],
  },
};

it('has a table for every role of devices in ca-config/roles', async () => {
  const { roles, types } = await loadConfig(join(projectFolder, 'ca-config'));
  const names = [...roles.values()]
    .filter(({ kind }) => kind !== 'service')
    .map(({ name }) => name);
  expect(Object.keys(tables).toSorted()).toEqual(names.toSorted());
  for (const [role, { type }] of Object.entries(tables)) {
    expect(types.get(type)?.role).toBe(role);
  }
});

const patience = { timeout: 60_000, interval: 100 };
/** Kept while nobody is connected. */
const durable: IClientOptions = { clean: false, properties: { sessionExpiryInterval: 3600 } };
const service = 'plant@services';

describe.each([['embedded'], ['mosquitto']] as const)('on %s', (engine: Engine) => {
  const isHere = engine === 'embedded' || has('mosquitto');
  describe.skipIf(!isHere)('a device', () => {
    const suite = useKeyline({
      ...(engine === 'mosquitto' ? { broker: engine } : {}),
      config(folder) {
        const config = join(folder, 'config');
        cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
        return config;
      },
    });
    let plant: MqttIdentity;

    beforeAll(async () => {
      const { fleet } = suite;
      plant = await fleet.issueIdentity({ profile: 'service-client', name: service });
      const everything = ['devices/#', 'gateways/#', 'plant/#'].flatMap((topic) =>
        ['publishClientSend', 'publishClientReceive', 'subscribePattern'].map((acltype) => ({
          acltype,
          topic,
          allow: true,
        })),
      );
      await administer(fleet.broker, fleet.adminIdentity, [
        { command: 'createRole', rolename: 'plant', acls: everything },
        { command: 'createClient', username: service },
        { command: 'addClientRole', username: service, rolename: 'plant' },
      ]);
    });

    const isAllowed = (allowed: Allowed): boolean => allowed === 'both' || allowed === engine;

    async function enroll(id: string, type: string): Promise<EnrolledDevice> {
      const device = await suite.fleet.enroll(id, {
        token: await suite.fleet.createToken({ type }),
      });
      expect(device.provisioned, id).toBe(true);
      return device;
    }

    /** Mosquitto 2.0 is started again for a new CRL, at any moment. */
    async function connect(
      identity: MqttIdentity,
      options: IClientOptions = {},
    ): Promise<MqttDevice> {
      for (let tries = 0; ; tries += 1) {
        try {
          return await suite.fleet.connect(identity, options);
        } catch (error) {
          const refused = /ECONNREFUSED/.test(String(error)) && tries < 50;
          // What a revoked certificate meets too, so not for long.
          const reset = /ECONNRESET/.test(String(error)) && tries < 15;
          if (!refused && !reset) throw error;
          await sleep(100);
        }
      }
    }

    /** Published by the service; answers when the broker has it. Whom a restart cuts off connects anew and says it again, as QoS 1 is meant. */
    async function send(messages: readonly (readonly [topic: string, text: string])[]) {
      let sender = await connect(plant);
      for (const [topic, text] of messages) {
        let verdict = await sender.publish(topic, text);
        while (engine === 'mosquitto' && verdict === 'refused' && sender.ended !== undefined) {
          sender = await connect(plant);
          verdict = await sender.publish(topic, text);
        }
        expect(verdict, topic).toBe('accepted');
      }
      await sender.close();
    }

    async function change(id: string, what: string, request: object = {}) {
      const answer = await suite.fleet.admin.post(`/v1/devices/${id}/${what}`, {
        wait: true,
        ...request,
      });
      const { body } = expectStatus(answer, 200);
      expect(body.evidence.targets[0].done, `${what} ${id}`).toBe(true);
      return body;
    }

    async function untilInForce(changes: Parameters<typeof untilCrlsInForce>[1]): Promise<void> {
      if (engine === 'embedded') return;
      await untilCrlsInForce(() => suite.keyline.endpoints.metrics, changes);
    }

    it('is followed to its end by keyline device revoke --wait, each effect with its time', async () => {
      const device = await enroll('followed-1', 'default');
      const session = await connect(device);
      const { code, out, err } = await runProgram(keylineCommand, [
        ...['device', 'revoke', 'followed-1', '--wait'],
        ...['--endpoints', suite.keyline.endpointsFile],
      ]);
      expect({ code, err }).toEqual({ code: 0, err: '' });
      await session.untilEnded();
      const time = String.raw`2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d`;
      for (const effect of [
        'ledger entry \\d+ durable',
        'broker: session cut, rights gone',
        // On Mosquitto with the CRL that it has read, as its figures say.
        engine === 'embedded'
          ? 'broker: reconnect refused'
          : 'broker: reconnect refused \\(CRL \\d+\\)',
        'OCSP says revoked',
        'CRL \\d+ of issuing-1( \\(delta\\))?',
      ]) {
        expect(out).toMatch(new RegExp(`^${effect} +${time}`, 'm'));
      }
      expect(await suite.fleet.whyRefused(device)).toMatch(/revoked|authorized|RESET/i);
    });

    describe.each(Object.entries(tables))('of the role %s', (role, table) => {
      const [me, next] = [`${role}1`, `${role}12`];
      const named = (topic: string): string => topic.replace('ME', me).replace('NEXT', next);
      let device: EnrolledDevice;
      let neighbour: EnrolledDevice;

      beforeAll(async () => {
        device = await enroll(me, table.type);
        neighbour = await enroll(next, table.type);
      });

      it('is told the topics it may use', () => {
        const may = (topics: readonly string[], wanted: string): boolean =>
          topics.some((topic) => wanted === topic || wanted.startsWith(topic.replace('#', '')));
        for (const [topic, allowed] of table.publish) {
          if (allowed === 'both' && !topic.includes('/things/')) {
            expect(may(device.topics.publish, named(topic)), topic).toBe(true);
          }
        }
        expect(device.topics.subscribe).toContain(named('devices/ME/commands/#'));
      });

      it('publishes what its role allows, retained or not, and nothing else', async () => {
        const session = await connect(device);
        const witness = await connect(plant);
        for (const filter of ['devices/#', 'gateways/#']) await witness.subscribe(filter);
        const [got, wanted]: Record<string, string>[] = [{}, {}];
        for (const [topic, allowed] of table.publish) {
          const name = named(topic);
          wanted![topic] = isAllowed(allowed) ? 'accepted' : 'refused';
          got![topic] = await session.publish(name, 'plain');
          const retained = await session.publish(name, 'kept', { retain: true });
          if (retained !== got![topic]) got![topic] += `, retained ${retained}`;
          expect(session.ended, `after ${topic}`).toBeUndefined();
        }
        expect(got).toEqual(wanted);
        // What was refused did not get through either, and what is kept is only what was accepted.
        const accepted = table.publish.flatMap(([topic, allowed]) =>
          isAllowed(allowed) ? [named(topic)] : [],
        );
        const heard = (): string[] =>
          [...new Set(witness.messages.map(({ topic }) => topic))].toSorted();
        await expect.poll(heard, patience).toEqual(accepted.toSorted());
        const late = await connect(plant);
        for (const filter of ['devices/#', 'gateways/#']) await late.subscribe(filter);
        const kept = (): string[] =>
          late.messages.filter(({ retained }) => retained).map(({ topic }) => topic);
        await expect.poll(() => kept().toSorted(), patience).toEqual(accepted.toSorted());
        // Away with it, so that the next role finds nothing.
        for (const topic of accepted) await late.publish(topic, '', { retain: true });
        await Promise.all([session, witness, late].map((each) => each.close()));
      });

      it('subscribes to what its role allows, equal and narrower, and hears nothing else', async () => {
        const allowed = table.receive.flatMap(([topic, who]) =>
          isAllowed(who) ? [named(topic)] : [],
        );
        const session = await connect(device);
        const got: Record<string, string> = {};
        const wanted: Record<string, string> = {};
        for (const [filter, may] of table.subscribe) {
          got[filter] = await session.subscribe(named(filter));
          wanted[filter] = may || engine === 'mosquitto' ? 'accepted' : 'refused';
          expect(session.ended, `after ${filter}`).toBeUndefined();
        }
        expect(got).toEqual(wanted);
        await send([
          ...table.receive.map(([topic]) => [named(topic), 'x'] as const),
          [named('devices/ME/commands/last'), 'x'],
        ]);
        await session.until(
          () => session.messages.some(({ topic }) => topic === named('devices/ME/commands/last')),
          'the last message',
        );
        const heard = [...new Set(session.messages.map(({ topic }) => topic))].filter(
          (topic) => !topic.endsWith('/last'),
        );
        expect(heard.toSorted()).toEqual(allowed.toSorted());
        await session.close();
      });

      it('receives retained messages of its own topics only', async () => {
        const sender = await connect(plant);
        const topics = table.receive.map(([topic]) => named(topic));
        for (const topic of topics) await sender.publish(topic, 'kept', { retain: true });
        const session = await connect(device);
        for (const [filter] of table.subscribe) await session.subscribe(named(filter));
        const allowed = table.receive.flatMap(([topic, who]) =>
          isAllowed(who) ? [named(topic)] : [],
        );
        const heard = (): string[] =>
          [...new Set(session.messages.map(({ topic }) => topic))].toSorted();
        await expect.poll(heard, patience).toEqual(allowed.toSorted());
        for (const topic of topics) await sender.publish(topic, '', { retain: true });
        await Promise.all([session, sender].map((each) => each.close()));
      });

      it('leaves a will on its own topic, and none on another', async () => {
        const witness = await connect(plant);
        await witness.subscribe('devices/#');
        const will = (topic: string): IClientOptions => ({
          will: { topic, payload: Buffer.from('will'), qos: 1, retain: false },
        });
        for (const topic of [named('devices/NEXT/state'), named('devices/ME/commands/reboot')]) {
          const refused = await connect(device, will(topic)).catch(() => undefined);
          await refused?.drop();
          if (engine === 'embedded') expect(refused, topic).toBeUndefined();
        }
        const own = await connect(device, will(named('devices/ME/state')));
        await own.drop();
        expect(await witness.take(named('devices/ME/state'))).toBe('will');
        expect(witness.messages).toEqual([]);
        await witness.close();
      });

      it('can not administer the broker, nor read what its admins are told', async () => {
        const { fleet } = suite;
        const session = await connect(device);
        await session.subscribe('$CONTROL/dynamic-security/v1/response');
        await session.subscribe('$SYS/#');
        const command = { command: 'addClientRole', username: me, rolename: 'plant' };
        const payload = JSON.stringify({ commands: [command] });
        expect(await session.publish('$CONTROL/dynamic-security/v1', payload)).toBe('refused');
        const [answer] = await administer(fleet.broker, fleet.adminIdentity, [
          { command: 'getClient', username: me },
        ]);
        const { client } = answer?.data as { client: { roles: { rolename: string }[] } };
        expect(client.roles.map(({ rolename }) => rolename)).toEqual([role]);
        expect(session.messages).toEqual([]);
        await session.close();
      });

      it('does not get at the session of another by its client id', async () => {
        const victim = await connect(neighbour);
        await victim.subscribe(named('devices/NEXT/commands/#'));
        const thief = await connect(device, { clientId: next, ...durable }).catch(() => undefined);
        await thief?.subscribe(named('devices/NEXT/commands/#'));
        await send([[named('devices/NEXT/commands/secret'), 'x']]);
        expect(await victim.take(named('devices/NEXT/commands/secret'))).toBe('x');
        expect(thief?.messages ?? []).toEqual([]);
        await Promise.all([victim.close(), thief?.close()]);
      });
    });

    // With sessions offline Mosquitto 2.0 is started again for a CRL, and not at once when that was often of late.
    const untilCrlIsRead = { ...patience, timeout: engine === 'embedded' ? 60_000 : 80_000 };
    const timeout = 120_000 + 2 * untilCrlIsRead.timeout;

    it(
      'has no right left after suspension, revocation or its end: not by a live subscription, a stored session or its queue',
      { timeout },
      async () => {
        const { fleet } = suite;
        const kinds = ['suspend', 'revoke', 'decommission'] as const;
        const ids = kinds.flatMap((kind) => [`${kind}-live`, `${kind}-away`]);
        const devices = new Map<string, EnrolledDevice>();
        const live: MqttDevice[] = [];
        for (const id of ids) {
          const device = await enroll(id, 'default');
          devices.set(id, device);
          const session = await connect(device, durable);
          expect(await session.subscribe(`devices/${id}/commands/#`)).toBe('accepted');
          if (id.endsWith('-live')) live.push(session);
          else await session.close();
        }
        const toAll = (what: string): Promise<void> =>
          send(ids.map((id) => [`devices/${id}/commands/${what}`, what] as const));
        await toAll('before');
        for (const session of live) {
          expect(await session.take(`devices/${session.id}/commands/before`)).toBe('before');
        }
        await Promise.all(
          kinds.flatMap((kind) => [change(`${kind}-live`, kind), change(`${kind}-away`, kind)]),
        );
        for (const session of live) {
          const how = await session.untilEnded();
          // Mosquitto may be started again for the CRL before its word is out.
          expect(how).toMatch(
            engine === 'embedded' ? /^DISCONNECT 152$/ : /^(DISCONNECT 152|closed)$/,
          );
        }
        await toAll('during');
        for (const id of ids) {
          // Mosquitto lets it in until it has read the CRL; then it must be as good as out.
          const session = await connect(devices.get(id)!, durable).catch(() => undefined);
          if (engine === 'embedded') expect(session, id).toBeUndefined();
          if (session === undefined) continue;
          expect(await session.publish(`devices/${id}/telemetry`, 'x'), id).toBe('refused');
          expect(await session.subscribe(`devices/${id}/commands/#`), id).toBe('refused');
          expect(session.messages, id).toEqual([]);
          await session.close();
        }
        for (const session of live) expect(session.messages).toEqual([]);

        // Back: a resumed device has its rights again, and nothing of what was said meanwhile.
        const resumed = await Promise.all(
          ['suspend-live', 'suspend-away'].map((id) => change(id, 'resume')),
        );
        await untilInForce(resumed);
        for (const id of ['suspend-live', 'suspend-away']) {
          await expect
            .poll(() => fleet.whyRefused(devices.get(id)!, durable), untilCrlIsRead)
            .toBeUndefined();
          const session = await connect(devices.get(id)!, durable);
          expect(await session.publish(`devices/${id}/telemetry`, 'x'), id).toBe('accepted');
          expect(await session.subscribe(`devices/${id}/commands/#`), id).toBe('accepted');
          await send([[`devices/${id}/commands/after`, 'after']]);
          expect(await session.take(`devices/${id}/commands/after`)).toBe('after');
          expect(session.messages.map(({ text }) => text)).not.toContain('during');
          await session.close();
        }

        // A new key under the old name: the new has rights, the old has none.
        for (const id of ['revoke-live', 'revoke-away']) {
          const old = devices.get(id)!;
          await untilInForce([await change(id, 'decommission')]);
          // On Mosquitto the CRL alone tells the old certificate from the new.
          await expect
            .poll(() => fleet.whyRefused(old), untilCrlIsRead)
            .toMatch(/revoked|authorized|RESET/i);
          const renewed = await enroll(id, 'default');
          const session = await connect(renewed, durable);
          expect(await session.publish(`devices/${id}/telemetry`, 'x'), id).toBe('accepted');
          expect(await session.subscribe(`devices/${id}/commands/#`), id).toBe('accepted');
          await send([[`devices/${id}/commands/after`, 'after']]);
          expect(await session.take(`devices/${id}/commands/after`)).toBe('after');
          // Nor what was meant for who had the name before.
          expect(session.messages).toEqual([]);
          await session.close();
          expect(await fleet.whyRefused(old), id).toMatch(/revoked|authorized|RESET/i);
        }
      },
    );

    it('has the rights of the role its type is pointed to, at once when the CA starts again', async () => {
      const { fleet, keyline, folder } = suite;
      const [live, away] = [await enroll('moved-1', 'gateway'), await enroll('moved-2', 'gateway')];
      const sessions: MqttDevice[] = [];
      for (const device of [live, away]) {
        const session = await connect(device, durable);
        expect(await session.subscribe('gateways/all/config')).toBe('accepted');
        expect(await session.subscribe(`devices/${device.id}/commands/#`)).toBe('accepted');
        sessions.push(session);
      }
      await sessions[1]!.close();
      await send([['gateways/all/config', 'before']]);
      expect(await sessions[0]!.take('gateways/all/config')).toBe('before');

      const file = join(folder, 'config', 'types.yaml');
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, text.replace('role: gateway', 'role: device'));
      const ca = keyline.endpoints.pids.ca;
      process.kill(ca, 'SIGKILL');
      await expect.poll(() => keyline.endpoints.pids.ca, patience).not.toBe(ca);
      // Not the figures of the last comparison: Mosquitto may be started again meanwhile, and is compared once more then.
      const rolesNow = async (): Promise<unknown[]> => {
        const commands = [live, away].map(({ id }) => ({ command: 'getClient', username: id }));
        const answers = await administer(fleet.broker, fleet.adminIdentity, commands).catch(
          () => [],
        );
        return answers.map(({ data }) => {
          const { client } = (data ?? {}) as { client?: { roles?: { rolename: string }[] } };
          return client?.roles?.map(({ rolename }) => rolename).join();
        });
      };
      await expect.poll(rolesNow, patience).toEqual(['device', 'device']);
      await send([['gateways/all/config', 'after']]);
      for (const device of [live, away]) {
        const session = await connect(device, durable);
        await send([[`devices/${device.id}/commands/on`, 'x']]);
        expect(await session.take(`devices/${device.id}/commands/on`)).toBe('x');
        expect(session.messages.filter(({ topic }) => topic.startsWith('gateways/'))).toEqual([]);
        if (engine === 'embedded') {
          expect(await session.publish(`gateways/${device.id}/things/t/state`, 'x')).toBe(
            'refused',
          );
          expect(await session.subscribe('gateways/all/config')).toBe('refused');
        }
        await session.close();
      }
      expect(sessions[0]!.messages.map(({ text: said }) => said)).not.toContain('after');
    });
  });
});
