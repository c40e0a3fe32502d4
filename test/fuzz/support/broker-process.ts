// The embedded broker as a process of its own, as it is shipped, with a CA whose key the fuzzers have.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import {
  closeSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TestPki, type TestCertificate } from '../../../apps/broker/test/support/test-pki.ts';
import { administer } from '../../support/dynsec-admin.ts';
import { projectFolder } from '../../support/keyline.ts';
import type { BrokerAddress, MqttIdentity } from '../../support/mqtt-device.ts';

const adminName = 'keyline@service';
const startMilliseconds = 60_000;
const mostLogBytes = 20_000_000;

export interface LogLine {
  readonly level: number;
  readonly event?: string;
  readonly msg?: string;
  readonly stack?: string;
}

interface Ports {
  readonly port: number;
  readonly webSocketPort: number;
  readonly passwordPort: number;
  readonly metricsPort: number;
}

/** How a start ended that came to nothing. */
export interface FailedStart {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly lines: readonly LogLine[];
  readonly output: string;
}

/** What the fuzzers' certificates and folders are made of; several starts of the broker may share it. */
export class BrokerParts {
  readonly pki: TestPki;
  readonly server: TestCertificate;
  readonly admin: TestCertificate;
  readonly folder: string;

  private constructor(pki: TestPki, server: TestCertificate, admin: TestCertificate) {
    this.pki = pki;
    this.server = server;
    this.admin = admin;
    this.folder = mkdtempSync(join(tmpdir(), 'keyline-fuzz-'));
  }

  static async create(): Promise<BrokerParts> {
    const pki = await TestPki.create();
    const server = await pki.issue('broker', { usage: 'serverAuth' });
    return new BrokerParts(pki, server, await pki.issue(adminName));
  }

  async remove(): Promise<void> {
    await this.pki.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

export class BrokerProcess {
  readonly parts: BrokerParts;
  readonly ports: Ports;
  readonly #child: ChildProcess;
  readonly #log: LogFile;

  private constructor(parts: BrokerParts, child: ChildProcess, ports: Ports, log: LogFile) {
    this.parts = parts;
    this.#child = child;
    this.ports = ports;
    this.#log = log;
  }

  /** On a data folder, or why it does not start on it. */
  static async start(
    parts: BrokerParts,
    data: string,
    flags: readonly string[] = [],
  ): Promise<BrokerProcess | FailedStart> {
    const readyFile = join(parts.folder, 'ready.json');
    rmSync(readyFile, { force: true });
    const log = new LogFile(join(parts.folder, 'broker.log'));
    const output = openSync(log.path, 'a');
    const child = spawn(
      process.execPath,
      [
        ...[join(projectFolder, 'apps/broker/src/main.ts'), 'serve', '--data', data],
        ...['--port', '0', '--websocket-port', '0', '--password-port', '0', '--metrics-port', '0'],
        ...['--cert', parts.server.certFile, '--key', parts.server.keyFile],
        ...['--ca', parts.pki.ca.certFile, '--admin', adminName, '--ready-file', readyFile],
        ...flags,
      ],
      // A file, as in use: a pipe that its reader is slow to empty would hold up the broker itself.
      { stdio: ['ignore', output, output] },
    );
    closeSync(output);
    // Also when the fuzzer is ended from outside.
    const kill = (): boolean => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('exit', () => process.off('exit', kill));
    const closed = once(child, 'close');
    const until = performance.now() + startMilliseconds;
    for (;;) {
      const ports = readPorts(readyFile);
      if (ports !== undefined) return new BrokerProcess(parts, child, ports, log);
      if (child.exitCode !== null || child.signalCode !== null) {
        await closed;
        const { exitCode: code, signalCode: signal } = child;
        return { code, signal, lines: log.read(), output: log.tail() };
      }
      if (performance.now() > until) {
        child.kill('SIGKILL');
        throw new Error(`The broker neither serves nor ends after a minute: ${log.tail()}`);
      }
      await sleep(20);
    }
  }

  /** @throws {Error} with the log when it does not start */
  static async serve(parts: BrokerParts, flags: readonly string[] = []): Promise<BrokerProcess> {
    const broker = await BrokerProcess.start(parts, join(parts.folder, 'data'), flags);
    if (broker instanceof BrokerProcess) return broker;
    throw new Error(`The broker does not start: ${broker.output}`);
  }

  get address(): BrokerAddress {
    const { ca } = this.parts.pki;
    return { url: `mqtts://127.0.0.1:${this.ports.port}`, ca: ca.cert.toString() };
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** What it has logged so far; of a long run, warnings and errors and the end. */
  get lines(): readonly LogLine[] {
    return this.#log.read();
  }

  /** How it ended, for a message. */
  get end(): string {
    const { exitCode, signalCode } = this.#child;
    return `exit code ${String(exitCode)}, signal ${String(signalCode)}: ${this.#log.tail()}`;
  }

  /** Registers a client with every right but that of an administrator. @param more of createClient: a password */
  async device(name: string, more: object = {}): Promise<MqttIdentity> {
    const { pki, admin } = this.parts;
    const certificate = await pki.issue(name);
    const all = { topic: '#', allow: true, priority: 0 };
    await administer(this.address, identityOf(adminName, admin), [
      { command: 'createRole', rolename: `role-${name}` },
      ...[
        'publishClientSend',
        'publishClientReceive',
        'subscribePattern',
        'unsubscribePattern',
      ].map((acltype) => ({ command: 'addRoleACL', rolename: `role-${name}`, acltype, ...all })),
      { command: 'createClient', username: name, ...more },
      { command: 'addClientRole', username: name, rolename: `role-${name}` },
    ]);
    return identityOf(name, certificate);
  }

  /** Name to value, over all labels; 0 where there is none. */
  async metrics(): Promise<(name: string) => number> {
    const response = await fetch(`http://127.0.0.1:${this.ports.metricsPort}/metrics`);
    const text = await response.text();
    return (name) => sumMetric(text, name);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (!this.isAlive) return;
    const closed = once(this.#child, 'close');
    this.#child.kill(signal);
    await closed;
  }
}

export function identityOf(id: string, { cert, key }: TestCertificate): MqttIdentity {
  return { id, certificate: cert.toString(), key: key.toString() };
}

/** @param text of /metrics */
export function sumMetric(text: string, name: string): number {
  return text
    .split('\n')
    .filter((line) => line.startsWith(`${name} `) || line.startsWith(`${name}{`))
    .reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' '))), 0);
}

/** A log that is looked into now and then, and kept from filling the disk. */
class LogFile {
  readonly path: string;
  #kept: LogLine[] = [];

  constructor(path: string) {
    this.path = path;
    writeFileSync(path, '');
  }

  read(): readonly LogLine[] {
    const text = readFileSync(this.path, 'utf8');
    const lines = text.split('\n').filter((line) => line !== '');
    const parsed = lines.map(parseLine);
    if (text.length < mostLogBytes) return [...this.#kept, ...parsed];
    // It is opened for appending: the next line goes to the front again.
    truncateSync(this.path);
    this.#kept.push(...parsed.filter(({ level }) => level >= 40).slice(-1000));
    return this.#kept;
  }

  tail(): string {
    return readFileSync(this.path, 'utf8').slice(-3000);
  }
}

function parseLine(text: string): LogLine {
  try {
    return JSON.parse(text) as LogLine;
  } catch {
    // What is no JSON was written by Node itself: a warning, or its last words.
    return { level: 60, msg: text };
  }
}

function readPorts(file: string): Ports | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Ports;
  } catch {
    return undefined; // not there yet, or half of it
  }
}
