// A process that holds a database open; given a prefix for names, it commits without end and says what was acknowledged, one line each.
import { createHash } from 'node:crypto';
import { writeSync } from 'node:fs';
import { openSqliteStore } from '../src/index.ts';
import { device } from './contract/rows.ts';

const [path = '', names = '', sharing] = process.argv.slice(2);
const store = await openSqliteStore({ path, shared: sharing === 'shared' });
// Synchronous: a line that was written is out, whatever happens next.
writeSync(1, 'open\n');

async function commitWithoutEnd(name: string): Promise<never> {
  for (let n = 0; ; n++) {
    const id = `${name}-${String(n)}`;
    const result = await store.commit({
      writes: [
        { op: 'insert-device', device: device(id, { labels: { name } }) },
        {
          op: 'claim-key',
          spkiSha256: createHash('sha256').update(id).digest('hex'),
          owner: id,
        },
        // Every fifth unit is refused, so that refusals are among what is killed.
        ...(n % 5 === 4 ? [{ op: 'close-batch', id: 'none' } as const] : []),
      ],
      entries: [
        { at: n, actor: 'keyline', data: { kind: 'token-created', token: id, use: 'enroll' } },
      ],
    });
    if (result.ok) writeSync(1, `${String(result.entries[0]?.seq)} ${id}\n`);
  }
}

if (names !== '') {
  await Promise.all(Array.from('abcdefgh').map((one) => commitWithoutEnd(`${names}-${one}`)));
} else {
  setInterval(() => undefined, 60_000);
}
