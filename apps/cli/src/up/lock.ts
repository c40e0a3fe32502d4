// One `keyline up` a folder. The lock is a socket that the operating system takes back however its holder ends, so it is never stale.
import { createHash } from 'node:crypto';
import { stat, unlink } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir, platform } from 'node:os';
import { join } from 'node:path';
import { isNodeError } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';

export interface Lock {
  release(): Promise<void>;
}

/**
 * @param folder must exist
 * @throws {KeylineError} USAGE when another one runs on this folder
 */
export async function acquireLock(folder: string, pid: number): Promise<Lock> {
  // Device and inode: the same folder by whatever path.
  const { dev, ino } = await stat(folder);
  const name = `keyline-${createHash('sha256')
    .update(`${String(dev)}:${String(ino)}`)
    .digest('hex')
    .slice(0, 24)}`;
  // Linux has socket names that are no files; elsewhere a file can be left behind and is then taken over.
  const address = platform() === 'linux' ? `\0${name}` : join(tmpdir(), `${name}.sock`);
  const holder = await holderOf(address);
  if (holder === undefined && platform() !== 'linux') await unlink(address).catch(() => undefined);
  const lock = holder === undefined ? await listen(address, pid) : undefined;
  if (lock !== undefined) return lock;
  throw new KeylineError(
    'USAGE',
    `"keyline up" runs on ${folder} already (process ${holder ?? (await holderOf(address)) ?? 'unknown'}). Use it as it is (endpoints.json in the folder), stop it first, or give another folder.`,
  );
}

/** The process id of who listens there. */
function holderOf(address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(address);
    let text = '';
    socket.setTimeout(1000, () => socket.destroy());
    socket.on('data', (part: Buffer) => (text += part.toString('latin1', 0, 20)));
    // Refused: nobody holds it. Anything after the connection: somebody does.
    let connected = false;
    socket.on('connect', () => (connected = true));
    socket.on('error', () => undefined);
    socket.on('close', () => {
      resolve(connected ? text.replace(/\D/g, '') || 'unknown' : undefined);
    });
  });
}

/** Undefined when somebody else was faster. */
function listen(address: string, pid: number): Promise<Lock | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.end(String(pid));
    });
    server.once('error', (error) => {
      if (isNodeError(error, 'EADDRINUSE')) resolve(undefined);
      else reject(error);
    });
    server.listen(address, () => {
      resolve({
        release: () =>
          new Promise((done) => {
            server.close(() => {
              done();
            });
          }),
      });
    });
  });
}
