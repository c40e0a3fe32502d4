// Disk space that is kept for revocations: when it runs out nothing else is taken, and the space that a file of ours held is given to them.
import { randomBytes } from 'node:crypto';
import { open, rm, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { Logger } from 'pino';

export interface DiskReserve {
  /** Whether only revocations are taken. */
  isLow(): boolean;
  /** Bytes that were free when it was last looked. */
  freeBytes(): number;
  /** @throws {KeylineError} STORAGE_RESERVED */
  assertRoom(): void;
  /** Looks again. */
  tick(): Promise<void>;
}

/** In the data folder, beside the database: space that is taken, so that nobody else on this disk takes it. */
export const reserveFile = 'reserve.bin';

/**
 * @param options.bytes less free space than that is too little; the file holds as much again. 0: there is no reserve
 * @param options.readFree bytes that are free for the service's user
 */
export async function openDiskReserve(options: {
  readonly folder: string;
  readonly bytes: number;
  readonly log: Pick<Logger, 'error' | 'info' | 'warn'>;
  readonly readFree?: (folder: string) => Promise<number>;
}): Promise<DiskReserve> {
  const { folder, bytes, log, readFree = readFreeBytes } = options;
  const file = join(folder, reserveFile);
  let low = false;
  let free = Infinity;
  let held = (await sizeOf(file)) === bytes;

  async function hold(): Promise<void> {
    try {
      await writeFilled(file, bytes);
      held = true;
    } catch (error) {
      // Others were faster: then there is no reserve, and the next look says how things stand.
      await rm(file, { force: true });
      log.warn(`The reserve of disk space could not be taken: ${messageOf(error)}.`);
    }
  }

  async function tick(): Promise<void> {
    if (bytes === 0) {
      await rm(file, { force: true });
      return;
    }
    free = await readFree(folder);
    if (free < bytes) {
      if (!low) {
        low = true;
        log.error(
          { free, reserve: bytes },
          `Less than ${String(bytes)} bytes are free in ${folder}: only revocations are taken until there are ${String(3 * bytes)}. Make room on this disk.`,
        );
      }
      if (held) {
        await rm(file, { force: true });
        held = false;
      }
      return;
    }
    // With room for the file, and well above the mark: it must not go to and fro.
    if (!held && free >= 3 * bytes) await hold();
    if (low && free >= 3 * bytes) {
      low = false;
      log.info({ free }, 'There is room on the disk again: everything is taken.');
    }
  }

  await tick();
  return {
    isLow: () => low,
    freeBytes: () => free,
    tick,
    assertRoom() {
      if (!low) return;
      throw new KeylineError(
        'STORAGE_RESERVED',
        'The disk of the issuing CA is nearly full: only revocations are taken, and nothing was done. Make room there; it goes on by itself.',
        { context: { retryAfterSeconds: 60 } },
      );
    },
  };
}

async function readFreeBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

async function sizeOf(file: string): Promise<number> {
  return stat(file).then(
    ({ size }) => size,
    () => -1,
  );
}

/** Not with zeros: some file systems keep none of them. */
async function writeFilled(file: string, bytes: number): Promise<void> {
  const chunk = randomBytes(Math.min(bytes, 1024 * 1024));
  const handle = await open(file, 'w', 0o600);
  try {
    for (let done = 0; done < bytes; done += chunk.length) {
      await handle.writeFile(chunk.subarray(0, Math.min(chunk.length, bytes - done)));
    }
    await handle.sync();
  } finally {
    await handle.close();
  }
}
