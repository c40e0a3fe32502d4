// A supervised Mosquitto in this process: certificates, CRL server, log as objects, MQTT.js clients, and the admin's side.
import { connect as connectTcp } from 'node:net';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { pino } from 'pino';
import { createDynsecClient, type DynsecClient } from '@keyline/dynsec';
import { systemClock } from '@keyline/kernel';
import { openMosquittoBroker } from '../../src/mosquitto/open-mosquitto-broker.ts';
import type { MosquittoOptions } from '../../src/mosquitto/options.ts';
import { defaultLimits, defaultTlsPolicy } from '../../src/options.ts';
import type { Broker } from '../../src/wiring.ts';
import { CrlServer } from './mosquitto-crl.ts';
import { adminName, type LogLine } from './test-broker.ts';
import { TestPki, type TestCertificate } from './test-pki.ts';

export const caConfig = join(import.meta.dirname, '../../../../ca-config');

export class MosquittoBroker {
  readonly pki: TestPki;
  readonly data: string;
  readonly crl: CrlServer;
  readonly server: TestCertificate;
  readonly lines: LogLine[] = [];
  readonly #adminCertificate: TestCertificate;
  readonly #clients = new Set<MqttClient>();
  #broker: Broker | undefined;
  #admin: DynsecClient | undefined;

  private constructor(
    given: Pick<MosquittoBroker, 'pki' | 'data' | 'crl' | 'server'> & { admin: TestCertificate },
  ) {
    this.pki = given.pki;
    this.data = given.data;
    this.crl = given.crl;
    this.server = given.server;
    this.#adminCertificate = given.admin;
  }

  /** Everything but Mosquitto itself. */
  static async prepare(): Promise<MosquittoBroker> {
    const pki = await TestPki.create();
    const crl = await CrlServer.start(pki);
    const [server, admin, data] = await Promise.all([
      pki.issue('broker', { usage: 'serverAuth' }),
      pki.issue(adminName),
      mkdtemp(join(tmpdir(), 'keyline-mosquitto-data-')),
      crl.publish({ number: 1 }),
    ]);
    return new MosquittoBroker({ pki, data, crl, server, admin });
  }

  static async start(): Promise<MosquittoBroker> {
    const broker = await MosquittoBroker.prepare();
    await broker.open();
    return broker;
  }

  get options(): MosquittoOptions {
    return {
      data: this.data,
      host: '127.0.0.1',
      port: 0,
      metricsPort: 0,
      certificates: {
        cert: this.server.certFile,
        key: this.server.keyFile,
        ca: this.pki.ca.certFile,
      },
      admins: [adminName],
      adminCertificates: [],
      tls: defaultTlsPolicy,
      limits: defaultLimits,
      mosquitto: undefined,
      config: caConfig,
      crlUrls: [this.crl.url],
      crlUrlsFile: undefined,
    };
  }

  async open(options: Partial<MosquittoOptions> = {}): Promise<void> {
    const sink = new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        this.lines.push(JSON.parse(chunk.toString()));
        done();
      },
    });
    this.#broker = await openMosquittoBroker(
      { ...this.options, ...options },
      {
        log: pino({ level: 'debug' }, sink),
        clock: systemClock,
        host: {
          uid: process.getuid?.(),
          env: process.env,
          signal: (pid, signal) => process.kill(pid, signal),
        },
        paces: { certificates: 50, crl: 50, restarts: 500, backOff: 50, longestBackOff: 200 },
      },
    );
  }

  get broker(): Broker {
    return this.#broker!;
  }

  /** In the folder Mosquitto runs in. */
  file(name: string): string {
    return join(this.data, 'mosquitto', name);
  }

  async pid(): Promise<number> {
    return Number(await readFile(join(this.data, 'mosquitto.pid'), 'utf8'));
  }

  /** Lines of the log with this event. */
  said(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }

  async metric(name: string): Promise<string | undefined> {
    const response = await fetch(`http://127.0.0.1:${this.broker.metricsPort}/metrics`);
    const lines = (await response.text()).split('\n');
    return lines
      .find((line) => line.startsWith(name))
      ?.slice(name.length)
      .trim();
  }

  isListening(): Promise<boolean> {
    return new Promise((answer) => {
      const socket = connectTcp(this.broker.port, '127.0.0.1');
      socket.once('connect', () => answer(true)).once('error', () => answer(false));
      socket.once('connect', () => socket.destroy());
    });
  }

  async connect(
    certificate: TestCertificate | undefined,
    options: IClientOptions = {},
  ): Promise<MqttClient> {
    const client = connect({
      host: '127.0.0.1',
      port: this.broker.port,
      protocol: 'mqtts',
      ca: this.pki.ca.cert,
      ...(certificate === undefined ? {} : { cert: certificate.cert, key: certificate.key }),
      reconnectPeriod: 0,
      connectTimeout: 5000,
      protocolVersion: 5,
      clientId: 'any',
      ...options,
    });
    this.#clients.add(client);
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      client.once('error', reject);
      client.once('close', () => reject(new Error('closed before CONNACK')));
    });
    client.on('error', () => undefined);
    return client;
  }

  /** Why not, or undefined when it is let in. */
  async whyRefused(certificate: TestCertificate | undefined): Promise<string | undefined> {
    try {
      await (await this.connect(certificate)).endAsync();
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  /** Over mTLS, as the issuing CA does. */
  async control(...commands: ({ command: string } & Record<string, unknown>)[]): Promise<void> {
    const { cert, key } = this.#adminCertificate;
    this.#admin ??= createDynsecClient({
      url: `mqtts://127.0.0.1:${this.broker.port}`,
      credentials: () => ({
        ca: this.pki.ca.cert.toString(),
        cert: cert.toString(),
        key: key.toString(),
      }),
    });
    const answers = await this.#admin.send(commands);
    const refused = answers.find(({ error }) => error !== undefined);
    if (refused !== undefined) throw new Error(`${refused.command}: ${refused.error ?? ''}`);
  }

  /** Stops Mosquitto alone; open() starts it on the same state. */
  async close(): Promise<void> {
    await this.#admin?.close();
    this.#admin = undefined;
    for (const client of this.#clients) client.end(true);
    this.#clients.clear();
    await this.#broker?.close();
    this.#broker = undefined;
  }

  async stop(): Promise<void> {
    await this.close();
    await this.crl.stop();
    await Promise.all([this.pki.remove(), rm(this.data, { recursive: true, force: true })]);
  }
}

export async function publish(client: MqttClient, topic: string, text = 'x'): Promise<string> {
  try {
    await client.publishAsync(topic, text, { qos: 1 });
    return 'accepted';
  } catch {
    return 'refused';
  }
}
