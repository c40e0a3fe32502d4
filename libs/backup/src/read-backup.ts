// A backup read from its beginning to its end: the manifest first, then each file, proved by its hash while it goes through.
import { createHash } from 'node:crypto';
import { KeylineError } from '@keyline/kernel';
import { openAgeFile, type BackupKey } from './age-file.ts';
import { manifestName } from './make-backup.ts';
import { parseManifest, type Manifest } from './manifest.ts';
import { readTar, type TarEntry } from './tar.ts';

type ManifestFile = Manifest['files'][number];

/** A million files have less. */
const longestManifestBytes = 256 * 1024 * 1024;

export interface BackupReader {
  /** Judged before any file is handed on. @throws to end it */
  readonly onManifest?: (manifest: Manifest) => Promise<void> | void;
  /** Takes the content to its end; one that throws ends it. */
  readonly onFile: (file: ManifestFile, content: AsyncIterable<Uint8Array>) => Promise<void>;
  /** From 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

/**
 * Answers when every file was there, as the manifest says, and nothing else.
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, KEY_DECRYPT_FAILED, STORE_STALE
 */
export async function readBackup(
  path: string,
  key: BackupKey,
  { onManifest, onFile, onProgress }: BackupReader,
): Promise<Manifest> {
  let size = 0;
  const backup = await openAgeFile(path, key, (bytes) => {
    if (size > 0) onProgress?.(bytes / size);
  });
  size = backup.bytes;
  try {
    const entries = readTar(backup.pieces);
    const first = await entries.next();
    if (first.done === true || first.value.path !== manifestName) {
      throw notOurs(path, 'it does not begin with a manifest');
    }
    const manifest = parseManifest(await readManifest(path, first.value));
    await onManifest?.(manifest);
    const files = manifest.files.values();
    for await (const entry of entries) {
      const file = files.next().value;
      if (file?.path !== entry.path || file.bytes !== entry.bytes) {
        throw notOurs(path, `"${entry.path.slice(0, 200)}" is not what its manifest says`);
      }
      await onFile(file, proved(path, file, entry.content));
    }
    const missing = files.next().value;
    if (missing !== undefined) throw notOurs(path, `"${missing.path}" is missing from it`);
    return manifest;
  } finally {
    await backup.close();
  }
}

async function readManifest(path: string, { bytes, content }: TarEntry): Promise<string> {
  if (bytes > longestManifestBytes) throw notOurs(path, 'its manifest is too long');
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return Buffer.concat(pieces).toString('utf8');
}

/** Ends with an error unless its hash is right: whoever writes it down must not give it its name before. */
async function* proved(
  path: string,
  file: ManifestFile,
  content: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const piece of content) {
    hash.update(piece);
    yield piece;
  }
  if (hash.digest('hex') !== file.sha256) {
    throw notOurs(path, `"${file.path.slice(0, 200)}" has another hash than its manifest says`);
  }
}

function notOurs(path: string, what: string): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `${path} is not as Keyline writes backups: ${what}. Take another one.`,
  );
}
