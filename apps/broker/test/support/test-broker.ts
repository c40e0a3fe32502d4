// A broker in this process on free ports, its log as objects, clients of MQTT.js, and the admin's side of dynamic security.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import type { ConnectionOptions } from 'node:tls';
import { pino } from 'pino';
import { systemClock } from '@keyline/kernel';
import { openBroker, type Broker } from '../../src/wiring.ts';
import { defaultLimits, defaultTlsPolicy, type Limits, type TlsPolicy } from '../../src/options.ts';
import { TestPki, type TestCertificate } from './test-pki.ts';

export const adminName = 'keyline@service';

export type LogLine = Record<string, unknown> & { event?: string; reason?: string; msg: string };

/** MQTT.js hands what it does not know to tls.connect. */
export type ConnectOptions = IClientOptions &
  Pick<ConnectionOptions, 'minVersion' | 'maxVersion' | 'session'>;

export interface Answer {
  readonly command: string;
  readonly error?: string;
  readonly data?: Record<string, unknown>;
}

/** A CONNECT that was answered with a refusal. */
export interface Refused {
  readonly code: number;
  readonly reasonString: string | undefined;
}

export class TestBroker {
  readonly pki: TestPki;
  readonly folder: string;
  readonly server: TestCertificate;
  readonly admin: TestCertificate;
  /** For the next start: files that hold administrators to their keys. */
  adminCertificates: readonly string[] = [];
  readonly lines: LogLine[] = [];
  #broker: Broker | undefined;
  #adminClient: MqttClient | undefined;
  readonly #clients = new Set<MqttClient>();
  readonly #limits: Partial<Limits>;
  readonly #tls: Partial<TlsPolicy>;
  #certificateInterval = 50;

  private constructor(
    pki: TestPki,
    folder: string,
    certificates: { server: TestCertificate; admin: TestCertificate },
    limits: Partial<Limits>,
    tls: Partial<TlsPolicy>,
  ) {
    this.pki = pki;
    this.folder = folder;
    this.server = certificates.server;
    this.admin = certificates.admin;
    this.#limits = limits;
    this.#tls = tls;
  }

  static async start(
    limits: Partial<Limits> = {},
    tls: Partial<TlsPolicy> = {},
    { certificateInterval = 50 }: { readonly certificateInterval?: number } = {},
  ): Promise<TestBroker> {
    const pki = await TestPki.create();
    const [server, admin, folder] = await Promise.all([
      pki.issue('broker', { usage: 'serverAuth' }),
      pki.issue(adminName),
      mkdtemp(join(tmpdir(), 'keyline-broker-data-')),
    ]);
    const broker = new TestBroker(pki, folder, { server, admin }, limits, tls);
    broker.#certificateInterval = certificateInterval;
    await broker.open();
    return broker;
  }

  async open(): Promise<void> {
    const log = pino(
      { level: 'debug' },
      new Writable({
        write: (chunk: Buffer, _encoding, done) => {
          this.lines.push(JSON.parse(chunk.toString()));
          done();
        },
      }),
    );
    this.#broker = await openBroker(
      {
        data: this.folder,
        host: '127.0.0.1',
        port: 0,
        webSocketPort: 0,
        passwordPort: 0,
        metricsPort: 0,
        certificates: {
          cert: this.server.certFile,
          key: this.server.keyFile,
          ca: this.pki.ca.certFile,
        },
        admins: [adminName],
        adminCertificates: this.adminCertificates,
        tls: { ...defaultTlsPolicy, ...this.#tls },
        limits: { ...defaultLimits, ...this.#limits },
      },
      { log, clock: systemClock, certificateInterval: this.#certificateInterval },
    );
  }

  get broker(): Broker {
    return this.#broker!;
  }

  get port(): number {
    return this.broker.port;
  }

  /** Stops the broker alone; open() starts it on the same state. */
  async close(): Promise<void> {
    await this.#broker?.close();
    this.#broker = undefined;
    this.#adminClient?.end(true);
    this.#adminClient = undefined;
    for (const client of this.#clients) client.end(true);
    this.#clients.clear();
  }

  async stop(): Promise<void> {
    await this.close();
    await Promise.all([this.pki.remove(), rm(this.folder, { recursive: true, force: true })]);
  }

  optionsFor(certificate: TestCertificate | undefined, options: ConnectOptions): IClientOptions {
    return {
      host: '127.0.0.1',
      port: this.port,
      protocol: 'mqtts',
      ca: this.pki.ca.cert,
      ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
      reconnectPeriod: 0,
      connectTimeout: 5000,
      protocolVersion: 5,
      ...options,
    };
  }

  /** @param prepare sees the client before it has connected, to hear everything from the first packet on */
  async connect(
    certificate: TestCertificate | undefined,
    options: ConnectOptions = {},
    prepare: (client: MqttClient) => void = () => undefined,
  ): Promise<MqttClient> {
    const client = connect(this.optionsFor(certificate, options));
    this.#clients.add(client);
    prepare(client);
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => {
        resolve();
      });
      client.once('error', reject);
      client.once('close', () => {
        reject(new Error('the connection was closed before it was accepted'));
      });
    });
    client.on('error', () => undefined);
    return client;
  }

  /** Expects a refusal and answers with it. */
  async refusal(
    certificate: TestCertificate | undefined,
    options: ConnectOptions = {},
  ): Promise<Refused> {
    const client = connect(this.optionsFor(certificate, options));
    try {
      return await new Promise<Refused>((resolve, reject) => {
        let packet:
          | { reasonCode?: number; returnCode?: number; properties?: { reasonString?: string } }
          | undefined;
        client.on('packetreceive', (received) => {
          if (received.cmd === 'connack') packet = received;
        });
        client.on('connect', () => {
          reject(new Error('it was let in'));
        });
        const end = (): void => {
          if (packet === undefined) reject(new Error('closed without CONNACK'));
          else
            resolve({
              code: packet.reasonCode ?? packet.returnCode ?? -1,
              reasonString: packet.properties?.reasonString,
            });
        };
        client.on('error', end);
        client.on('close', end);
      });
    } finally {
      client.end(true);
    }
  }

  /** One payload of commands as the admin; its answers. */
  async control(...commands: Record<string, unknown>[]): Promise<Answer[]> {
    const topic = '$CONTROL/dynamic-security/v1';
    if (this.#adminClient === undefined) {
      this.#adminClient = await this.connect(this.admin, { clientId: adminName });
      await this.#adminClient.subscribeAsync(`${topic}/response`);
    }
    const client = this.#adminClient;
    const id = Math.random().toString(36).slice(2);
    const answer = new Promise<Answer[]>((resolve) => {
      const onMessage = (_topic: string, payload: Buffer): void => {
        const { responses } = JSON.parse(payload.toString());
        if (responses[0]?.correlationData !== id) return;
        client.off('message', onMessage);
        resolve(responses);
      };
      client.on('message', onMessage);
    });
    const stamped = commands.map((command) => ({ correlationData: id, ...command }));
    await client.publishAsync(topic, JSON.stringify({ commands: stamped }), { qos: 1 });
    return answer;
  }

  /** Registers a device with the rights of the demo's devices, and makes its certificate. */
  async device(name: string): Promise<TestCertificate> {
    const certificate = await this.pki.issue(name);
    await this.control(
      { command: 'createRole', rolename: `role-${name}` },
      ...[
        ['publishClientSend', `devices/${name}/#`],
        ['subscribePattern', `devices/${name}/#`],
        ['publishClientReceive', `devices/${name}/#`],
        ['unsubscribePattern', '#'],
      ].map(([acltype, topic]) => ({
        command: 'addRoleACL',
        rolename: `role-${name}`,
        acltype,
        topic,
        allow: true,
        priority: 0,
      })),
      { command: 'createClient', username: name },
      { command: 'addClientRole', username: name, rolename: `role-${name}` },
    );
    return certificate;
  }

  async metrics(): Promise<string> {
    const response = await fetch(`http://127.0.0.1:${this.broker.metricsPort}/metrics`);
    return response.text();
  }

  /** The newest log line about this event. */
  line(event: string): LogLine | undefined {
    return this.lines.findLast((line) => line.event === event);
  }
}

/** The DISCONNECT packet that ends this connection, or the plain end of it. */
export function ended(client: MqttClient): Promise<{ reasonCode?: number; text?: string }> {
  return new Promise((resolve) => {
    let disconnect: { reasonCode?: number; text?: string } = {};
    client.on('disconnect', (packet) => {
      disconnect = {
        reasonCode: packet.reasonCode ?? 0,
        text: packet.properties?.reasonString ?? '',
      };
    });
    client.once('close', () => {
      resolve(disconnect);
    });
  });
}

/** The next message on any topic. */
export function nextMessage(client: MqttClient): Promise<{ topic: string; text: string }> {
  return new Promise((resolve) => {
    client.once('message', (topic, payload) => {
      resolve({ topic, text: payload.toString() });
    });
  });
}
