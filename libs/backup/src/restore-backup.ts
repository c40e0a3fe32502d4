// A backup brought back into an empty folder: all of it, or nothing that starts. What comes of it is an older day, and says so: the issuing CA
// acts on the marker at its next start.
import { existsSync } from 'node:fs';
import { readdir, readFile, rm } from 'node:fs/promises';
import { basename, dirname, join, relative } from 'node:path';
import { createFolder, replaceFile, syncFolder, writeNewFile } from '@keyline/files';
import { formatInstant, KeylineError, messageOf, type Secret } from '@keyline/kernel';
import { migrateSqliteStore, schemaVersion } from '@keyline/store';
import type { BackupKey } from './age-file.ts';
import { caFolderOf, findPassphraseFile, isWithin, settingsName } from './backup-source.ts';
import { markIncomplete } from './incomplete-restore.ts';
import { passphraseName } from './make-backup.ts';
import type { Manifest } from './manifest.ts';
import { readBackup } from './read-backup.ts';
import { restoredListsOf, writeRestoredMarker } from './restored-marker.ts';
import {
  assertKnownVersion,
  judgeDatabase,
  judgeKeys,
  readPassphrase,
  SmallFiles,
} from './verify-backup.ts';

/** A CRL that was published after the backup. */
export interface RestoredList {
  readonly der: Uint8Array;
  /** File name among those that the service keeps as published; undefined: it has no place there. */
  readonly publishedAs: string | undefined;
}

export interface RestoreOptions {
  /** Absolute. */
  readonly file: string;
  readonly key: BackupKey;
  /** Absolute; must not be there, or be empty. */
  readonly data: string;
  /** The passphrase of the issuing keys; asked for when the backup does not have it. */
  readonly askPassphrase: () => Promise<Secret>;
  /** CRLs that were published since. @throws to refuse them */
  readonly findLists: (manifest: Manifest) => Promise<readonly RestoredList[]>;
  /** Epoch milliseconds. */
  readonly now: number;
  readonly onProgress?: (share: number) => void;
  readonly signal?: AbortSignal;
}

export interface Restored {
  readonly manifest: Manifest;
  /** Versions of the database, where they differ. */
  readonly migrated: { readonly from: number; readonly to: number } | undefined;
}

/** @throws {KeylineError} FILE_EXISTS, FILE_NOT_FOUND, FILE_UNREADABLE, KEY_DECRYPT_FAILED, STORE_STALE, and what `findLists` throws */
export async function restoreBackup(options: RestoreOptions): Promise<Restored> {
  const { data } = options;
  const wasThere = await assertEmpty(data);
  await createFolder(data, 0o700);
  const incomplete = markIncomplete(data);
  try {
    await incomplete.begin();
    const restored = await unpack(options);
    await syncFolders(data);
    await incomplete.end();
    return restored;
  } catch (error) {
    await clear(data, { wasThere });
    throw error;
  }
}

/** @returns whether the folder is there */
async function assertEmpty(data: string): Promise<boolean> {
  let names: string[];
  try {
    names = await readdir(data);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    throw new KeylineError(
      code === 'ENOTDIR' ? 'FILE_EXISTS' : 'FILE_UNREADABLE',
      code === 'ENOTDIR'
        ? `${data} is a file. Give a folder that is not there yet.`
        : `${data} can't be looked into: ${messageOf(error)}.`,
      { cause: error },
    );
  }
  // What a file system of its own has at its top.
  const there = names.filter((name) => name !== 'lost+found');
  if (there.length === 0) return true;
  throw new KeylineError(
    'FILE_EXISTS',
    existsSync(markIncomplete(data).path)
      ? `A restore into ${data} was interrupted: what is there is not whole. Remove that folder, and run this again.`
      : `${data} is not empty, and nothing in it is overwritten. Move it away (keep it: it may know of revocations that the backup does not), or give another folder.`,
  );
}

async function unpack(options: RestoreOptions): Promise<Restored> {
  const { file, key, data, onProgress, signal } = options;
  const small = new SmallFiles();
  let passphrase: Secret | undefined;
  let judged: Manifest | undefined;
  let lists: readonly RestoredList[] = [];
  const manifest = await readBackup(file, key, {
    async onManifest(found) {
      assertKnownVersion(found);
      judged = found;
      lists = await options.findLists(found);
      if (!found.passphrase) passphrase = await options.askPassphrase();
    },
    async onFile(one, content) {
      signal?.throwIfAborted();
      if (one.path === passphraseName) {
        passphrase = await readPassphrase(content);
        return;
      }
      if (judged !== undefined && one.path === judged.database.path) {
        await judgeKeys(judged, small, passphrase);
      }
      const to = join(data, one.path);
      await createFolder(dirname(to), 0o700);
      // Nobody else writes to what comes back, whatever the archive says.
      const mode = one.mode & 0o755;
      await writeNewFile(
        to,
        seen(content, (whole) => small.take(one.path, whole)),
        {
          mode,
          isOneOfMany: true,
        },
      );
    },
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  const database = join(data, manifest.database.path);
  await judgeDatabase(database, manifest);
  const migrated =
    manifest.database.schemaVersion < schemaVersion ? migrateSqliteStore(database) : undefined;
  const caFolder = caFolderOf(data, manifest.kind);
  if (passphrase !== undefined) await placePassphrase(data, caFolder, passphrase);
  await placeLists(caFolder, lists);
  await writeRestoredMarker(caFolder, {
    version: 1,
    restoredAt: formatInstant(options.now),
    backup: manifest.id,
    backedUpAt: manifest.createdAt,
    ledgerSeq: manifest.database.ledger.seq,
    crlNumbers: manifest.database.crlNumbers,
  });
  return { manifest, migrated };
}

/** Hands the pieces on, and to somebody who wants the whole, in one reading. */
async function* seen(
  content: AsyncIterable<Uint8Array>,
  take: (whole: AsyncIterable<Uint8Array>) => Promise<void>,
): AsyncGenerator<Uint8Array> {
  const kept: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of content) {
    bytes += piece.length;
    if (bytes <= longestSeen) kept.push(piece);
    yield piece;
  }
  if (bytes <= longestSeen) await take(piecewise(kept));
}

const longestSeen = 65_536;

async function* piecewise(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  for (const piece of pieces) yield await Promise.resolve(piece);
}

/** Where `ca.json` says; that may have been elsewhere on the machine before, and then is in the folder of the CA from now on. */
async function placePassphrase(data: string, caFolder: string, passphrase: Secret): Promise<void> {
  const named = await findPassphraseFile(caFolder);
  if (named === undefined) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `There is no ${settingsName} in this backup. Take another.`,
    );
  }
  let file = named;
  if (!isWithin(data, named)) {
    file = join(caFolder, basename(named));
    const settings = join(caFolder, settingsName);
    const content = JSON.parse(await readFile(settings, 'utf8')) as Record<string, unknown>;
    const moved = { ...content, passphraseFile: relative(caFolder, file) };
    await replaceFile(settings, `${JSON.stringify(moved, null, 2)}\n`);
  }
  await createFolder(dirname(file), 0o700);
  await writeNewFile(file, `${passphrase.reveal()}\n`);
}

/** Kept as they are, and put where the service looks for what was published: it takes no revocation back that it finds there. */
export async function placeLists(caFolder: string, lists: readonly RestoredList[]): Promise<void> {
  if (lists.length === 0) return;
  const folder = restoredListsOf(caFolder);
  await rm(folder, { recursive: true, force: true });
  await createFolder(folder, 0o700);
  for (const [number, { der, publishedAs }] of lists.entries()) {
    await writeNewFile(join(folder, `${String(number)}.crl`), der);
    if (publishedAs === undefined) continue;
    await createFolder(join(caFolder, 'published'), 0o700);
    await replaceFile(join(caFolder, 'published', publishedAs), der, { mode: 0o644 });
  }
}

async function syncFolders(data: string): Promise<void> {
  for (const entry of await readdir(data, { recursive: true, withFileTypes: true })) {
    if (entry.isDirectory()) await syncFolder(join(entry.parentPath, entry.name));
  }
  await syncFolder(data);
}

/** The mark that it is not whole goes last. */
async function clear(data: string, { wasThere }: { readonly wasThere: boolean }): Promise<void> {
  if (!wasThere) {
    await rm(data, { recursive: true, force: true });
    return;
  }
  const mark = basename(markIncomplete(data).path);
  for (const name of await readdir(data)) {
    if (name !== 'lost+found' && name !== mark) {
      await rm(join(data, name), { recursive: true, force: true });
    }
  }
  await rm(join(data, mark), { force: true });
}
