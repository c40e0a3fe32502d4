// What the cases run against. A broker is plugged in by saying how it is started and how an admin and a client connect to it.
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDynsecEngine, type Executed } from '@keyline/dynsec';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { TestBroker } from '../../apps/broker/test/support/test-broker.ts';
import { has } from '../support/needs.ts';
import { adminLogin, adminState, startMosquitto } from './real-mosquitto.ts';

export interface ConnectedClient {
  /** Whether the broker took it (QoS 1; MQTT 5 says so). */
  publish(topic: string): Promise<boolean>;
  subscribe(filter: string): Promise<boolean>;
  unsubscribe(filter: string): Promise<boolean>;
  /** Whether a message that was published to this topic reaches it, once it is subscribed to `filter`. */
  receives(topic: string, filter: string): Promise<boolean>;
  /** Resolves when the broker ends the session. */
  readonly kicked: Promise<void>;
  leave(): Promise<void>;
}

export interface System {
  readonly version: 'keyline' | 'mosquitto 2.0';
  /** Whether UNSUBACK carries the refusal. Keyline's broker ignores what it does not allow, and acknowledges it. */
  readonly tellsUnsubscribe: boolean;
  /** One payload → the answers to it. */
  ask(payload: string): Promise<readonly Record<string, unknown>[]>;
  /** Connects as a client that the state knows; rejects when refused. */
  connect(username: string, clientId?: string): Promise<ConnectedClient>;
  stop(): Promise<void>;
}

/** The password of every client of a broker which asks for one. */
const clientPassword = 'client-password';

const requestTopic = '$CONTROL/dynamic-security/v1';
const responseTopic = `${requestTopic}/response`;

/** What every case is tried on. */
export const systems: readonly {
  readonly name: string;
  readonly start: () => Promise<System>;
  readonly skip: boolean;
}[] = [
  { name: "Keyline's engine", start: startEngine, skip: false },
  { name: "Keyline's broker", start: startEmbeddedBroker, skip: !has('openssl') },
  { name: 'Mosquitto', start: startRealMosquitto, skip: !has('mosquitto') },
];

/** The engine itself, without a broker around it. */
async function startEngine(): Promise<System> {
  const folder = mkdtempSync(join(tmpdir(), 'keyline-dynsec-'));
  const engine = await openDynsecEngine({ folder, admins: [] });
  const admin = { username: adminLogin.username, clientId: 'admin' };
  const kicks = new Set<(executed: Executed) => void>();
  const execute = async (payload: string): Promise<Record<string, unknown>[]> => {
    const executed = await engine.execute(Buffer.from(payload), admin);
    for (const kick of [...kicks]) kick(executed);
    return JSON.parse(executed.response).responses;
  };
  // The one role and client that a fresh Mosquitto has.
  await execute(
    JSON.stringify({
      commands: [
        { command: 'createRole', rolename: 'admin' },
        { command: 'createClient', username: 'admin', roles: [{ rolename: 'admin' }] },
      ],
    }),
  );
  return {
    version: 'keyline',
    tellsUnsubscribe: true,
    ask: execute,
    connect: async (username, clientId = username) => {
      if (engine.checkIdentity(username) !== 'known') throw new Error('refused');
      const session = { username, clientId };
      const kicked = new Promise<void>((resolve) => {
        kicks.add((executed) => {
          if (executed.kicks.usernames.has(username)) resolve();
        });
      });
      return {
        publish: async (topic) => engine.mayPublish(session, topic),
        subscribe: async (filter) => engine.maySubscribe(session, filter),
        unsubscribe: async (filter) => engine.mayUnsubscribe(session, filter),
        receives: async (topic, filter) =>
          engine.maySubscribe(session, filter) && engine.mayReceive(session, topic),
        kicked,
        leave: async () => undefined,
      };
    },
    stop: async () => {
      await engine.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** Debian's Mosquitto. */
async function startRealMosquitto(): Promise<System> {
  const mosquitto = await startMosquitto(adminState());
  return brokerSystem({
    version: 'mosquitto 2.0',
    tellsUnsubscribe: true,
    admin: { ...adminLogin, port: mosquitto.port },
    optionsOf: (username, clientId) => ({
      username,
      clientId,
      password: clientPassword,
      port: mosquitto.port,
    }),
    stop: async () => {
      await mosquitto.stop();
    },
  });
}

/** Keyline's embedded broker, mTLS: a client is whom its certificate names, whatever password it has. */
async function startEmbeddedBroker(): Promise<System> {
  const broker = await TestBroker.start();
  const certificateOf = async (name: string): Promise<IClientOptions> =>
    broker.optionsFor(await broker.pki.issue(name), { clientId: name });
  const refused = (
    await broker.control(
      {
        command: 'createRole',
        rolename: 'admin',
        acls: [
          ...['publishClientSend', 'publishClientReceive', 'subscribePattern'].map((acltype) => ({
            acltype,
            topic: '$CONTROL/dynamic-security/#',
            allow: true,
          })),
          { acltype: 'publishClientSend', topic: '#', allow: true },
        ],
      },
      { command: 'createClient', username: 'admin', roles: [{ rolename: 'admin' }] },
    )
  ).find(({ error }) => error !== undefined);
  if (refused !== undefined) throw new Error(`${refused.command}: ${refused.error ?? ''}`);
  return brokerSystem({
    version: 'keyline',
    tellsUnsubscribe: false,
    admin: await certificateOf('admin'),
    optionsOf: async (username, clientId) => ({ ...(await certificateOf(username)), clientId }),
    stop: () => broker.stop(),
  });
}

/** A system behind an MQTT listener on 127.0.0.1. */
async function brokerSystem(options: {
  readonly version: System['version'];
  readonly tellsUnsubscribe: boolean;
  readonly admin: IClientOptions;
  readonly optionsOf: (
    username: string,
    clientId: string,
  ) => IClientOptions | Promise<IClientOptions>;
  readonly stop: () => Promise<void>;
}): Promise<System> {
  const admin = await connectTo(options.admin);
  await admin.subscribeAsync(responseTopic, { qos: 0 });
  return {
    version: options.version,
    tellsUnsubscribe: options.tellsUnsubscribe,
    ask: async (payload) => {
      const answered = once(admin as never, 'message');
      await admin.publishAsync(requestTopic, payload, { qos: 1 });
      const [, answer] = await answered;
      return JSON.parse(String(answer)).responses;
    },
    connect: async (username, clientId = username) => {
      const client = await connectTo(await options.optionsOf(username, clientId));
      const kicked = new Promise<void>((resolve) => client.once('close', () => resolve()));
      const subscribe = async (filter: string): Promise<boolean> => {
        try {
          const [grant] = await client.subscribeAsync(filter, { qos: 1 });
          return grant !== undefined && grant.qos < 128;
        } catch {
          return false; // refused: mqtt.js throws for a reason of 0x80 and above
        }
      };
      return {
        publish: async (topic) => {
          try {
            await client.publishAsync(topic, 'x', { qos: 1 });
            return true;
          } catch {
            return false; // refused: mqtt.js throws for a reason of 0x80 and above
          }
        },
        subscribe,
        unsubscribe: async (filter) => {
          try {
            const packet = await client.unsubscribeAsync(filter);
            const granted = (packet as { granted?: number[] } | undefined)?.granted;
            return granted?.every((code) => code < 128) !== false;
          } catch {
            return false; // refused
          }
        },
        receives: async (topic, filter) => {
          if (!(await subscribe(filter))) return false;
          const seen = new Set<string>();
          client.on('message', (name) => void seen.add(name));
          await admin.publishAsync(topic, 'x', { qos: 1 });
          // Its own message comes after the other one, if that comes at all.
          const marker = `marker/${username}`;
          await client.subscribeAsync(marker, { qos: 1 });
          const marked = new Promise<void>((resolve) => {
            client.on('message', (name) => {
              if (name === marker) resolve();
            });
          });
          await admin.publishAsync(marker, 'x', { qos: 1 });
          await marked;
          return seen.has(topic);
        },
        kicked,
        leave: () => client.endAsync(true),
      };
    },
    stop: async () => {
      await admin.endAsync(true);
      await options.stop();
    },
  };
}

async function connectTo(options: IClientOptions): Promise<MqttClient> {
  const client = connect({
    protocol: 'mqtt',
    host: '127.0.0.1',
    protocolVersion: 5,
    reconnectPeriod: 0,
    ...options,
  });
  await new Promise<void>((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('error', reject);
    client.once('close', () => reject(new Error('the broker closed the connection')));
  });
  return client;
}
