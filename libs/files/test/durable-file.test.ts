// Files as other processes, other users and a stopped writer see them: real folders, real processes.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createFolder,
  removeFile,
  removeUnfinished,
  renameDurably,
  replaceFile,
  replaceFileAtOnce,
  writeNewFile,
} from '../src/index.ts';

let folder: string;
const at = (name: string): string => join(folder, name);
const room = join(import.meta.dirname, '../src/index.ts');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-files-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a program of its own that has `files` and `folder`. */
function runApart(program: string, flags: readonly string[] = []): string {
  const text = `import * as files from ${JSON.stringify(room)};\nconst folder = ${JSON.stringify(folder)};\n${program}`;
  return execFileSync(process.execPath, [...flags, '--input-type=module-typescript', '-e', text], {
    encoding: 'utf8',
    cwd: join(import.meta.dirname, '..'),
  });
}

describe('a file that is replaced', () => {
  it('has its content and its owner alone, whatever stood there, and nothing stays beside it', async () => {
    writeFileSync(at('a'), 'old', { mode: 0o644 });
    expect(await replaceFile(at('a'), 'grün')).toBe(5);
    expect(readFileSync(at('a'), 'utf8')).toBe('grün');
    expect(statSync(at('a')).mode & 0o777).toBe(0o600);
    await replaceFile(at('b'), new Uint8Array([1, 2, 3]), { mode: 0o644 });
    expect([...readFileSync(at('b'))]).toEqual([1, 2, 3]);
    expect(statSync(at('b')).mode & 0o777).toBe(0o644);
    replaceFileAtOnce(at('c'), 'now');
    expect(readFileSync(at('c'), 'utf8')).toBe('now');
    expect(statSync(at('c')).mode & 0o777).toBe(0o600);
    expect(readdirSync(folder).sort()).toEqual(['a', 'b', 'c']);
  });

  it('takes the place of a link, not of what the link leads to', async () => {
    writeFileSync(at('elsewhere'), 'untouched');
    for (const replace of [replaceFile, replaceFileAtOnce]) {
      rmSync(at('link'), { force: true });
      symlinkSync('elsewhere', at('link'));
      await replace(at('link'), 'new');
      expect(readFileSync(at('elsewhere'), 'utf8')).toBe('untouched');
      expect(readFileSync(at('link'), 'utf8')).toBe('new');
    }
  });

  it('may come in slices, and waits with its place for what the caller still has to do', async () => {
    writeFileSync(at('a'), 'old');
    const seen: string[] = [];
    const slices = ['one ', Buffer.from('two '), 'three'];
    const bytes = await replaceFile(at('a'), slices, {
      beside: at('a.new'),
      before: async () => {
        seen.push(readFileSync(at('a'), 'utf8'), readFileSync(at('a.new'), 'utf8'));
      },
    });
    expect(seen).toEqual(['old', 'one two three']);
    expect(readFileSync(at('a'), 'utf8')).toBe('one two three');
    expect(bytes).toBe(13);
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('stays as it was when something fails on the way, and nothing stays beside it', async () => {
    writeFileSync(at('a'), 'old');
    function* broken(): Generator<string> {
      yield 'half';
      throw new Error('no more');
    }
    await expect(replaceFile(at('a'), broken())).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    const before = async (): Promise<void> => Promise.reject(new Error('not yet'));
    await expect(replaceFile(at('a'), 'new', { before })).rejects.toThrow('not yet');
    expect(readFileSync(at('a'), 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('makes room where a stop left half of one, for who is the only writer', async () => {
    writeFileSync(at('.a.tmp'), 'half of the las');
    await replaceFile(at('a'), 'whole', { beside: at('.a.tmp') });
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('is always one of those that were written, however many write at once', async () => {
    const texts = Array.from({ length: 20 }, (_, n) => `${String(n)} `.repeat(5000));
    await Promise.all(texts.map((text) => replaceFile(at('a'), text)));
    expect(texts).toContain(readFileSync(at('a'), 'utf8'));
    expect(readdirSync(folder)).toEqual(['a']);
  });

  it('is old or new and never half for who reads while its writer is killed', async () => {
    const old = 'a'.repeat(2_000_000);
    const next = 'b'.repeat(2_000_000);
    writeFileSync(at('a'), old);
    for (let round = 0; round < 5; round += 1) {
      const text = `import { replaceFile } from ${JSON.stringify(room)};
        for (;;) for (const letter of 'ab') {
          await replaceFile(${JSON.stringify(at('a'))}, letter.repeat(2_000_000));
          process.stdout.write('x');
        }`;
      const args = ['--input-type=module-typescript', '-e', text];
      const child = spawn(process.execPath, args, { cwd: join(import.meta.dirname, '..') });
      await once(child.stdout, 'data');
      for (let look = 0; look < 20; look += 1) {
        expect([old, next]).toContain(readFileSync(at('a'), 'utf8'));
      }
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      expect([old, next]).toContain(readFileSync(at('a'), 'utf8'));
    }
  });
});

describe('a new file', () => {
  it('is whole or not there, and never takes the place of another, a folder or a dangling link', async () => {
    await writeNewFile(at('key'), 'secret');
    expect(statSync(at('key')).mode & 0o777).toBe(0o600);
    expect(statSync(at('key')).nlink).toBe(1);
    mkdirSync(at('folder'));
    symlinkSync('nowhere', at('link'));
    writeFileSync(at('empty'), '');
    for (const name of ['key', 'folder', 'link', 'empty']) {
      await expect(writeNewFile(at(name), 'other')).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    }
    expect(readFileSync(at('key'), 'utf8')).toBe('secret');
    expect(readdirSync(folder).sort()).toEqual(['empty', 'folder', 'key', 'link']);
  });

  it('has one writer of many that try at once', async () => {
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => writeNewFile(at('key'), String(n))),
    );
    const winners = tries.flatMap(({ status }, n) => (status === 'fulfilled' ? [String(n)] : []));
    expect(winners).toEqual([readFileSync(at('key'), 'utf8')]);
    expect(readdirSync(folder)).toEqual(['key']);
  });
});

describe("under Node's permission model, which refuses fsync", () => {
  it('files are written, made and renamed all the same', () => {
    runApart(
      `await files.replaceFile(folder + '/a', 'text');
       await files.writeNewFile(folder + '/b', 'text');
       await files.renameDurably(folder + '/b', folder + '/c');`,
      [
        '--permission',
        `--allow-fs-read=${join(import.meta.dirname, '../../..')}`,
        `--allow-fs-read=${folder}`,
        `--allow-fs-write=${folder}`,
      ],
    );
    expect(readdirSync(folder).sort()).toEqual(['a', 'c']);
    expect(readFileSync(at('c'), 'utf8')).toBe('text');
  });
});

describe('what can not be written', () => {
  it('is told with the place and what to do, and leaves nothing', async () => {
    await expect(replaceFile(at('none/a'), 'x')).rejects.toThrow(
      /none\/a: its folder is not there/,
    );
    mkdirSync(at('folder'));
    await expect(replaceFile(at('folder'), 'x')).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    expect(() => {
      replaceFileAtOnce(at('folder'), 'x');
    }).toThrow(/Can't write/);
    expect(readdirSync(folder)).toEqual(['folder']);
    await expect(createFolder(at('folder'))).resolves.toBeUndefined();
    writeFileSync(at('file'), '');
    for (const inTheWay of [at('file'), at('file/below'), at('file/far/below')]) {
      await expect(createFolder(inTheWay)).rejects.toThrow(/there is a file in its place/);
    }
    await createFolder(at('a/b/c'), 0o700);
    expect(statSync(at('a/b/c')).mode & 0o777).toBe(0o700);
    // Where a folder is there and nothing can be made in it.
    await expect(createFolder('/proc/keyline/none')).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });

  it('a folder of another user says whose it must be', { skip: process.getuid?.() !== 0 }, () => {
    chmodSync(folder, 0o755);
    const said = runApart(`
      process.setgid(65534); process.setuid(65534);
      await files.replaceFile(folder + '/a', 'x').catch((error) => console.log(error.detail));`);
    expect(said).toMatch(/EACCES.*must belong to the user who runs this/);
  });

  it('a file that is gone already is removed; a rename of nothing fails', async () => {
    await removeFile(at('none'));
    await expect(renameDurably(at('none'), at('other'))).rejects.toMatchObject({
      code: 'FILE_UNREADABLE',
    });
  });
});

it('leaves nothing beside its place when a signal ends the process within a write', async () => {
  const { promise: goOn, resolve } = Promise.withResolvers<undefined>();
  async function* slices(): AsyncGenerator<string> {
    yield 'half';
    await goOn;
    yield 'whole';
  }
  const writing = replaceFile(at('list.json'), slices());
  await expect.poll(() => readdirSync(folder)).toHaveLength(1);
  removeUnfinished();
  expect(readdirSync(folder)).toEqual([]);
  resolve(undefined);
  await expect(writing).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  expect(readdirSync(folder)).toEqual([]);
});
