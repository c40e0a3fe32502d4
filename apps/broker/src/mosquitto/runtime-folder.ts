// The folder Mosquitto runs in: its configuration, copies of certificates and key, its state. Everything in it belongs to the user it
// runs as, with modes that let nobody else read it.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { lchown, mkdir, open, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { replaceFile } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const runtimeFiles = {
  configuration: 'mosquitto.conf',
  acl: 'acl',
  certificate: 'server.crt',
  key: 'server.key',
  ca: 'ca.pem',
  crl: 'crl.pem',
  state: 'dynamic-security.json',
  sessions: 'mosquitto.db',
  control: 'control.sock',
} as const;

const systemUser = 'mosquitto';

/**
 * Who Mosquitto runs as: this user, or `mosquitto` when this user is root. It never runs as root: a program that speaks to the network
 * should not own the machine. It is started as that user, instead of letting it drop its privileges itself, because then it starts in
 * its folder while still root and reads everything by relative names: the data folder above can stay closed (0700, root's).
 * @returns undefined for this user
 * @throws {KeylineError} CONFIG_INVALID when root has no such user to give
 */
export async function findOwner(uid: number | undefined): Promise<Owner | undefined> {
  if (uid !== 0) return undefined;
  const run = promisify(execFile);
  try {
    const ids = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, systemUser])));
    const [user, group] = ids.map(({ stdout }) => Number(stdout));
    if (user !== undefined && group !== undefined && user > 0) return { uid: user, gid: group };
  } catch {
    // Told below, with what to do.
  }
  throw new KeylineError(
    'CONFIG_INVALID',
    `Mosquitto is not run as root, and this machine has no user "${systemUser}" to run it as. Create it (useradd --system --shell /usr/sbin/nologin ${systemUser}), or start Keyline as an ordinary user.`,
  );
}

/**
 * When this is root's process, the folder's owner is somebody it does not trust: links that may lie there are never followed.
 */
export class RuntimeFolder {
  readonly path: string;
  readonly owner: Owner | undefined;

  private constructor(path: string, owner: Owner | undefined) {
    this.path = path;
    this.owner = owner;
  }

  static async open(path: string, owner: Owner | undefined): Promise<RuntimeFolder> {
    await mkdir(path, { recursive: true, mode: 0o700 });
    const folder = new RuntimeFolder(path, owner);
    if (owner !== undefined) {
      // Also what an earlier start under another user left behind.
      await lchown(path, owner.uid, owner.gid);
      for (const name of await readdir(path)) {
        await lchown(join(path, name), owner.uid, owner.gid);
      }
    }
    return folder;
  }

  at(name: string): string {
    return join(this.path, name);
  }

  /** undefined: there is none. */
  async read(name: string): Promise<Buffer | undefined> {
    try {
      const file = await open(this.at(name), constants.O_RDONLY | constants.O_NOFOLLOW);
      try {
        return await file.readFile();
      } finally {
        await file.close();
      }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** In one step, so that whoever reads it meets the old or the new. */
  async put(name: string, content: string | Uint8Array): Promise<void> {
    await replaceFile(this.at(name), content, { owner: this.owner });
  }
}
