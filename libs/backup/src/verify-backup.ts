// Proves a backup: whole, authentic, its database sound, its issuing keys opened by their passphrase.
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { writeNewFile } from '@keyline/files';
import { KeylineError, Secret } from '@keyline/kernel';
import { findDatabaseDamage, readDatabaseFacts, schemaVersion } from '@keyline/store';
import type { BackupKey } from './age-file.ts';
import { assertIssuingKeys } from './issuing-keys.ts';
import { passphraseName } from './make-backup.ts';
import type { Manifest } from './manifest.ts';
import { readBackup } from './read-backup.ts';

export interface ProofOptions {
  /** Absolute. */
  readonly file: string;
  readonly key: BackupKey;
  /** The passphrase of the issuing keys; asked for when the backup does not have it. */
  readonly askPassphrase: () => Promise<Secret>;
  /** Where the database is unpacked to, for a while; the system's folder for such when absent. */
  readonly work?: string | undefined;
  readonly onProgress?: (share: number) => void;
}

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, KEY_DECRYPT_FAILED, STORE_STALE */
export async function verifyBackup(options: ProofOptions): Promise<Manifest> {
  const { file, key, askPassphrase, work = tmpdir(), onProgress } = options;
  const folder = await mkdtemp(join(work, 'keyline-verify-'));
  try {
    const database = join(folder, 'keyline.db');
    const small = new SmallFiles();
    let passphrase: Secret | undefined;
    let judged: Manifest | undefined;
    const manifest = await readBackup(file, key, {
      async onManifest(found) {
        assertKnownVersion(found);
        judged = found;
        if (!found.passphrase) passphrase = await askPassphrase();
      },
      async onFile(one, content) {
        if (one.path === passphraseName) passphrase = await readPassphrase(content);
        else if (one.path === judged?.database.path) {
          // Comes last: a wrong passphrase is known before the largest file is unpacked.
          await judgeKeys(judged, small, passphrase);
          await writeNewFile(database, content);
        } else await small.take(one.path, content);
      },
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    await judgeDatabase(database, manifest);
    return manifest;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** @throws {KeylineError} STORE_STALE */
export function assertKnownVersion({ database, keyline }: Manifest): void {
  if (database.schemaVersion <= schemaVersion) return;
  throw new KeylineError(
    'STORE_STALE',
    `The backup is of Keyline ${keyline}, whose database has version ${String(database.schemaVersion)}; this program knows ${String(schemaVersion)}. Use that Keyline, or a newer one.`,
  );
}

/** @throws {KeylineError} FILE_UNREADABLE */
export async function judgeDatabase(path: string, manifest: Manifest): Promise<void> {
  if ((await stat(path).catch(() => undefined)) === undefined) {
    throw new KeylineError('FILE_UNREADABLE', 'There is no database in this backup. Take another.');
  }
  const damage = findDatabaseDamage(path);
  if (damage !== undefined) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `The database in this backup is damaged: ${damage}. Take another backup.`,
    );
  }
  const { ledger } = readDatabaseFacts(path);
  if (
    ledger.seq !== manifest.database.ledger.seq ||
    ledger.sha256 !== manifest.database.ledger.sha256
  ) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `The ledger in this backup ends with entry ${String(ledger.seq)}, and its manifest says ${String(manifest.database.ledger.seq)}, or another entry. Take another backup.`,
    );
  }
}

/** @throws {KeylineError} KEY_DECRYPT_FAILED, FILE_UNREADABLE */
export async function judgeKeys(
  { database, kind }: Manifest,
  files: SmallFiles,
  passphrase: Secret | undefined,
): Promise<void> {
  if (passphrase === undefined) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      'The backup says that it has the passphrase of the issuing keys, and has not. Take another.',
    );
  }
  await assertIssuingKeys(
    database.authorities.map(({ id, certificate }) => ({
      id,
      certificate: Buffer.from(certificate, 'base64'),
    })),
    (id) => files.textOf(`${kind === 'plant' ? 'ca/' : ''}authorities/${id}.key`),
    passphrase,
  );
}

const mostPassphraseBytes = 4096;

/** @throws {KeylineError} FILE_UNREADABLE */
export async function readPassphrase(content: AsyncIterable<Uint8Array>): Promise<Secret> {
  const bytes = Buffer.concat(await Array.fromAsync(content));
  if (bytes.length > mostPassphraseBytes) {
    throw new KeylineError('FILE_UNREADABLE', 'The passphrase in the backup is too long for one.');
  }
  return new Secret(bytes.toString('utf8').replace(/\r?\n$/, ''));
}

const keyFile = /(?:^|\/)authorities\/[a-z0-9-]+\.key$/;
const mostKeyBytes = 65_536;

/** The keys of authorities, kept; everything else goes by. */
export class SmallFiles {
  readonly #kept = new Map<string, string>();

  async take(path: string, content: AsyncIterable<Uint8Array>): Promise<void> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of content) {
      bytes += piece.length;
      if (keyFile.test(path) && bytes <= mostKeyBytes) pieces.push(piece);
    }
    if (pieces.length > 0) this.#kept.set(path, Buffer.concat(pieces).toString('utf8'));
  }

  textOf(path: string): string | undefined {
    return this.#kept.get(path);
  }
}
