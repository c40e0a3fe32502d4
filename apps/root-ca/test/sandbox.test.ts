// What the launcher's own flags let a process do. A copy of the launcher stands in a tree of the same shape whose main.ts is a probe:
// the flags are the real ones, and the program has no back door for it.
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { assertConfined, type Permission } from '../src/sandbox.ts';
import type { ProbeResults } from './support/probe.ts';
import { launcher, runLauncher } from './support/offline-root.ts';

const project = resolve(import.meta.dirname, '../../..');
const probe = join(import.meta.dirname, 'support', 'probe.ts');

describe('the sandbox of keyline-root', () => {
  let tree: string;
  let folder: string;
  let server: Server;
  let callers = 0;
  let results: ProbeResults;

  beforeAll(async () => {
    tree = mkdtempSync(join(tmpdir(), 'keyline-sandbox-'));
    folder = join(tree, 'offline');
    for (const name of [
      'apps/root-ca/bin',
      'apps/root-ca/src',
      'libs',
      'node_modules',
      'scripts',
      'offline',
    ]) {
      mkdirSync(join(tree, name), { recursive: true });
    }
    copyFileSync(launcher, join(tree, 'apps/root-ca/bin/keyline-root'));
    copyFileSync(probe, join(tree, 'apps/root-ca/src/main.ts'));
    for (const name of ['node', 'place']) {
      symlinkSync(join(project, 'scripts', name), join(tree, 'scripts', name));
    }
    writeFileSync(join(tree, 'secret'), 'outside');
    server = createServer((socket) => {
      callers += 1;
      socket.destroy();
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    const ran = await runLauncher(['probe', String(port), tree, '--dir', folder], {
      launcher: join(tree, 'apps/root-ca/bin/keyline-root'),
      // What a careless or hostile shell might have set.
      env: {
        ...process.env,
        NODE_OPTIONS: '--allow-net --allow-child-process',
        NODE_EXTRA_CA_CERTS: join(tree, 'secret'),
        KEYLINE_SECRET: 'from the environment',
      },
    });
    expect({ code: ran.code, err: ran.err }).toMatchObject({ code: 0 });
    results = JSON.parse(ran.out);
  });
  afterAll(async () => {
    await new Promise((done) => server.close(done));
    rmSync(tree, { recursive: true, force: true });
  });

  it.each([
    'net.connect',
    'net.connect to a socket file',
    'net.listen',
    'tls.connect',
    'http.get',
    'https.get',
    'http2.connect',
    'fetch',
    'WebSocket',
    'dns.lookup',
    'dns.resolve',
    'dgram.send',
    'dgram.bind',
  ])('refuses the network by %s', (name) => {
    // WebSocket does not say why.
    const reason = name === 'WebSocket' ? 'error event' : 'ERR_ACCESS_DENIED';
    expect(results[name]).toBe(`refused: ${reason}`);
  });

  it('let nobody through to a server that was listening', () => {
    expect(callers).toBe(0);
  });

  it.each([
    'starting a program',
    'starting a thread',
    'loading native code',
    'opening the debugger',
    'WASI',
    'code from a string',
    'node:sqlite',
    'node:ffi',
    'process.binding',
  ])('refuses %s', (name) => {
    expect(results[name]).toMatch(/^refused/);
  });

  it.each([
    'reading outside',
    'listing outside',
    'asking about a file outside',
    'writing outside',
    'writing over the program',
    'linking to a file outside',
    'linking symbolically to a file outside',
    'moving a file outside',
  ])('refuses %s', (name) => {
    expect(results[name]).toBe('refused: ERR_ACCESS_DENIED');
  });

  it('lets the process read and write its folder: the probe itself works', () => {
    expect(results['reading and writing inside']).toBe('done: inside');
    expect(readFileSync(join(folder, 'probe'), 'utf8')).toBe('inside');
    expect(existsSync(join(tree, 'written'))).toBe(false);
  });

  it('hands on nothing of the environment but what a terminal needs, beside what its launcher found out', () => {
    expect(results['environment']).toBe('done: KEYLINE_PLACE,LANG,PATH,PWD,TERM');
  });
});

describe('the probe', () => {
  it('gets through where nothing confines it, so that its refusals mean something', async () => {
    const tree = mkdtempSync(join(tmpdir(), 'keyline-probe-'));
    mkdirSync(join(tree, 'offline'));
    writeFileSync(join(tree, 'secret'), 'outside');
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as AddressInfo;
    copyFileSync(probe, join(tree, 'probe.ts'));
    const ran = await runLauncher(
      [join(tree, 'probe.ts'), '--dir', join(tree, 'offline'), 'probe', String(port), tree],
      { launcher: join(project, 'scripts/node') },
    );
    const results: ProbeResults = JSON.parse(ran.out);
    for (const name of [
      ...['net.connect', 'net.listen', 'http2.connect', 'dns.lookup', 'dgram.send', 'dgram.bind'],
      ...['starting a program', 'starting a thread', 'code from a string', 'node:sqlite'],
      ...['reading outside', 'listing outside', 'writing outside', 'linking to a file outside'],
    ]) {
      expect({ name, result: results[name] }).toEqual({
        name,
        result: expect.stringMatching(/^done/),
      });
    }
    await new Promise((done) => server.close(done));
    rmSync(tree, { recursive: true });
  });
});

describe('the launcher', () => {
  it('refuses folders that are everything, hold the program, or have a "*" in their path', async () => {
    for (const [folder, code] of [
      ['/', 2],
      [project, 2],
      [resolve(project, '..'), 2],
      ['/nowhere/at/all', 6],
    ] as const) {
      const ran = await runLauncher(['inspect', '--dir', folder]);
      expect({ folder, code: ran.code }).toEqual({ folder, code });
    }
    const parent = mkdtempSync(join(tmpdir(), 'keyline-star-'));
    mkdirSync(join(parent, 'a*b'));
    expect(await runLauncher(['inspect', '--dir', join(parent, 'a*b')])).toMatchObject({ code: 2 });
    rmSync(parent, { recursive: true });
  });

  it('is found through links, and takes folders with spaces and leading dashes', async () => {
    const parent = mkdtempSync(join(tmpdir(), 'keyline-link-'));
    symlinkSync(launcher, join(parent, 'keyline-root'));
    mkdirSync(join(parent, 'a folder', '-dash'), { recursive: true, mode: 0o700 });
    for (const args of [['--dir', 'a folder'], ['--dir=a folder/-dash']]) {
      const ran = await runLauncher(['inspect', ...args], {
        launcher: join(parent, 'keyline-root'),
        cwd: parent,
      });
      expect(ran).toMatchObject({ code: 6 });
      expect(ran.err).toContain('STORE_MISSING');
    }
    rmSync(parent, { recursive: true });
  });

  it('is the only door: started by Node directly, the program refuses to run', async () => {
    const main = join(project, 'apps/root-ca/src/main.ts');
    const node = join(project, 'scripts/node');
    const bare = await runLauncher([main, 'inspect'], { launcher: node });
    expect(bare).toMatchObject({ code: 3 });
    expect(bare.err).toContain('bin/keyline-root');
    const loose = await runLauncher(
      ['--permission', '--allow-fs-read=*', '--allow-net', main, 'inspect'],
      { launcher: node },
    );
    expect(loose).toMatchObject({ code: 3 });
    expect(loose.err).toMatch(/the network.*the whole file system.*node:sqlite/);
  });
});

describe('assertConfined', () => {
  const permission = (...allowed: string[]): Permission => ({
    has: (scope) => allowed.includes(scope),
  });
  const none = (): boolean => false;

  it('accepts a process that may do nothing', () => {
    expect(() => assertConfined(permission(), none)).not.toThrow();
  });

  it.each([
    'net',
    'child',
    'worker',
    'addon',
    'wasi',
    'inspector',
    'ffi',
    'openssl.store',
    'fs.read',
    'fs.write',
  ])('refuses one that may do more: %s', (scope) => {
    expect(() => assertConfined(permission(scope), none)).toThrow(/must not be allowed/);
  });

  it('refuses one without a permission model, and one with a module that goes past it', () => {
    expect(() => assertConfined(undefined, none)).toThrow(/not confined/);
    expect(() => assertConfined(permission(), (name) => name === 'node:ffi')).toThrow(/node:ffi/);
  });
});
