// What there is to back up in a data folder: of `keyline up`, or of a keyline-ca that runs by itself.
import { existsSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { readTextIfThere } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';
import type { Manifest } from './manifest.ts';

export interface BackupSource {
  readonly kind: Manifest['kind'];
  /** Absolute. */
  readonly folder: string;
  readonly caFolder: string;
  /** With which the issuing keys are encrypted. Absolute. */
  readonly passphraseFile: string;
}

/** @throws {KeylineError} STORE_MISSING, FILE_UNREADABLE */
export async function findBackupSource(given: string): Promise<BackupSource> {
  const folder = resolve(given);
  const kind = existsSync(join(folder, 'ca', 'ca.json')) ? 'plant' : 'ca';
  const caFolder = caFolderOf(folder, kind);
  const passphraseFile = await findPassphraseFile(caFolder);
  if (passphraseFile === undefined || !existsSync(join(caFolder, 'keyline.db'))) {
    throw new KeylineError(
      'STORE_MISSING',
      `There is no Keyline in ${folder}: give the folder of "keyline up" or of "keyline-ca serve" with --data.`,
    );
  }
  return { kind, folder, caFolder, passphraseFile };
}

export function caFolderOf(folder: string, kind: Manifest['kind']): string {
  return kind === 'plant' ? join(folder, 'ca') : folder;
}

export const settingsName = 'ca.json';

/**
 * Where `ca.json` says that the passphrase of the issuing keys is.
 * @returns absolute; undefined when there is no such file
 * @throws {KeylineError} FILE_UNREADABLE
 */
export async function findPassphraseFile(caFolder: string): Promise<string | undefined> {
  const file = join(caFolder, settingsName);
  const text = await readTextIfThere(file, 'the settings of the issuing CA');
  if (text === undefined) return undefined;
  try {
    const { passphraseFile } = JSON.parse(text) as { passphraseFile?: unknown };
    if (typeof passphraseFile === 'string' && passphraseFile !== '')
      return resolve(caFolder, passphraseFile);
  } catch {
    // Told below.
  }
  throw new KeylineError(
    'FILE_UNREADABLE',
    `${file} is not what this version of Keyline wrote. Restore it from a backup.`,
  );
}

/** Whether a path is the folder or lies below it. */
export function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === '' || (!way.startsWith('..') && !isAbsolute(way));
}
