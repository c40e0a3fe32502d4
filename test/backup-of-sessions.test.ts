// The sessions' journal copied while the broker writes to it and replaces it by snapshots all the time: each copy is what a loss of power at one
// moment would have left, with everything in it that was durable before.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { replayFolder } from '../apps/broker/src/engine/journal-folder.ts';
import { Journal } from '../apps/broker/src/engine/journal.ts';
import { copyJournalFolder } from '../libs/backup/src/copy-journal-folder.ts';

it('is at every moment a whole beginning of what was written, and loses nothing that was durable', async () => {
  const top = await mkdtemp(join(tmpdir(), 'keyline-sessions-'));
  const folder = join(top, 'sessions');
  let last = 0;
  let durable = 0;
  const journal = await Journal.open({
    folder,
    replay: () => undefined,
    snapshot: () => [['at', last]],
    onFailure: (error) => {
      throw error;
    },
    onRecovery: () => undefined,
    compactAfter: 2000,
  });
  const stop = new AbortController();
  const writing = (async () => {
    while (!stop.signal.aborted) {
      for (let n = 0; n < 20; n++) journal.append(['next', ++last]);
      const written = last;
      await new Promise<void>((resolve) => journal.durable(() => resolve()));
      durable = written;
    }
  })();
  try {
    for (let round = 0; round < 25; round++) {
      const before = durable;
      const copy = join(top, `copy-${String(round)}`);
      await copyJournalFolder(folder, copy, 'sessions');
      let seen = 0;
      await replayFolder({
        folder: copy,
        replay: ([kind, number]) => {
          if (kind === 'next') expect(number).toBe(seen + 1);
          if (kind === 'next' || kind === 'at') seen = Number(number);
        },
      });
      expect(seen).toBeGreaterThanOrEqual(before);
      expect(seen).toBeLessThanOrEqual(last);
    }
  } finally {
    stop.abort();
    await writing;
    await journal.close();
    await rm(top, { recursive: true });
  }
});
