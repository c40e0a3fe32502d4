import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
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
    .poll(() => readFile(readyFile, 'utf8').catch(() => ''), { timeout: 20_000 })
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
  expect(await exit).toBe(1);
  expect(output()).toMatch(/server certificate .*nowhere\.pem is not there/);
});

it('ends with exit code 2 on a line it does not understand', async () => {
  const { output, exit } = start('--max-connections', 'many');
  expect(await exit).toBe(2);
  expect(output()).toMatch(/max-connections.*whole number/s);
});
