// One backup: copies of everything as of now, put into one archive, encrypted on its way into a file that has its name only when it is whole.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { open, readdir, readFile, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { createFolder, readTextIfThere, writeNewFile } from '@keyline/files';
import { formatInstant, KeylineError } from '@keyline/kernel';
import { loadPassphraseFile } from '@keyline/keys';
import { lockFolder } from '@keyline/process';
import { copySqliteDatabase, findDatabaseDamage, readDatabaseFacts } from '@keyline/store';
import { encryptPieces, type BackupLock } from './age-file.ts';
import { isWithin, type BackupSource } from './backup-source.ts';
import { piecesOf } from './copy-journal-folder.ts';
import { assertIssuingKeys } from './issuing-keys.ts';
import type { Manifest } from './manifest.ts';
import { stageConfiguration, stageFiles } from './stage-files.ts';
import { encodeTarHeader, tarEnd, tarPadding } from './tar.ts';

export const manifestName = 'manifest.json';
/** The passphrase of the issuing keys, when it is in. */
export const passphraseName = 'issuing-passphrase';
export const configurationName = 'ca-config';
const work = '.backup-work';
const databaseName = 'keyline.db';

export interface BackupOptions {
  readonly source: BackupSource;
  /** Absolute. */
  readonly out: string;
  readonly lock: BackupLock;
  /** Folder of the configuration in use, absolute: put in where it lies outside the data folder. */
  readonly config: string | undefined;
  readonly includeRoot: boolean;
  readonly includePassphrase: boolean;
  /** Absolute; with what is below: never put in. */
  readonly leaveOut: readonly string[];
  /** Of the program. */
  readonly version: string;
  /** Epoch milliseconds. */
  readonly now: number;
  /** From 0 to 1. */
  readonly onProgress?: (share: number, doing: string) => void;
  readonly signal?: AbortSignal;
}

export interface MadeBackup {
  readonly manifest: Manifest;
  /** Of the file. */
  readonly bytes: number;
}

/**
 * @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE, STORE_MISSING, KEY_DECRYPT_FAILED when the issuing keys do not open: such a backup
 * would be worth nothing; USAGE
 */
export async function makeBackup(options: BackupOptions): Promise<MadeBackup> {
  const { source, out } = options;
  if (existsSync(out)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${out} exists already and is not overwritten. Give another name.`,
    );
  }
  const lock = lockFolder({
    folder: source.folder,
    name: 'backup.lock',
    explain: (failure) =>
      failure.why === 'taken'
        ? new KeylineError(
            'STORE_CONFLICT',
            `Another backup of ${source.folder} is being made. Wait for its end.`,
          )
        : new KeylineError(
            'FILE_UNREADABLE',
            `${source.folder} can't be written to (${failure.detail}). Make room there, or run it as its owner.`,
          ),
  });
  const staging = join(source.folder, work);
  try {
    // What a backup left that was killed.
    await rm(staging, { recursive: true, force: true });
    await assertRoom(options);
    await createFolder(staging, 0o700);
    return await writeArchive(options, staging, await stage(options, staging));
  } finally {
    await rm(staging, { recursive: true, force: true });
    lock.release();
  }
}

/** Left free beside the copies. */
const spareBytes = 64 * 1024 * 1024;

/** A disk that a backup fills stops the CA. */
async function assertRoom({ source }: BackupOptions): Promise<void> {
  const { bavail, bsize } = await statfs(source.folder);
  const database = join(source.caFolder, databaseName);
  let needed = spareBytes;
  for (const file of [database, `${database}-wal`]) {
    needed += (await stat(file).catch(() => undefined))?.size ?? 0;
  }
  if (bavail * bsize >= needed) return;
  throw new KeylineError(
    'FILE_UNREADABLE',
    `The backup copies the database before it packs it, and for that ${inMiB(needed)} must be free on the disk of ${source.folder}; ${inMiB(bavail * bsize)} are. Make room there. Nothing was written.`,
  );
}

const inMiB = (bytes: number): string => `${String(Math.ceil(bytes / 1_048_576))} MiB`;

const stages = { database: 0.35, judged: 0.5 } as const;

async function stage(options: BackupOptions, staging: string): Promise<Omit<Manifest, 'files'>> {
  const { source, config, includeRoot, includePassphrase, onProgress, signal } = options;
  const { kind, folder, caFolder, passphraseFile } = source;
  const database = join(staging, kind === 'plant' ? 'ca' : '', databaseName);
  await createFolder(dirname(database), 0o700);
  await copySqliteDatabase({
    from: join(caFolder, databaseName),
    to: database,
    onProgress: (share) => onProgress?.(share * stages.database, 'copying the database'),
    ...(signal === undefined ? {} : { signal }),
  });
  onProgress?.(stages.database, 'checking the copy');
  const damage = findDatabaseDamage(database);
  if (damage !== undefined) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `The database in ${caFolder} is damaged: ${damage}. No backup was made; keep those there are, and see docs/disaster-recovery.md.`,
    );
  }
  const facts = readDatabaseFacts(database);
  // After the database: a broker that was told of a revocation since knows more than it, never less.
  await stageFiles({
    source,
    to: staging,
    leaveOut: [
      staging,
      passphraseFile,
      join(folder, 'secrets', 'root.pass'),
      ...(includeRoot ? [] : [join(folder, 'root')]),
      ...options.leaveOut,
    ],
    signal,
  });
  if (includeRoot && kind === 'plant') await stageRootPassphrase(options, staging);
  if (config !== undefined && !isWithin(folder, config)) {
    await rm(join(staging, configurationName), { recursive: true, force: true });
    await stageConfiguration(config, join(staging, configurationName));
  }
  const passphrase = loadPassphraseFile(passphraseFile);
  await assertIssuingKeys(
    facts.authorities,
    (id) => readTextIfThere(join(caFolder, 'authorities', `${id}.key`), 'a key'),
    passphrase,
  );
  if (includePassphrase) {
    await writeNewFile(join(staging, passphraseName), `${passphrase.reveal()}\n`);
  }
  onProgress?.(stages.judged, 'packing');
  return {
    format: 'keyline-backup',
    version: 1,
    id: randomUUID(),
    createdAt: formatInstant(options.now),
    keyline: options.version,
    kind,
    database: {
      ...facts,
      path: [...(kind === 'plant' ? ['ca'] : []), databaseName].join('/'),
      crlNumbers: { ...facts.crlNumbers },
      authorities: facts.authorities.map(({ id, certificate, root }) => ({
        id,
        certificate: Buffer.from(certificate).toString('base64'),
        root: Buffer.from(root).toString('base64'),
      })),
    },
    root: includeRoot && existsSync(join(staging, 'root')),
    passphrase: includePassphrase,
  };
}

/** With the root goes what opens it, where the passphrase of the issuing keys goes in as well. */
async function stageRootPassphrase(
  { source, includePassphrase }: BackupOptions,
  staging: string,
): Promise<void> {
  const file = join(source.folder, 'secrets', 'root.pass');
  if (!includePassphrase || !existsSync(file)) return;
  await createFolder(join(staging, 'secrets'), 0o700);
  await writeNewFile(join(staging, 'secrets', 'root.pass'), await readFile(file));
}

async function writeArchive(
  options: BackupOptions,
  staging: string,
  head: Omit<Manifest, 'files'>,
): Promise<MadeBackup> {
  const { out, lock, now, onProgress, signal } = options;
  const files: Manifest['files'] = [];
  for (const path of await listFiles(staging)) {
    // The largest last: what a restore judges comes before it.
    if (path !== head.database.path) files.push(await describeFile(staging, path));
  }
  files.push(await describeFile(staging, head.database.path));
  const manifest: Manifest = { ...head, files };
  const text = Buffer.from(`${JSON.stringify(manifest, null, 2)}\n`);
  const total = files.reduce((sum, { bytes }) => sum + bytes, 0);
  let done = 0;
  async function* pieces(): AsyncGenerator<Uint8Array> {
    const first = { path: manifestName, bytes: text.length, mode: 0o600 };
    yield encodeTarHeader(first, now);
    yield text;
    yield tarPadding(text.length);
    for (const file of files) {
      yield encodeTarHeader(file, now);
      const opened = await open(join(staging, file.path), 'r');
      try {
        for await (const piece of piecesOf(opened, file.bytes)) {
          signal?.throwIfAborted();
          done += piece.length;
          yield piece;
          onProgress?.(stages.judged + (1 - stages.judged) * (done / total), 'packing');
        }
      } finally {
        await opened.close();
      }
      yield tarPadding(file.bytes);
    }
    yield tarEnd;
  }
  await createFolder(dirname(out), 0o700);
  const written = createHash('sha256');
  const bytes = await writeNewFile(out, hashed(await encryptPieces(lock, pieces()), written));
  await assertWritten(out, written.digest('hex'));
  return { manifest, bytes };
}

async function* hashed(
  pieces: AsyncIterable<Uint8Array>,
  hash: ReturnType<typeof createHash>,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    hash.update(piece);
    yield piece;
  }
}

/** Some network file systems say "written" of what was not. */
async function assertWritten(out: string, expected: string): Promise<void> {
  const read = await hashFile(out);
  if (read === expected) return;
  throw new KeylineError(
    'FILE_UNREADABLE',
    `${out} reads back differently from what was written: do not rely on it, and look at the disk it is on.`,
  );
}

async function describeFile(staging: string, path: string): Promise<Manifest['files'][number]> {
  const { size, mode } = await stat(join(staging, path));
  return { path, bytes: size, sha256: await hashFile(join(staging, path)), mode: mode & 0o777 };
}

async function hashFile(path: string): Promise<string> {
  const file = await open(path, 'r');
  try {
    const hash = createHash('sha256');
    for await (const piece of piecesOf(file, (await file.stat()).size)) hash.update(piece);
    return hash.digest('hex');
  } finally {
    await file.close();
  }
}

async function listFiles(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => basename(path) !== work)
    .toSorted();
}
