// The word that `keyline restore` leaves in the folder of an issuing CA: what is here is a copy of an earlier day. The CA acts on it when it
// starts next, before it answers anybody, and takes it away when it has.
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, readTextIfThere, removeFile, replaceFile, syncFolder } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';
import { Type, type Static } from 'typebox';
import { Value } from 'typebox/value';

const markerName = 'restored.json';
/** CRLs as they were published after the backup, DER or PEM, under whatever names. */
const listFolder = 'restored-crls';

const MarkerSchema = Type.Object(
  {
    version: Type.Literal(1),
    /** RFC 3339. */
    restoredAt: Type.String(),
    /** Of the backup; of a new one at each backup. */
    backup: Type.String(),
    backedUpAt: Type.String(),
    /** The last ledger entry that the copy has. */
    ledgerSeq: Type.Integer({ minimum: 0 }),
    /** The highest number of each list that the copy has. */
    crlNumbers: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
  },
  { additionalProperties: true },
);

export type RestoredMarker = Static<typeof MarkerSchema>;

export const restoredMarkerOf = (caFolder: string): string => join(caFolder, markerName);
export const restoredListsOf = (caFolder: string): string => join(caFolder, listFolder);

/** @throws {KeylineError} FILE_UNREADABLE */
export async function writeRestoredMarker(caFolder: string, marker: RestoredMarker): Promise<void> {
  await replaceFile(restoredMarkerOf(caFolder), `${JSON.stringify(marker, null, 2)}\n`);
}

/**
 * @returns undefined where nothing was restored, or the CA has acted on it
 * @throws {KeylineError} FILE_UNREADABLE: what it said is not known, so nobody may go on as if there were none
 */
export async function readRestoredMarker(caFolder: string): Promise<RestoredMarker | undefined> {
  const file = restoredMarkerOf(caFolder);
  const text = await readTextIfThere(file, 'the word that this is a restored copy');
  if (text === undefined) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    if (Value.Check(MarkerSchema, value)) return value;
  } catch {
    // Told below.
  }
  throw new KeylineError(
    'FILE_UNREADABLE',
    `${file} says that this is a restored copy, and can't be read. Restore the backup again into an empty folder.`,
  );
}

/** The lists that were given with the backup, as they are; by file name. */
export async function readRestoredLists(caFolder: string): Promise<ReadonlyMap<string, Buffer>> {
  const folder = restoredListsOf(caFolder);
  const names = await readdir(folder).catch((error: unknown) => {
    if (isNodeError(error, 'ENOENT')) return [];
    throw error;
  });
  const lists = new Map<string, Buffer>();
  for (const name of names) {
    lists.set(name, await readFile(join(folder, name)));
  }
  return lists;
}

/** The issuing CA has acted on it: it is a database like any other from here on. @throws what the file system throws */
export async function endRestored(caFolder: string): Promise<void> {
  await removeFile(restoredMarkerOf(caFolder));
  await rm(restoredListsOf(caFolder), { recursive: true, force: true });
  await syncFolder(caFolder);
}
