// The files of a batch folder: each is a unit's CSR, or is named with the reason why it is not.
import type { Dirent } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { isNodeError } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';

export interface UnitFile {
  readonly id: string;
  /** Name in the folder. */
  readonly file: string;
}

export interface LeftFile {
  readonly file: string;
  readonly why: string;
}

export interface BatchFolder {
  readonly units: readonly UnitFile[];
  /** Nothing that could be signed, in the place of something that should. */
  readonly refused: readonly LeftFile[];
  /** Hidden files, which programs leave in folders. */
  readonly passedOver: readonly LeftFile[];
}

/** In any case: what tools of lines, Windows and Java call their CSRs. */
const endings = ['csr', 'pem', 'req', 'p10', 'der'];
const namePattern = new RegExp(`^(.+)\\.(?:${endings.join('|')})$`, 'i');

/** In order of their names. @throws {KeylineError} FILE_NOT_FOUND when the folder can't be read, or nothing is in it */
export async function listUnits(folder: string): Promise<BatchFolder> {
  const entries = await readFolder(folder);
  const units: UnitFile[] = [];
  const refused: LeftFile[] = [];
  const passedOver: LeftFile[] = [];
  for (const entry of entries) {
    const file = entry.name;
    const id = namePattern.exec(file)?.[1];
    if (file.startsWith('.')) passedOver.push({ file, why: 'It is hidden.' });
    else if (entry.isSymbolicLink()) {
      refused.push({ file, why: 'It is a symbolic link. Put the file itself there.' });
    } else if (entry.isDirectory()) {
      refused.push({ file, why: 'It is a folder. Sign it by a call of its own (--csr-dir).' });
    } else if (!entry.isFile()) refused.push({ file, why: 'It is no file.' });
    else if (id === undefined) {
      refused.push({
        file,
        why: `Its name does not say that it is a CSR: call it <unit id>.csr (${endings.map((each) => `.${each}`).join(', ')} are taken too).`,
      });
    } else units.push({ id, file });
  }
  const byId = Map.groupBy(units, ({ id }) => id);
  const single: UnitFile[] = [];
  for (const [id, files] of byId) {
    const [one, ...others] = files;
    if (one !== undefined && others.length === 0) single.push(one);
    else {
      const names = files.map(({ file }) => file).join(' and ');
      const why = `${names} are all of the unit "${id}". Leave one of them.`;
      refused.push(...files.map(({ file }) => ({ file, why })));
    }
  }
  if (single.length === 0 && refused.length === 0) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `There is no CSR in ${folder}: files must be named <unit id>.csr.`,
    );
  }
  return { units: single, refused, passedOver };
}

async function readFolder(folder: string): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      isNodeError(error, 'ENOENT')
        ? `There is no folder ${folder} (--csr-dir). Check the path.`
        : isNodeError(error, 'ENOTDIR')
          ? `${folder} (--csr-dir) is no folder. Give the one that the CSRs are in.`
          : `Can't read the folder ${folder} (--csr-dir): ${messageOf(error)}.`,
      { cause: error },
    );
  }
}
