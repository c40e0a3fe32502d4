import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { connect, type IClientOptions, type MqttClient } from 'mqtt';
import { TestPki, type TestCertificate } from './support/test-pki.ts';

const program = join(import.meta.dirname, '..', 'bin', 'keyline-broker');

let pki: TestPki;
let server: TestCertificate;
let folder: string;
let child: ChildProcess | undefined;

beforeAll(async () => {
  pki = await TestPki.create();
  server = await pki.issue('broker', { usage: 'serverAuth' });
  folder = await mkdtemp(join(tmpdir(), 'keyline-broker-process-'));
});

afterEach(() => {
  child?.kill('SIGKILL');
  child = undefined;
});

afterAll(async () => {
  await Promise.all([pki.remove(), rm(folder, { recursive: true, force: true })]);
});

function start(...more: string[]): { output: () => string; exit: Promise<number | null> } {
  let text = '';
  child = spawn(program, [
    'serve',
    ...['--data', join(folder, 'data'), '--host', '127.0.0.1', '--port', '0'],
    ...['--cert', server.certFile, '--key', server.keyFile, '--ca', pki.ca.certFile],
    ...['--admin', 'keyline@service', ...more],
  ]);
  child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
  const exit = once(child, 'exit').then(([code]) => code as number | null);
  return { output: () => text, exit };
}

it('says when it serves, answers its health, and stops cleanly on SIGTERM', async () => {
  const readyFile = join(folder, 'ready');
  const { output, exit } = start('--ready-file', readyFile);
  await expect
    .poll(() => readFile(readyFile, 'utf8').catch(() => ''), { timeout: 60_000 })
    .toMatch(/\n/);
  const ready = JSON.parse(await readFile(readyFile, 'utf8'));
  expect(ready.port).toBeGreaterThan(0);
  const health = await fetch(`http://127.0.0.1:${ready.metricsPort}/healthz`);
  expect(await health.json()).toEqual({ status: 'ok' });
  child?.kill('SIGTERM');
  expect(await exit).toBe(0);
  await expect(readFile(readyFile)).rejects.toThrow(/ENOENT/);
  const events = output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).event);
  expect(events).toEqual(expect.arrayContaining(['serving', 'stopping', 'stopped']));
});

it('ends with a message that names the file when a certificate is missing', async () => {
  const { output, exit } = start('--cert', join(folder, 'nowhere.pem'));
  expect(await exit).toBe(6);
  expect(output()).toMatch(/server certificate .*nowhere\.pem is not there/);
});

it('ends with exit code 2 on a line it does not understand', async () => {
  const { output, exit } = start('--max-connections', 'many');
  expect(await exit).toBe(2);
  expect(output()).toMatch(/max-connections.*whole number/s);
});

it.each(['--tls-groups', '--tls-signature-algorithms'])(
  'takes an empty %s for a mistake, and not for OpenSSL’s defaults',
  async (flag) => {
    const { output, exit } = start(flag, '');
    expect(await exit).toBe(2);
    expect(output()).toMatch(/It must name something/);
  },
);

it.each([
  [
    ['--tls-groups', 'X25519MLKEM768:P-1024'],
    /--tls-groups .{1,2}X25519MLKEM768:P-1024.{1,2} names something/,
  ],
  [
    ['--tls-signature-algorithms', 'ed25519:mldsa1'],
    /--tls-signature-algorithms .{1,2}ed25519:mldsa1.{1,2} names/,
  ],
])('ends with a message about TLS that its OpenSSL does not know: %j', async (given, said) => {
  const { output, exit } = start(...given);
  expect(await exit).toBe(2);
  expect(output()).toMatch(said);
});

it('speaks no older TLS than it is told to', async () => {
  const readyFile = join(folder, 'ready-tls');
  start('--ready-file', readyFile, '--tls-version', '1.3');
  await expect
    .poll(() => readFile(readyFile, 'utf8').catch(() => ''), { timeout: 60_000 })
    .toMatch(/\n/);
  const { port } = JSON.parse(await readFile(readyFile, 'utf8'));
  const greet = (maxVersion: 'TLSv1.2' | 'TLSv1.3') =>
    new Promise<string | null>((resolve, reject) => {
      const socket = connectTls({ port, host: '127.0.0.1', ca: pki.ca.cert, maxVersion });
      socket.once('error', reject);
      socket.once('secureConnect', () => {
        resolve(socket.getProtocol());
        socket.destroy();
      });
    });
  expect(await greet('TLSv1.3')).toBe('TLSv1.3');
  await expect(greet('TLSv1.2')).rejects.toThrow(/protocol version/);
});

describe('after kill -9', () => {
  const admin = 'keyline@service';
  const topic = '$CONTROL/dynamic-security/v1';
  let certificates: Record<string, TestCertificate>;

  type Connect = (
    name: string,
    options?: IClientOptions,
    prepare?: (client: MqttClient) => void,
  ) => Promise<MqttClient>;

  beforeAll(async () => {
    const names = [admin, 'sender', 'receiver', 'doomed'];
    const issued = await Promise.all(names.map((name) => pki.issue(name)));
    certificates = Object.fromEntries(names.map((name, index) => [name, issued[index]!]));
  });

  async function run(): Promise<Connect> {
    const readyFile = join(folder, 'ready-crash');
    await rm(readyFile, { force: true });
    start('--ready-file', readyFile);
    await expect
      .poll(() => readFile(readyFile, 'utf8').catch(() => ''), { timeout: 60_000 })
      .toMatch(/\n/);
    const { port } = JSON.parse(await readFile(readyFile, 'utf8'));
    return async (name, options = {}, prepare = () => undefined) => {
      const { cert, key } = certificates[name]!;
      const client = connect({
        ...{ host: '127.0.0.1', port, protocol: 'mqtts', ca: pki.ca.cert, cert, key },
        ...{ clientId: name, protocolVersion: 5, reconnectPeriod: 0, ...options },
      });
      client.on('error', () => undefined);
      prepare(client);
      await new Promise<void>((resolve) => {
        client.once('connect', () => {
          resolve();
        });
      });
      return client;
    };
  }

  async function crash(): Promise<void> {
    const gone = once(child!, 'exit');
    child!.kill('SIGKILL');
    await gone;
  }

  it('everything that was acknowledged is there: rights, messages, and the will of who was connected', async () => {
    const first = await run();
    const control = await first(admin);
    const commands = [
      { command: 'createRole', rolename: 'all' },
      ...['publishClientSend', 'publishClientReceive', 'subscribePattern'].map((acltype) => ({
        ...{ command: 'addRoleACL', rolename: 'all', acltype, topic: 'plant/#', allow: true },
      })),
      ...['sender', 'receiver', 'doomed'].flatMap((username) => [
        { command: 'createClient', username },
        { command: 'addClientRole', username, rolename: 'all' },
      ]),
    ];
    await control.publishAsync(topic, JSON.stringify({ commands }), { qos: 1 });
    const lasting: IClientOptions = {
      clean: false,
      properties: { sessionExpiryInterval: 3600 },
    };
    const receiver = await first('receiver', lasting);
    await receiver.subscribeAsync('plant/#', { qos: 1 });
    await receiver.endAsync();
    await first('doomed', {
      will: { topic: 'plant/will', payload: 'the will', qos: 1, retain: false },
    });
    const sender = await first('sender');
    const acknowledged: string[] = [];
    for (let index = 0; index < 400; index += 1) {
      const text = String(index);
      sender.publish('plant/x', text, { qos: index % 2 === 0 ? 1 : 2 }, (error) => {
        if (!error) acknowledged.push(text);
      });
    }
    await expect.poll(() => acknowledged.length).toBeGreaterThan(50);
    await crash();
    sender.end(true);

    const second = await run();
    const seen = new Set<string>();
    const back = await second(
      'receiver',
      { ...lasting, properties: { sessionExpiryInterval: 3600, receiveMaximum: 1000 } },
      (client) => client.on('message', (_topic, payload) => seen.add(payload.toString())),
    );
    await back.subscribeAsync('plant/#', { qos: 1 });
    await expect.poll(() => acknowledged.filter((text) => !seen.has(text))).toEqual([]);
    await expect.poll(() => seen.has('the will')).toBe(true);
    back.end(true);
  });
});
