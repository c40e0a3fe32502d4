import { createServer } from 'node:net';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultLogBounds, ServiceLog } from '@keyline/process';
import { parseBrokerOption } from '../src/up/broker-options.ts';
import { Child } from '../src/up/child.ts';
import { stopLeftovers } from '../src/up/leftovers.ts';
import { acquireLock } from '../src/up/lock.ts';
import { assertPortsFree, innerUrlsOf, loadPlan, urlsOf } from '../src/up/plan.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-up-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('the plan of a data folder', () => {
  it('keeps the ports that were free at the first start', async () => {
    const file = join(folder, 'keyline.json');
    const first = await loadPlan(file, { ports: {} });
    expect(new Set(Object.values(first.ports)).size).toBe(4);
    expect(await loadPlan(file, { ports: {} })).toEqual(first);
    expect(urlsOf(first).http).toBe(`http://127.0.0.1:${String(first.ports.http)}`);
  });

  it('lets the API move but not what stands in certificates', async () => {
    const file = join(folder, 'keyline.json');
    const { ports } = await loadPlan(file, { ports: {} });
    const moved = await loadPlan(file, { ports: { api: 1234 } });
    expect(moved.ports).toEqual({ ...ports, api: 1234 });
    await expect(loadPlan(file, { ports: { http: 1234 } })).rejects.toMatchObject({
      code: 'USAGE',
    });
    await expect(loadPlan(file, { host: '127.0.0.2', ports: {} })).rejects.toMatchObject({
      code: 'USAGE',
    });
  });

  it('listens elsewhere than it is called, when told so, and finds its own programs without leaving the machine', async () => {
    const file = join(folder, 'keyline.json');
    const host = 'ca.example.org';
    const { ports } = await loadPlan(file, { host, listen: '0.0.0.0', ports: {} });
    const plan = await loadPlan(file, { ports: {} });
    expect(plan).toMatchObject({ host, listen: '0.0.0.0' });
    expect(urlsOf(plan).api).toBe(`https://ca.example.org:${String(ports.api)}`);
    expect(innerUrlsOf(plan).broker).toBe(`mqtts://127.0.0.1:${String(ports.broker)}`);
    await assertPortsFree(plan);
    const one = await loadPlan(file, { listen: '127.0.0.1', ports: {} });
    expect(innerUrlsOf(one)).toEqual(urlsOf({ ...one, host: '127.0.0.1' }));
    await expect(loadPlan(file, { listen: 'localhost', ports: {} })).rejects.toThrow(
      /no IP address/,
    );
  });

  it('keeps the engine of the broker until another is asked for, and takes older plans for embedded', async () => {
    const file = join(folder, 'keyline.json');
    const { engine: first, ...older } = await loadPlan(file, { ports: {} });
    writeFileSync(file, JSON.stringify(older));
    const engines = [first];
    for (const engine of [undefined, 'mosquitto', undefined, 'embedded'] as const) {
      engines.push((await loadPlan(file, { engine, ports: {} })).engine);
    }
    expect(engines).toEqual(['embedded', 'embedded', 'mosquitto', 'mosquitto', 'embedded']);
    writeFileSync(file, JSON.stringify({ ...older, engine: 'other' }));
    await expect(loadPlan(file, { ports: {} })).rejects.toThrow(/not a plan/);
  });

  it.each(['0.0.0.0', '::', 'localhost'])(
    'refuses the host %s, which no URL can carry',
    async (host) => {
      await expect(loadPlan(join(folder, 'p'), { host, ports: {} })).rejects.toMatchObject({
        code: 'USAGE',
      });
    },
  );

  it('names the port that another program holds', async () => {
    const server = createServer();
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const plan = await loadPlan(join(folder, 'p'), { ports: { broker: port } });
    await expect(assertPortsFree(plan)).rejects.toThrow(`127.0.0.1:${String(port)} (the broker)`);
    await new Promise((done) => server.close(done));
    await assertPortsFree(plan);
  });
});

describe('an option for the broker', () => {
  it('is passed on as it is, unless up decides it itself or it is no name=value', () => {
    expect(parseBrokerOption('max-connections=20000')).toEqual(['--max-connections', '20000']);
    expect(parseBrokerOption('ciphers=A:B=C')).toEqual(['--ciphers', 'A:B=C']);
    expect(parseBrokerOption('port=1')).toContain('--port-broker');
    for (const name of ['cert', 'admin', 'ready-file', 'client-authorities']) {
      expect(parseBrokerOption(`${name}=x`)).toContain('decided by keyline up');
    }
    for (const bad of ['', '=', 'ciphers', 'ciphers=', '--ciphers=x', 'a b=c']) {
      expect(parseBrokerOption(bad)).toContain('name=value');
    }
  });
});

describe('the lock of a data folder', () => {
  it('is held by one, by whatever path, and is free again after release', async () => {
    symlinkSync(folder, `${folder}-link`);
    const lock = acquireLock(folder, 4711);
    expect(() => acquireLock(`${folder}-link`, 1)).toThrow('process 4711');
    lock.release();
    acquireLock(`${folder}-link`, 1).release();
    rmSync(`${folder}-link`);
  });
});

describe('a supervised process', () => {
  function createChild(script: string, said: string[], onReady = (): void => undefined): Child {
    const program = join(folder, 'program');
    writeFileSync(program, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    return new Child({
      name: 'program',
      program,
      args: [join(folder, 'ready'), folder],
      env: { PATH: '/usr/bin:/bin' },
      readyFile: join(folder, 'ready'),
      pidFile: join(folder, 'program.pid'),
      logFile: join(folder, 'program.log'),
      log: new ServiceLog({
        path: join(folder, 'program.log'),
        bounds: defaultLogBounds,
        now: Date.now,
      }),
      say: (text) => said.push(text),
      onReady,
    });
  }
  const serving = 'echo ready > "$1"; while :; do sleep 0.05; done';

  it('is started again when it dies, and said so', async () => {
    const said: string[] = [];
    let readies = 0;
    const child = createChild(serving, said, () => (readies += 1));
    await child.start();
    const first = child.pid ?? 0;
    expect(readFileSync(join(folder, 'program.pid'), 'utf8')).toBe(`${String(first)}\n`);
    process.kill(first, 'SIGKILL');
    await expect.poll(() => readies, { timeout: 5000 }).toBe(2);
    expect(child.pid).not.toBe(first);
    await child.stop();
    expect(said[0]).toBe('program ended (SIGKILL); starting it again in 0.5 s');
    expect(child.pid).toBeUndefined();
    expect(() => process.kill(first, 0)).toThrow('ESRCH');
  });

  it('gives the end of its log when it does not start', async () => {
    const child = createChild('echo "no such profile" >&2; exit 3', []);
    await expect(child.start()).rejects.toThrow(/exit code 3[^]*no such profile/);
    await child.stop();
  });

  it('is started again when it is killed during its own start, and is then watched as ever', async () => {
    const said: string[] = [];
    const file = join(folder, 'tries');
    // The first two are killed before they serve.
    const child = createChild(
      `echo x >> "${file}"; [ $(wc -l < "${file}") -lt 3 ] && kill -9 $$; ${serving}`,
      said,
    );
    await child.start();
    expect(said).toEqual([
      'program ended while it was starting (SIGKILL); starting it again in 0.5 s',
      'program ended while it was starting (SIGKILL); starting it again in 1 s',
    ]);
    expect(child.pid).toBeDefined();
    await child.stop();
  });

  it('that never serves is given up with the number of attempts and its last words', async () => {
    const said: string[] = [];
    const child = createChild('echo "the port is taken" >&2; exit 3', said);
    await expect(child.start()).rejects.toThrow(
      /did not start: exit code 3[^]*the port is taken\n\(2 attempts\)$/,
    );
    expect(said).toHaveLength(1);
    await child.stop();
  });

  it('stops while it is still starting', async () => {
    const child = createChild('sleep 60', []);
    const started = child.start();
    await expect.poll(() => child.pid).toBeDefined();
    await Promise.all([
      expect(started).rejects.toMatchObject({ name: 'AbortError' }),
      child.stop(),
    ]);
    expect(child.pid).toBeUndefined();
  });
});

describe('services that outlived their supervisor', () => {
  it('are found without a file too, as after a kill between a start and its note', async () => {
    const run = join(folder, 'run-2');
    mkdirSync(run);
    const program = join(folder, 'idle-2');
    writeFileSync(program, '#!/bin/sh\nwhile :; do sleep 0.05; done\n', { mode: 0o755 });
    const data = join(folder, 'data-2');
    const ours = spawn(program, ['serve', '--data', join(data, 'ca')]);
    const ended = once(ours, 'exit');
    // Until it is what it will be: before, it is a copy of this process.
    await once(ours, 'spawn');
    const said: string[] = [];
    await stopLeftovers({
      folder: run,
      data,
      signalProcess: (pid, signal) => process.kill(pid, signal),
      say: (text) => said.push(text),
    });
    await ended;
    expect(said).toHaveLength(1);
  });

  it('are stopped when they belong to the folder, and others left alone', async () => {
    const run = join(folder, 'run');
    mkdirSync(run);
    const program = join(folder, 'idle');
    writeFileSync(program, '#!/bin/sh\nwhile :; do sleep 0.05; done\n', { mode: 0o755 });
    const ours = spawn(program, ['serve', '--data', join(folder, 'ca')]);
    const other = spawn(program, ['serve', '--data', '/somewhere/else']);
    const ended = new Promise((done) =>
      ours.once('exit', (_, signal) => {
        done(signal);
      }),
    );
    writeFileSync(join(run, 'keyline-ca.pid'), `${String(ours.pid)}\n`);
    writeFileSync(join(run, 'keyline-broker.pid'), `${String(other.pid)}\n`);
    const said: string[] = [];
    await stopLeftovers({
      folder: run,
      data: folder,
      signalProcess: (pid, signal) => process.kill(pid, signal),
      say: (text) => said.push(text),
    });
    expect(await ended).toBe('SIGTERM');
    expect(other.exitCode).toBeNull();
    expect(said).toHaveLength(1);
    other.kill('SIGKILL');
  });
});
