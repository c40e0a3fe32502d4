// The CRLs in force as files beside the database: what was published is known to the world, whatever becomes of the database. A copy of
// that from an earlier day is found out by them, and what it does not know of revocations is read from them (restored-copy.ts).
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '@keyline/files';
import type { Crl } from '@keyline/fleet';

export interface PublishedLists {
  /** Writes it within a second; the last one of a list counts. */
  note(crl: Crl): void;
  /** Writes what waits. */
  close(): Promise<void>;
}

/** Milliseconds. A list may be published many times in a second, and be megabytes. */
const restBetween = 1000;

/** @param folder made when it is missing */
export function createPublishedLists(
  folder: string,
  onError: (error: unknown) => void,
): PublishedLists {
  let waiting = new Map<string, Uint8Array>();
  let timer: NodeJS.Timeout | undefined;
  let turn: Promise<void> = Promise.resolve();

  function flush(): Promise<void> {
    clearTimeout(timer);
    timer = undefined;
    const files = waiting;
    waiting = new Map();
    turn = turn.then(async () => {
      try {
        if (files.size > 0) await mkdir(folder, { recursive: true, mode: 0o700 });
        for (const [name, der] of files)
          await replaceFile(join(folder, name), der, { mode: 0o644 });
      } catch (error) {
        onError(error);
      }
    });
    return turn;
  }

  return {
    note({ list, kind, der }) {
      waiting.set(kind === 'complete' ? `${list}.crl` : `${list}-delta.crl`, der);
      timer ??= setTimeout(() => void flush(), restBetween).unref();
    },
    close: flush,
  };
}

/** DER by file name. */
export async function readPublishedLists(folder: string): Promise<ReadonlyMap<string, Uint8Array>> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return new Map();
    throw error;
  }
  const files = new Map<string, Uint8Array>();
  for (const name of names.filter((one) => one.endsWith('.crl'))) {
    files.set(name, await readFile(join(folder, name)));
  }
  return files;
}
