// What closes and opens backups, from files or from questions on the terminal.
import { resolve } from 'node:path';
import { assertRecipient, type BackupKey, type BackupLock } from '@keyline/backup';
import { readSecretText } from '@keyline/files';
import { KeylineError, Secret } from '@keyline/kernel';
import { loadPassphraseFile, promptPassphrase } from '@keyline/keys';
import type { CliContext } from '../context.ts';

export interface LockOptions {
  readonly passphraseFile?: string | undefined;
  readonly recipient?: readonly string[] | undefined;
}

export interface KeyOptions {
  readonly passphraseFile?: string;
  readonly identityFile?: string;
  readonly caPassphraseFile?: string;
}

/** A file that is stolen is tried for as long as it takes. */
const shortestPassphrase = 12;

/** @throws {KeylineError} USAGE, FILE_NOT_FOUND, FILE_UNREADABLE */
export async function findLock(
  { cwd }: Pick<CliContext, 'cwd'>,
  { passphraseFile, recipient = [] }: LockOptions,
): Promise<BackupLock> {
  if (recipient.length > 0) {
    if (passphraseFile !== undefined) {
      throw new KeylineError(
        'USAGE',
        'Give a passphrase or recipients, not both: the age format has one or the other.',
      );
    }
    for (const one of recipient) await assertRecipient(one);
    return { recipients: recipient };
  }
  if (passphraseFile !== undefined) {
    const file = resolve(cwd, passphraseFile);
    const passphrase = loadPassphraseFile(file);
    assertStrong(passphrase, `The passphrase in ${file}`);
    return { passphrase };
  }
  return {
    passphrase: await promptPassphrase('Passphrase for the backup:', {
      confirm: true,
      judge: (passphrase) => {
        assertStrong(new Secret(passphrase), 'The passphrase');
      },
    }),
  };
}

function assertStrong(passphrase: Secret, what: string): void {
  const characters = new Set(passphrase.reveal());
  if (passphrase.reveal().length >= shortestPassphrase && characters.size >= 5) return;
  throw new KeylineError(
    'USAGE',
    `${what} is too weak for a file that somebody may carry away: give ${String(shortestPassphrase)} characters or more, for instance five words; or a recipient (--recipient). Nothing was done.`,
  );
}

/** @throws {KeylineError} USAGE, FILE_NOT_FOUND, FILE_UNREADABLE */
export async function findKey({ cwd }: CliContext, options: KeyOptions): Promise<BackupKey> {
  const { passphraseFile, identityFile } = options;
  if (passphraseFile !== undefined && identityFile !== undefined) {
    throw new KeylineError('USAGE', 'Give --passphrase-file or --identity-file, not both.');
  }
  if (identityFile !== undefined) {
    const file = resolve(cwd, identityFile);
    const lines = (await readSecretText(file, 'private key of age', 1_000_000)).split(/\r?\n/);
    const identities = lines
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => new Secret(line));
    if (identities.length === 0) {
      throw new KeylineError(
        'FILE_UNREADABLE',
        `There is no private key of age in ${file} (AGE-SECRET-KEY-1…).`,
      );
    }
    return { identities };
  }
  return {
    passphrase:
      passphraseFile === undefined
        ? await promptPassphrase('Passphrase of the backup:')
        : loadPassphraseFile(resolve(cwd, passphraseFile)),
  };
}

/** Asks where no file was given, and only when it is wanted. */
export function issuingPassphrase(
  { cwd }: CliContext,
  { caPassphraseFile }: KeyOptions,
): () => Promise<Secret> {
  return async () => {
    if (caPassphraseFile !== undefined) return loadPassphraseFile(resolve(cwd, caPassphraseFile));
    try {
      return await promptPassphrase('Passphrase of the issuing keys (it is not in this backup):');
    } catch (cause) {
      if (!(cause instanceof KeylineError) || !cause.detail.includes('no terminal')) throw cause;
      throw new KeylineError(
        'USAGE',
        'The passphrase of the issuing keys is not in this backup, and there is no terminal to ask for it on. Give --ca-passphrase-file FILE (mode 600): what was in secrets/ca.pass.',
        { cause },
      );
    }
  };
}
