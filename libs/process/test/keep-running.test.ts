// The supervisor with real processes: small shell programs that serve, end, or do not listen.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { awaitReady, endLeftover, KeepRunning, RunningProcess } from '../src/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-process-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const serving = 'echo ready > "$1"; while :; do sleep 0.05; done';

function start(script: string, output: (text: string) => void = () => undefined): RunningProcess {
  return RunningProcess.start({
    program: '/bin/sh',
    args: ['-c', script, 'program', join(folder, 'ready')],
    pidFile: join(folder, 'pid'),
    output: (stream) => stream.setEncoding('utf8').on('data', output),
  });
}

/** Keeps a script running; `said` is what happened, in order. */
function keep(script: () => string, stopPatience = 10_000) {
  const said: string[] = [];
  const pids: (number | undefined)[] = [];
  const keeper = new KeepRunning({
    paces: { shortest: 1, longest: 4, settledAfter: 60_000 },
    stopPatience,
    firstAttempts: (ending) => (ending?.wasKilled === true ? 3 : 1),
    async launch(started, signal) {
      rmSync(join(folder, 'ready'), { force: true });
      const running = start(script());
      started(running);
      pids.push(running.pid);
      const isOver = (): boolean => running.ending !== undefined;
      if (!(await awaitReady(join(folder, 'ready'), { isOver, signal }))) {
        throw new Error(`not started: ${running.ending?.how ?? ''}`);
      }
    },
    onStartFailed: ({ ending, delay }) => said.push(`failed ${ending?.how ?? ''} ${String(delay)}`),
    onEnded: ({ ending, delay, isAsked }) => {
      said.push(`${isAsked ? 'asked' : 'ended'} ${ending.how} ${String(delay)}`);
    },
    onServingAgain: () => said.push('again'),
    onNotStarted: (error) => said.push((error as Error).message),
    onStubborn: () => said.push('stubborn'),
  });
  return { keeper, said, pids };
}

const isAlive = (pid: number | undefined): boolean => {
  try {
    return process.kill(pid ?? 0, 0);
  } catch {
    return false;
  }
};

describe('what is kept running', () => {
  it('is started again when it ends, with longer and longer pauses, until it is stopped', async () => {
    const { keeper, said, pids } = keep(() => serving);
    await keeper.start();
    for (const count of [2, 4, 6, 8]) {
      keeper.running?.signal('SIGKILL');
      await expect.poll(() => said.length).toBe(count);
    }
    const delays = [1, 2, 4, 4].map(String);
    expect(said).toEqual(delays.flatMap((delay) => [`ended SIGKILL ${delay}`, 'again']));
    await keeper.stop();
    expect(pids.map(isAlive)).toEqual([false, false, false, false, false]);
    expect(keeper.running).toBeUndefined();
    await keeper.restart();
    expect(pids).toHaveLength(5);
  });

  it('is restarted at once when asked to, which is no fault of its own', async () => {
    const { keeper, said } = keep(() => serving);
    await keeper.start();
    await keeper.restart();
    await expect.poll(() => said).toEqual(['asked SIGTERM 0', 'again']);
    keeper.running?.signal('SIGKILL');
    await expect.poll(() => said.slice(2)).toEqual(['ended SIGKILL 1', 'again']);
    await keeper.stop();
  });

  it('is tried again and again when it does not come back, and nothing of it is left', async () => {
    const file = join(folder, 'tries');
    const { keeper, said, pids } = keep(
      () => `echo x >> "${file}"; case $(wc -l < "${file}") in 2|3) exit 7;; esac; ${serving}`,
    );
    await keeper.start();
    keeper.running?.signal('SIGKILL');
    await expect
      .poll(() => said)
      .toEqual([
        'ended SIGKILL 1',
        'not started: exit code 7',
        'not started: exit code 7',
        'again',
      ]);
    await keeper.stop();
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it('has as many attempts at first as its end deserves', async () => {
    const { keeper, said } = keep(() => 'kill -9 $$');
    await expect(
      keeper.start((error, attempts) => new Error(`${String(error)} (${String(attempts)})`)),
    ).rejects.toThrow('not started: SIGKILL (3)');
    expect(said).toEqual(['failed SIGKILL 1', 'failed SIGKILL 2']);
    const once = keep(() => 'exit 3');
    await expect(once.keeper.start()).rejects.toThrow('exit code 3');
    expect(once.said).toEqual([]);
  });

  it('is killed when it does not end by itself, and is gone when a stop answers, also during its start', async () => {
    const stubborn = keep(() => `trap "" TERM; ${serving}`, 50);
    await stubborn.keeper.start();
    await stubborn.keeper.stop();
    expect(stubborn.said).toEqual(['stubborn']);
    expect(stubborn.pids.map(isAlive)).toEqual([false]);
    const starting = keep(() => 'while :; do sleep 0.05; done');
    const started = starting.keeper.start();
    started.catch(() => undefined);
    await expect.poll(() => starting.pids.length).toBe(1);
    await starting.keeper.stop();
    await expect(started).rejects.toThrow();
    expect(starting.pids.map(isAlive)).toEqual([false]);
  });
});

describe('a running process', () => {
  it('has its id on disk, its words with its supervisor, and says how it ended', async () => {
    let said = '';
    const running = start('echo out; echo err >&2; exit 5', (text) => (said += text));
    await running.remember();
    expect(readFileSync(join(folder, 'pid'), 'utf8')).toBe(`${String(running.pid)}\n`);
    expect(await running.ended).toEqual({ how: 'exit code 5', wasKilled: false });
    await expect.poll(() => said.split('\n').sort()).toEqual(['', 'err', 'out']);
    // To one that is gone nothing is sent: its id may be another's.
    running.signal('SIGKILL');
    await running.stop(10);
  });

  it('that can not be started has ended, and why is said', async () => {
    const running = RunningProcess.start({
      program: join(folder, 'nothing'),
      args: [],
      pidFile: join(folder, 'pid'),
      output: () => undefined,
    });
    await running.remember();
    expect((await running.ended).how).toContain('ENOENT');
    await running.stop(10);
  });
});

describe('a process of an earlier supervisor', () => {
  it('is ended, by force when nothing else helps', async () => {
    for (const script of [serving, `trap "" TERM; ${serving}`]) {
      rmSync(join(folder, 'ready'), { force: true });
      const running = start(script);
      const signal = new AbortController().signal;
      await awaitReady(join(folder, 'ready'), { isOver: () => false, signal });
      await endLeftover({
        isOurs: async () => running.ending === undefined,
        signal: (name) => running.signal(name),
        patience: 50,
      });
      expect(running.ending?.wasKilled).toBe(true);
    }
  });
});
