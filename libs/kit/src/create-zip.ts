// A kit as one file.
import { strToU8, zipSync, type Zippable } from 'fflate';

export interface ZipEntry {
  /** Relative, with "/" between folders. */
  readonly path: string;
  readonly content: string | Uint8Array;
  /** Permission bits that whoever unpacks it gets. */
  readonly mode: number;
}

const regularFile = 0o100000;
const madeOnUnix = 3;

/** @param at epoch milliseconds: what the files are dated */
export function createZip(entries: readonly ZipEntry[], at: number): Uint8Array {
  const files: Zippable = {};
  for (const { path, content, mode } of entries) {
    files[path] = [
      typeof content === 'string' ? strToU8(content) : content,
      { mtime: at, os: madeOnUnix, attrs: (regularFile | mode) * 0x10000 },
    ];
  }
  return zipSync(files);
}
