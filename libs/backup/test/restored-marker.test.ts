import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  readRestoredLists,
  readRestoredMarker,
  restoredListsOf,
  restoredMarkerOf,
  writeRestoredMarker,
  type RestoredMarker,
} from '../src/index.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-marker-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('the word that a folder is a restored copy', () => {
  it('is not there where nothing was restored', async () => {
    expect(await readRestoredMarker(folder)).toBeUndefined();
    expect((await readRestoredLists(folder)).size).toBe(0);
  });

  it('is read as it was written, with the lists beside it', async () => {
    const marker: RestoredMarker = {
      version: 1,
      restoredAt: '2026-12-01T03:00:00Z',
      backup: 'b-1',
      backedUpAt: '2026-11-30T03:00:00Z',
      ledgerSeq: 12,
      crlNumbers: { 'issuing-1': 4 },
    };
    await writeRestoredMarker(folder, marker);
    await mkdir(restoredListsOf(folder));
    await writeFile(join(restoredListsOf(folder), '0'), 'list');
    expect(await readRestoredMarker(folder)).toEqual(marker);
    expect((await readRestoredLists(folder)).get('0')?.toString()).toBe('list');
  });

  it.each(['', '{}', '{"version":2}', '{'])(
    'that can not be read (%j) is not the same as none',
    async (text) => {
      await writeFile(restoredMarkerOf(folder), text);
      await expect(readRestoredMarker(folder)).rejects.toThrow(/says that this is a restored copy/);
    },
  );
});
