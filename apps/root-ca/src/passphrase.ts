// Where the passphrase comes from: a file in the offline folder, standard input, or the person at the keyboard.
import { KeylineError, Secret } from '@keyline/kernel';
import { loadPassphraseFile, promptPassphrase } from '@keyline/keys';
import type { OfflineFolder } from './offline-folder.ts';
import type { Terminal } from './terminal.ts';

// The key file may be copied and tried at leisure; scrypt alone does not save a short word.
const minCharacters = 12;

export interface PassphraseSource {
  readonly folder: OfflineFolder;
  readonly terminal: Terminal;
  /** File name, `-` for standard input; absent: ask. */
  readonly passphraseFile?: string | undefined;
}

/** @throws {KeylineError} USAGE, FILE_NOT_FOUND, FILE_UNREADABLE */
export async function readPassphrase(source: PassphraseSource): Promise<Secret> {
  return givenPassphrase(source) ?? promptPassphrase('Passphrase of the root key:');
}

/** For a new key: of some length, and asked for twice then. @throws {KeylineError} USAGE, FILE_NOT_FOUND, FILE_UNREADABLE */
export async function readNewPassphrase(source: PassphraseSource): Promise<Secret> {
  const given = givenPassphrase(source);
  if (given !== undefined) {
    assertLong(given.reveal());
    return given;
  }
  return promptPassphrase('New passphrase for the root key:', { confirm: true, judge: assertLong });
}

function assertLong(passphrase: string): void {
  if (Array.from(passphrase).length >= minCharacters) return;
  throw new KeylineError(
    'USAGE',
    `The passphrase is shorter than ${minCharacters} characters. The root key is worth several words; nothing was done.`,
  );
}

function givenPassphrase({
  folder,
  terminal,
  passphraseFile,
}: PassphraseSource): Secret | undefined {
  if (passphraseFile === undefined) return undefined;
  if (passphraseFile !== '-') return loadPassphraseFile(folder.assertInside(passphraseFile));
  const passphrase = terminal.readInput().replace(/\r?\n$/, '');
  if (passphrase === '' || passphrase.includes('\n')) {
    throw new KeylineError('USAGE', 'Standard input must hold one line, the passphrase.');
  }
  return new Secret(passphrase);
}
