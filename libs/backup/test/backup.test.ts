// A backup made, proved and brought back, and what becomes of one that was cut, changed or taken for another.
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '@keyline/kernel';
import { has } from '../../../test/support/needs.ts';
import {
  assertNotHalfRestored,
  findBackupSource,
  makeBackup,
  readRestoredLists,
  readRestoredMarker,
  restoreBackup,
  verifyBackup,
  type BackupKey,
  type Restored,
} from '../src/index.ts';
import { makeCaFolder, type MadeFolder } from './support/ca-folder.ts';

let made: MadeFolder;
let file: string;
let count = 0;

beforeAll(async () => {
  made = await makeCaFolder();
  await mkdir(join(made.ca, 'published'));
  await writeFile(join(made.ca, 'published', 'issuing-1.crl'), 'a list');
  // What a backup has no use for, or must not follow.
  await writeFile(join(made.ca, 'reserve.bin'), 'nothing');
  await writeFile(join(made.top, 'secret'), 'not of this folder');
  await symlink(join(made.top, 'secret'), join(made.ca, 'published', 'link'));
  file = await make();
});
afterAll(() => made.remove());

const fresh = (name: string): string => join(made.top, `${name}-${String(++count)}`);
const key = (): BackupKey => ({ identities: [made.identity] });

async function make(given: { includePassphrase?: boolean; out?: string } = {}): Promise<string> {
  const { includePassphrase = false, out = fresh('backup') } = given;
  await makeBackup({
    ...{ out, includePassphrase },
    source: await findBackupSource(made.ca),
    lock: { recipients: [made.recipient] },
    config: undefined,
    includeRoot: false,
    leaveOut: [],
    version: '0.1.0',
    now: Date.UTC(2026, 0, 2, 3, 4, 5),
  });
  return out;
}

const verify = (given: Partial<Parameters<typeof verifyBackup>[0]> = {}) =>
  verifyBackup({
    ...{ file, key: key() },
    askPassphrase: () => Promise.resolve(made.passphrase),
    ...given,
  });

const restore = (given: Partial<Parameters<typeof restoreBackup>[0]> = {}): Promise<Restored> =>
  restoreBackup({
    ...{ file, key: key(), data: fresh('restored'), now: 1_800_000_000_000 },
    askPassphrase: () => Promise.resolve(made.passphrase),
    findLists: () => Promise.resolve([]),
    ...given,
  });

describe('a backup', () => {
  it('is a private file with a manifest of what is in it, and says what it does not have', async () => {
    const manifest = await verify();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(manifest).toMatchObject({
      kind: 'ca',
      createdAt: '2026-01-02T03:04:05Z',
      passphrase: false,
      root: false,
      database: { ledger: { seq: 1 }, authorities: [{ id: 'issuing-1' }] },
    });
    expect(manifest.files.map(({ path }) => path)).toEqual([
      'authorities/issuing-1.key',
      'ca.json',
      'published/issuing-1.crl',
      'keyline.db',
    ]);
    expect(existsSync(join(made.ca, '.backup-work'))).toBe(false);
  });

  it.skipIf(!has('age', 'tar'))('opens with the age program and tar, without Keyline', async () => {
    const folder = fresh('by-hand');
    const identity = join(made.top, 'identity');
    await writeFile(identity, made.identity.reveal(), { mode: 0o600 });
    await mkdir(folder);
    await promisify(execFile)('sh', [
      '-c',
      'age --decrypt --identity "$1" "$2" | tar -x -C "$3"',
      ...['sh', identity, file, folder],
    ]);
    expect(await readFile(join(folder, 'published', 'issuing-1.crl'), 'utf8')).toBe('a list');
    expect((await readdir(folder)).toSorted()).toEqual([
      'authorities',
      'ca.json',
      'keyline.db',
      'manifest.json',
      'published',
    ]);
  });

  it('is not written over a file, nor begun beside another one', async () => {
    await expect(make({ out: file })).rejects.toThrow(/FILE_EXISTS/);
    const both = await Promise.allSettled([make(), make()]);
    expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  });

  it('is not made of keys that their passphrase does not open: it would be worth nothing', async () => {
    const pass = join(made.top, 'ca.pass');
    await writeFile(pass, 'another\n');
    const out = fresh('backup');
    try {
      await expect(make({ out })).rejects.toThrow(/KEY_DECRYPT_FAILED.*issuing-1/);
      expect(existsSync(out)).toBe(false);
    } finally {
      await writeFile(pass, `${made.passphrase.reveal()}\n`);
    }
  });

  it('leaves no half of itself when it is stopped', async () => {
    const out = fresh('backup');
    const stop = new AbortController();
    const making = makeBackup({
      out,
      includePassphrase: false,
      source: await findBackupSource(made.ca),
      lock: { recipients: [made.recipient] },
      config: undefined,
      includeRoot: false,
      leaveOut: [],
      version: '0.1.0',
      now: 0,
      onProgress: (share) => {
        if (share > 0.5) stop.abort();
      },
      signal: stop.signal,
    });
    await expect(making).rejects.toThrow();
    expect((await readdir(made.top)).filter((name) => name.includes(out.slice(-8)))).toEqual([]);
  });
});

describe('the proof of a backup', () => {
  it('asks for the passphrase of the issuing keys, and tells another one', async () => {
    await expect(
      verify({ askPassphrase: () => Promise.resolve(new Secret('another')) }),
    ).rejects.toThrow(/KEY_DECRYPT_FAILED.*"issuing-1"/);
  });

  it('asks nobody where the passphrase is in it', async () => {
    const whole = await make({ includePassphrase: true });
    const askPassphrase = () => Promise.reject(new Error('asked'));
    expect((await verify({ file: whole, askPassphrase })).passphrase).toBe(true);
  });

  it('tells another key from damage', async () => {
    const other = await makeCaFolder();
    await other.remove();
    await expect(verify({ key: { identities: [other.identity] } })).rejects.toThrow(
      /KEY_DECRYPT_FAILED.*other recipients/,
    );
  });

  it('notices every way in which a file is cut or changed', async () => {
    const whole = await readFile(file);
    const bad = fresh('bad');
    const at = [10, 100, 250, 66_000, whole.length - 1];
    for (const length of at) {
      await writeFile(bad, whole.subarray(0, length));
      await expect(verify({ file: bad })).rejects.toThrow(/FILE_UNREADABLE|KEY_DECRYPT_FAILED/);
    }
    for (const place of at.map((one) => Math.min(one, whole.length - 1))) {
      const changed = Buffer.from(whole);
      changed[place] = (changed[place] ?? 0) ^ 1;
      await writeFile(bad, changed);
      await expect(verify({ file: bad })).rejects.toThrow(/FILE_UNREADABLE|KEY_DECRYPT_FAILED/);
    }
    await writeFile(bad, Buffer.concat([whole, Buffer.from('more')]));
    await expect(verify({ file: bad })).rejects.toThrow(/FILE_UNREADABLE/);
  });

  it.each([
    ['there is none', 'none', /FILE_NOT_FOUND/],
    ['it is a folder', 'ca', /is no file/],
    ['it is something else', 'ca/ca.json', /does not begin as an age file/],
  ])('says so when %s', async (_, name, words) => {
    await expect(verify({ file: join(made.top, name) })).rejects.toThrow(words);
  });
});

describe('a restore', () => {
  it('brings everything back, puts the passphrase where it is found, and says that this is an older day', async () => {
    const data = fresh('restored');
    const der = Buffer.from('a newer list');
    const list = { der, publishedAs: 'issuing-1.crl' };
    const { manifest } = await restore({ data, findLists: () => Promise.resolve([list]) });
    expect((await readdir(data)).toSorted()).toEqual([
      'authorities',
      'ca.json',
      'ca.pass',
      'keyline.db',
      'published',
      'restored-crls',
      'restored.json',
    ]);
    // It was outside of the folder.
    expect(JSON.parse(await readFile(join(data, 'ca.json'), 'utf8'))).toMatchObject({
      passphraseFile: 'ca.pass',
      httpUrl: 'http://127.0.0.1:8080',
    });
    expect((await stat(join(data, 'ca.pass'))).mode & 0o777).toBe(0o600);
    expect(await readRestoredMarker(data)).toMatchObject({ backup: manifest.id, ledgerSeq: 1 });
    expect([...(await readRestoredLists(data)).values()]).toEqual([der]);
    expect(await readFile(join(data, 'published', 'issuing-1.crl'))).toEqual(der);
    expect(() => assertNotHalfRestored(data)).not.toThrow();
    await expect(restore({ data })).rejects.toThrow(/FILE_EXISTS.*not empty/);
  });

  it('leaves nothing of itself when the file is damaged, the passphrase is wrong or a CRL is refused', async () => {
    const whole = await readFile(file);
    const bad = fresh('bad');
    await writeFile(bad, whole.subarray(0, whole.length - 1000));
    const empty = fresh('empty');
    await mkdir(empty);
    for (const given of [
      { file: bad },
      { askPassphrase: () => Promise.resolve(new Secret('another')) },
      { findLists: () => Promise.reject(new Error('no such list')) },
    ]) {
      const data = fresh('restored');
      await expect(restore({ ...given, data })).rejects.toThrow();
      expect(existsSync(data)).toBe(false);
      await expect(restore({ ...given, data: empty })).rejects.toThrow();
      expect(await readdir(empty)).toEqual([]);
    }
    await restore({ data: empty });
  });

  it('that was killed half-way is a folder on which nothing starts, and into which nothing is restored', async () => {
    const data = fresh('restored');
    // What kill -9 leaves: the mark, and some of the files.
    await restore({ data });
    await writeFile(join(data, 'restore-incomplete'), '');
    await rm(join(data, 'keyline.db'));
    expect(() => assertNotHalfRestored(data)).toThrow(/was interrupted.*nothing starts/);
    await expect(restore({ data })).rejects.toThrow(/was interrupted.*Remove that folder/);
  });
});
