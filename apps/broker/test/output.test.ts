import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { Output } from '../src/engine/output.ts';

/** What each call to the system would have carried; it ends when the test says so. */
function openConnection() {
  const writes: string[] = [];
  const endings: (() => void)[] = [];
  let isEnded = false;
  const conn = new Writable({
    write(chunk: Buffer, _encoding, done) {
      writes.push(chunk.toString());
      endings.push(done);
    },
    writev(chunks, done) {
      writes.push(chunks.map(({ chunk }) => String(chunk)).join(''));
      endings.push(done);
    },
    final(done) {
      isEnded = true;
      done();
    },
  });
  const told: number[] = [];
  const output = new Output(conn as never, (unread) => told.push(unread));
  const say = (text: string): void => {
    output.append(Buffer.from(text));
  };
  return {
    conn,
    output,
    say,
    writes,
    told,
    endWrite: () => endings.shift()?.(),
    ended: () => isEnded,
  };
}

describe('what is written within a turn', () => {
  it('leaves at its end, together, in its order, large pieces between small ones', async () => {
    const [one, other] = [openConnection(), openConnection()];
    for (const part of ['a', 'b', 'c']) {
      one.say(part);
      other.say(part.toUpperCase());
    }
    other.say('x'.repeat(5000));
    other.say('D');
    expect([one.writes, other.writes]).toEqual([[], []]);
    await nextTurn();
    expect(one.writes).toEqual(['abc']);
    expect(other.writes.join('')).toBe(`ABC${'x'.repeat(5000)}D`);
  });

  it('waits while a write is under way, and is counted until the peer has taken it', async () => {
    const { output, say, writes, told, endWrite } = openConnection();
    say('first');
    await nextTurn();
    say('second');
    await nextTurn();
    say('third');
    await nextTurn();
    expect(writes).toEqual(['first']);
    expect(output.unreadBytes).toBe(16);
    endWrite();
    await nextTurn();
    expect(writes).toEqual(['first', 'secondthird']);
    expect(told).toEqual([11]);
    endWrite();
    expect(output.unreadBytes).toBe(0);
  });

  it('tells also while it grows, when nobody takes anything', async () => {
    const { say, told } = openConnection();
    say('first');
    await nextTurn();
    say('x'.repeat(70_000));
    await nextTurn();
    expect(told).toEqual([70_005]);
  });

  it('all leaves before the end, also behind a write that is under way', async () => {
    const { conn, output, say, writes, ended, endWrite } = openConnection();
    say('first');
    await nextTurn();
    say('last');
    output.end();
    expect(ended()).toBe(false);
    endWrite();
    await nextTurn();
    endWrite();
    await expect.poll(ended).toBe(true);
    expect(writes).toEqual(['first', 'last']);
    // Nothing harms one that is gone.
    conn.destroy();
    say('late');
    await nextTurn();
    expect(writes).toHaveLength(2);
  });

  it('is not written into by others before it was taken', async () => {
    const [one, other] = [openConnection(), openConnection()];
    one.say('one');
    await nextTurn();
    other.say('two');
    await nextTurn();
    one.endWrite();
    other.say('three');
    await nextTurn();
    other.endWrite();
    await nextTurn();
    expect([one.writes, other.writes]).toEqual([['one'], ['two', 'three']]);
  });
});
