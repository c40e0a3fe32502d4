// keyline-broker serve --engine mosquitto as a process: its ready file, its end, and what it says when something is missing.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { findMosquitto } from '../src/mosquitto/find-mosquitto.ts';
import { caConfig } from './support/mosquitto-broker.ts';
import { TestPki, type TestCertificate } from './support/test-pki.ts';

const program = join(import.meta.dirname, '..', 'bin', 'keyline-broker');
const patience = { timeout: 60_000, interval: 20 };

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-mosquitto-process-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe('Mosquitto on this machine', () => {
  async function pretend(text: string): Promise<string> {
    const path = join(folder, 'mosquitto');
    await writeFile(path, `#!/bin/sh\necho '${text}'\nexit 3\n`);
    await chmod(path, 0o755);
    return path;
  }

  it('that is too old is refused, with its version', async () => {
    const path = await pretend('mosquitto version 1.6.9');
    await expect(findMosquitto(path, {})).rejects.toThrow(/Mosquitto 1\.6\.9; 2\.0 or later/);
  });

  it('that is something else is refused', async () => {
    const path = await pretend('hello');
    await expect(findMosquitto(path, {})).rejects.toThrow(/does not say which Mosquitto it is/);
  });

  it('that is not where it is said to be is told, with how to install it', async () => {
    await expect(findMosquitto(join(folder, 'nowhere'), {})).rejects.toThrow(
      /no program at .*nowhere.*apt-get install mosquitto.*--engine embedded/s,
    );
  });

  it.skipIf(!has('mosquitto'))('is told to reload by SIGHUP from 2.1 on only', async () => {
    const found = await Promise.all([
      findMosquitto(await pretend('mosquitto version 2.1.2'), {}),
      findMosquitto(undefined, { PATH: '/usr/sbin' }),
    ]);
    expect(found.map(({ version, hangUpIsSafe }) => [version.slice(0, 3), hangUpIsSafe])).toEqual([
      ['2.1', true],
      expect.arrayContaining([found[1].version.slice(0, 3), !found[1].version.startsWith('2.0')]),
    ]);
  });
});

describe.skipIf(!has('openssl', 'mosquitto'))('keyline-broker serve --engine mosquitto', () => {
  let pki: TestPki;
  let server: TestCertificate;
  let child: ChildProcess | undefined;

  beforeAll(async () => {
    pki = await TestPki.create();
    server = await pki.issue('broker', { usage: 'serverAuth' });
  });
  afterEach(() => {
    child?.kill('SIGKILL');
    child = undefined;
  });
  afterAll(() => pki.remove());

  const data = (): string => join(folder, 'data');

  function start(...more: string[]): { output: () => string; exit: Promise<number | null> } {
    let text = '';
    child = spawn(program, [
      ...['serve', '--engine', 'mosquitto', '--data', data(), '--port', '0'],
      ...['--cert', server.certFile, '--key', server.keyFile, '--ca', pki.ca.certFile],
      ...['--admin', 'keyline@service', ...more],
    ]);
    child.stdout?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stderr?.on('data', (chunk: Buffer) => (text += chunk.toString()));
    const exit = once(child, 'close').then(([code]) => code as number | null);
    return { output: () => text, exit };
  }

  async function serving(readyFile: string): Promise<{ port: number; metricsPort: number }> {
    await expect.poll(() => readFile(readyFile, 'utf8').catch(() => ''), patience).toMatch(/\n/);
    return JSON.parse(await readFile(readyFile, 'utf8'));
  }

  const pidOfMosquitto = async (): Promise<number> =>
    Number(await readFile(join(data(), 'mosquitto.pid'), 'utf8'));

  /** A dead process that nobody has waited for yet has no command line. */
  async function runs(pid: number): Promise<boolean> {
    return (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')) !== '';
  }

  it('says when it serves, answers its health, and ends with its Mosquitto on SIGTERM', async () => {
    const readyFile = join(folder, 'ready');
    const { output, exit } = start('--config', caConfig, '--ready-file', readyFile);
    const { metricsPort } = await serving(readyFile);
    const health = await fetch(`http://127.0.0.1:${metricsPort}/healthz`);
    expect(await health.json()).toEqual({ status: 'ok' });
    const metrics = await (await fetch(`http://127.0.0.1:${metricsPort}/metrics`)).text();
    expect(metrics).toMatch(/^keyline_broker_info\{engine="mosquitto",version="2\.\d+\.\d+"\} 1$/m);
    const pid = await pidOfMosquitto();
    child?.kill('SIGTERM');
    expect(await exit).toBe(0);
    expect(await runs(pid)).toBe(false);
    await expect(readFile(readyFile)).rejects.toThrow(/ENOENT/);
    await expect(pidOfMosquitto()).rejects.toThrow(/ENOENT/);
    expect(output()).toMatch(
      /"part":"mosquitto","msg":"mosquitto version 2\.\d+\.\d+ terminating"/,
    );
  });

  it('leaves a folder alone that another has: it would take its Mosquitto for a leftover, and end it', async () => {
    const readyFile = join(folder, 'ready-first');
    const first = start('--config', caConfig, '--ready-file', readyFile);
    const running = child;
    await serving(readyFile);
    const pid = await pidOfMosquitto();
    const second = start('--config', caConfig);
    expect(await second.exit).toBe(6);
    expect(second.output()).toMatch(/Another broker uses the folder/);
    expect(await runs(pid)).toBe(true);
    expect(await pidOfMosquitto()).toBe(pid);
    running?.kill('SIGTERM');
    expect(await first.exit).toBe(0);
  });

  it('takes its Mosquitto with it when it is killed, or finds it at the next start', async () => {
    const readyFile = join(folder, 'ready-killed');
    const first = start('--config', caConfig, '--ready-file', readyFile);
    await serving(readyFile);
    const pid = await pidOfMosquitto();
    child?.kill('SIGKILL');
    await first.exit;
    await rm(readyFile);
    const second = start('--config', caConfig, '--ready-file', readyFile);
    await serving(readyFile);
    expect(await runs(pid)).toBe(false);
    expect(await runs(await pidOfMosquitto())).toBe(true);
    child?.kill('SIGTERM');
    expect(await second.exit).toBe(0);
  });

  it.each([
    [
      'Mosquitto',
      ['--config', caConfig, '--mosquitto', '/nowhere/mosquitto'],
      6,
      /no program at \/nowhere\/mosquitto.*Install it/,
    ],
    ['the folder of the roles', [], 2, /needs --config DIR/],
    [
      'plain HTTP for the CRL',
      ['--config', caConfig, '--crl-url', 'https://x/y.crl'],
      2,
      /http:\/\/ URL/,
    ],
    [
      'a CRL for WebSocket',
      ['--config', caConfig, '--websocket-port', '0'],
      2,
      /--websocket-port is for --engine embedded/,
    ],
    [
      'a Mosquitto that chooses its key exchange',
      ['--config', caConfig, '--tls-groups', 'X25519MLKEM768'],
      2,
      /--tls-groups and --tls-signature-algorithms are for --engine embedded/,
    ],
  ])('ends with a message when %s is missing', async (_what, args, code, message) => {
    const { output, exit } = start(...args);
    expect(await exit).toBe(code);
    expect(output()).toMatch(message);
  });
});
