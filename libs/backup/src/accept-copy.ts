// A folder that is a copy, made without `keyline backup`: it is taken as it is, as a backup of the moment its database was last written.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { formatInstant } from '@keyline/kernel';
import { holdSqliteStore, readDatabaseFacts } from '@keyline/store';
import { findBackupSource } from './backup-source.ts';
import { assertNotHalfRestored } from './incomplete-restore.ts';
import { placeLists } from './restore-backup.ts';
import { writeRestoredMarker } from './restored-marker.ts';

export interface CopyFacts {
  readonly database: ReturnType<typeof readDatabaseFacts>;
}

/**
 * Refused while a service has its database: what follows would come over that one unawares, at its next start.
 * @param options.data absolute
 * @throws {KeylineError} STORE_MISSING, STORE_STALE, STORE_CONFLICT, FILE_UNREADABLE, and what `findLists` throws
 */
export async function acceptCopy(options: {
  readonly data: string;
  readonly findLists: (facts: CopyFacts) => Promise<readonly Uint8Array[]>;
  /** Epoch milliseconds. */
  readonly now: number;
}): Promise<CopyFacts> {
  assertNotHalfRestored(options.data);
  const { caFolder } = await findBackupSource(options.data);
  const path = join(caFolder, 'keyline.db');
  const letGo = holdSqliteStore(path);
  try {
    return await markAsCopy(caFolder, path, options);
  } finally {
    letGo();
  }
}

async function markAsCopy(
  caFolder: string,
  path: string,
  options: Parameters<typeof acceptCopy>[0],
): Promise<CopyFacts> {
  const database = readDatabaseFacts(path);
  const lists = await options.findLists({ database });
  // What is in `published` may be newer still, and stays.
  await placeLists(
    caFolder,
    lists.map((der) => ({ der, publishedAs: undefined })),
  );
  await writeRestoredMarker(caFolder, {
    version: 1,
    restoredAt: formatInstant(options.now),
    backup: randomUUID(),
    backedUpAt: database.ledger.at ?? formatInstant(options.now),
    ledgerSeq: database.ledger.seq,
    crlNumbers: { ...database.crlNumbers },
  });
  return { database };
}
