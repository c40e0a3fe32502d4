// A folder of the embedded broker (a snapshot and journals that follow on it) copied while the broker writes: as of one moment, as a loss of
// power would have left it.
import { open, readdir, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { createFolder, isNodeError, writeNewFile } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';

/** How the files of a kind of folder are called. */
interface JournalFolder {
  /** Replaced in one step. */
  readonly snapshot: string;
  /** Replaced in one step before the snapshot that counts on it; read after that. */
  readonly companion?: string;
  /** Grow at their end alone. The number in it says the order. */
  readonly journal: RegExp;
}

export const journalFolders: Readonly<Record<'sessions' | 'dynsec', JournalFolder>> = {
  sessions: { snapshot: 'snapshot.jsonl', journal: /^journal\.(\d+)\.jsonl$/ },
  dynsec: {
    snapshot: 'dynamic-security.json',
    companion: 'revoked-serials',
    journal: /^journal-(\d{1,16})\.log$/,
  },
};

const attempts = 50;

/**
 * @param to made; must not exist
 * @throws {KeylineError} FILE_UNREADABLE
 */
export async function copyJournalFolder(
  from: string,
  to: string,
  kind: keyof typeof journalFolders,
): Promise<void> {
  const { snapshot, companion, journal } = journalFolders[kind];
  for (let attempt = 0; attempt < attempts; attempt++) {
    const opened: { name: string; file: FileHandle; order: number }[] = [];
    try {
      // The snapshot first: what it counts on was there before it, and is there for as long as it is.
      const fixed = [snapshot, ...(companion === undefined ? [] : [companion])];
      const identities: number[] = [];
      for (const name of fixed) {
        const file = await openIfThere(join(from, name));
        if (file !== undefined) opened.push({ name, file, order: -1 });
        identities.push(await inodeOf(file));
      }
      for (const name of await readdir(from)) {
        const order = journal.exec(name)?.[1];
        if (order === undefined) continue;
        const file = await openIfThere(join(from, name));
        if (file !== undefined) opened.push({ name, file, order: Number(order) });
      }
      // Another snapshot meanwhile, and a journal that belongs to this one may be gone: once more.
      const now = await openIfThere(join(from, snapshot));
      const isSame = (await inodeOf(now)) === identities[0];
      await now?.close();
      if (!isSame) continue;
      // The newest first: whatever an older one has not yet, nothing newer can stand on.
      const sizes = new Map<string, number>();
      for (const { name, file } of opened.toSorted((a, b) => b.order - a.order)) {
        sizes.set(name, (await file.stat()).size);
      }
      await createFolder(to, 0o700);
      for (const { name, file } of opened) {
        await writeNewFile(join(to, name), piecesOf(file, sizes.get(name) ?? 0));
      }
      return;
    } finally {
      for (const { file } of opened) await file.close();
    }
  }
  throw new KeylineError(
    'FILE_UNREADABLE',
    `The broker replaces the files of ${from} faster than they can be opened. Try again.`,
  );
}

async function openIfThere(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isNodeError(error, 'ENOENT')) return undefined;
    throw error;
  }
}

async function inodeOf(file: FileHandle | undefined): Promise<number> {
  return file === undefined ? -1 : (await file.stat()).ino;
}

const pieceBytes = 1024 * 1024;

/** So many bytes and no more, also where it grows. */
export async function* piecesOf(file: FileHandle, bytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes;) {
    const most = Math.min(pieceBytes, bytes - at);
    const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(most), 0, most, at);
    if (bytesRead === 0) throw new Error('it became shorter while it was read');
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}
