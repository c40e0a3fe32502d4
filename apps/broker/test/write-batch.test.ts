import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Connection } from 'aedes';
import { describe, expect, it } from 'vitest';
import { holdTurn } from '../src/engine/write-batch.ts';

/** What each call to the system would have carried. */
function openConnection(): { conn: Connection; writes: string[] } {
  const writes: string[] = [];
  const conn = new Writable({
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join('|'));
      done();
    },
  });
  return { conn: conn as unknown as Connection, writes };
}

describe('what is written within a turn', () => {
  it('leaves at its end, together, in its order', async () => {
    const [one, other] = [openConnection(), openConnection()];
    for (const part of ['a', 'b', 'c']) {
      holdTurn(one.conn);
      one.conn.write(part);
      holdTurn(other.conn);
      other.conn.write(part.toUpperCase());
    }
    // As aedes does, which knows nothing of it.
    one.conn.write('d');
    expect([one.writes, other.writes]).toEqual([[], []]);
    await nextTurn();
    expect([one.writes, other.writes]).toEqual([['a|b|c|d'], ['A|B|C']]);
    holdTurn(one.conn);
    one.conn.write('e');
    await nextTurn();
    expect(one.writes).toEqual(['a|b|c|d', 'e']);
  });

  it('leaves when the connection is ended, and harms none that was destroyed', async () => {
    const [ending, destroyed] = [openConnection(), openConnection()];
    holdTurn(ending.conn);
    holdTurn(destroyed.conn);
    ending.conn.write('last');
    ending.conn.end();
    destroyed.conn.write('lost');
    destroyed.conn.destroy();
    await nextTurn();
    expect([ending.writes, destroyed.writes]).toEqual([['last'], []]);
  });
});
