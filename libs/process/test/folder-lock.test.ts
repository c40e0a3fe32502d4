// The lock of a folder, between processes.
import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeylineError } from '@keyline/kernel';
import { lockFolder, onStopSignals, untilAborted, type FolderLock } from '../src/index.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-lock-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

const lock = (path = folder, name = 'lock'): FolderLock =>
  lockFolder({
    folder: path,
    name,
    pid: process.pid,
    explain: (failure) =>
      new KeylineError(
        'USAGE',
        failure.why === 'taken' ? `taken by ${String(failure.holder)}` : `no: ${failure.detail}`,
      ),
  });

describe('the lock of a folder', () => {
  it('is held by one, by whatever path and under its name, and is free after release', () => {
    symlinkSync(folder, `${folder}-link`);
    const held = lock();
    expect(() => lock(`${folder}-link`)).toThrow(`taken by ${String(process.pid)}`);
    // Whoever was refused has not loosened it.
    expect(() => lock()).toThrow('taken by');
    lock(folder, 'other').release();
    held.release();
    held.release();
    lock(`${folder}-link`).release();
    rmSync(`${folder}-link`);
  });

  it('goes with the process that held it, however that ended', async () => {
    const room = join(import.meta.dirname, '../src/index.ts');
    const text = `import { lockFolder } from ${JSON.stringify(room)};
      lockFolder({ folder: ${JSON.stringify(folder)}, name: 'lock', pid: process.pid, explain: String });
      // Nobody keeps what lockFolder gave.
      setImmediate(() => { globalThis.gc(); process.stdout.write('held'); });
      setInterval(() => undefined, 1000);`;
    const child = spawn(
      process.execPath,
      ['--expose-gc', '--input-type=module-typescript', '-e', text],
      { cwd: join(import.meta.dirname, '..'), stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const ended = once(child, 'exit');
    try {
      await once(child.stdout, 'data');
      expect(() => lock()).toThrow(`taken by ${String(child.pid)}`);
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    lock().release();
  });

  it('says when there is no such folder', () => {
    expect(() => lock(join(folder, 'none'))).toThrow(/no: .*ENOENT/);
  });
});

describe('the signals that end a service', () => {
  it('abort once, with the name of the first, and are taken ever after', async () => {
    const process = new EventEmitter();
    const stop = onStopSignals(process);
    expect(stop.aborted).toBe(false);
    const waited = untilAborted(stop);
    process.emit('SIGINT');
    process.emit('SIGTERM');
    await waited;
    await untilAborted(stop);
    expect(stop.reason).toBe('SIGINT');
    expect(process.listenerCount('SIGTERM')).toBe(1);
  });
});
