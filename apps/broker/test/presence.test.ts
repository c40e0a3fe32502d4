// The books that a broker keeps for the issuing CA: who came and went, and who was refused what; bounded, told until it is on record.
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FakeClock } from '@keyline/kernel';
import fc from 'fast-check';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LiveSession } from '../src/live-sessions.ts';
import { PresenceBook } from '../src/presence-book.ts';
import { PresenceFile } from '../src/presence-file.ts';
import { RefusalBook } from '../src/refusal-book.ts';
import type { RefusalLine } from '../src/refusal-log.ts';
import { TestBroker } from './support/test-broker.ts';

const clock = new FakeClock(1_000_000);
const session = (username: string, connectedAt = 5): LiveSession =>
  ({
    ...{ username, connectedAt, clientId: username, version: 5, address: '192.0.2.7' },
    isAdmin: username === 'admin',
  }) as unknown as LiveSession;

function open(here: LiveSession[] = [], pageSize = 3): PresenceBook {
  return new PresenceBook({ clock, sessions: { all: () => here.values() as never }, pageSize });
}
const namesOf = (
  page: { sightings: readonly { username: string; online: boolean }[] } | undefined,
) => page?.sightings.map(({ username, online }) => `${username}${online ? '+' : '-'}`);

describe('the book of who is there', () => {
  it('tells each identity once, the newest of it, a page at a time, and forgets what is on record', () => {
    const book = open();
    for (const name of ['a', 'b', 'c', 'd']) book.connected(session(name));
    book.disconnected(session('a'), undefined);
    const first = book.tell({ start: '', after: 0 });
    expect(namesOf(first)).toEqual(['b+', 'c+', 'd+']);
    expect(first?.complete).toBe(false);
    // Not on record yet: the same again.
    expect(namesOf(book.tell({ start: first!.start, after: 0 }))).toEqual(['b+', 'c+', 'd+']);
    const second = book.tell({ start: first!.start, after: first!.last });
    expect(namesOf(second)).toEqual(['a-']);
    expect(second?.complete).toBe(true);
    const third = book.tell({ start: first!.start, after: second!.last });
    expect(third).toMatchObject({ start: first!.start, last: second!.last, sightings: [] });
    expect(book.oldest).toBeUndefined();
  });

  it('keeps an identity online whose other connection stays, and says nothing of administrators', () => {
    const book = open();
    book.connected(session('a', 7));
    book.disconnected(session('a', 9), session('a', 7));
    book.connected(session('admin'));
    book.disconnected(session('admin'), undefined);
    expect(book.tell({ start: '', after: 0 })?.sightings).toEqual([
      { username: 'a', online: true, at: 7, clientId: 'a', version: 5, address: '192.0.2.7' },
    ]);
  });

  it('tells somebody who knows less than what is forgotten everybody anew, and not all the time', () => {
    const here = [session('a'), session('b')];
    const book = open(here);
    for (const one of here) book.connected(one);
    const told = book.tell({ start: '', after: 0 })!;
    book.tell({ start: told.start, after: told.last });
    book.disconnected(session('gone'), undefined);

    const anew = book.tell({ start: '', after: 0 })!;
    expect(anew.start).not.toBe(told.start);
    expect(namesOf(anew)?.toSorted()).toEqual(['a+', 'b+', 'gone-']);
    book.tell({ start: anew.start, after: anew.last });
    // The one of before asks again.
    expect(book.tell({ start: told.start, after: told.last })).toBeUndefined();
  });

  it('takes any number for how far somebody is', () => {
    fc.assert(
      fc.property(fc.string(), fc.maxSafeInteger(), fc.boolean(), (text, after, isOurs) => {
        const book = open();
        book.connected(session('a'));
        const { start } = book.tell({ start: '', after: 0 })!;
        const page = book.tell({ start: isOurs ? start : text, after: Math.abs(after) });
        expect(page === undefined || page.sightings.length <= 1).toBe(true);
      }),
    );
  });
});

describe('what was not taken', () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyline-presence-'));
  const path = join(folder, 'presence.json');
  const log = pino({ level: 'silent' });
  afterAll(() => rmSync(folder, { recursive: true }));

  it('is there after a restart, as of then, and gone once it is on record', async () => {
    const book = open();
    const file = await PresenceFile.open({ path, book, log });
    book.connected(session('stays'));
    book.disconnected(session('went'), undefined);
    await file.close();
    expect(statSync(path).mode & 0o777).toBe(0o600);

    clock.advance(60_000);
    const next = open();
    const nextFile = await PresenceFile.open({ path, book: next, log });
    const page = next.tell({ start: '', after: 0 })!;
    expect(namesOf(page)).toEqual(['stays-', 'went-']);
    expect(page.sightings.map(({ at }) => at)).toEqual([1_000_000, 1_000_000]);
    next.tell({ start: page.start, after: page.last });
    await nextFile.close();
    expect(() => readFileSync(path)).toThrow('ENOENT');
  });

  it('is written without a restart when nobody takes it for a while', async () => {
    const book = open();
    const file = await PresenceFile.open({ path, book, log, interval: 5 });
    book.connected(session('a'));
    await expect.poll(() => readFileSync(path, 'utf8')).toContain('"a"');
    const page = book.tell({ start: '', after: 0 })!;
    book.tell({ start: page.start, after: page.last });
    await expect.poll(() => statSync(path, { throwIfNoEntry: false })).toBeUndefined();
    await file.close();
  });

  it.each([
    ['', 0],
    ['{', 0],
    ['{"a":1}', 0],
    ['[null,1,"x",{"username":"a/b","at":1,"clientId":"","version":5,"address":""}]', 0],
    ['[{"username":"a","at":1e99,"clientId":"","version":5,"address":""}]', 0],
    ['[{"username":"a","at":1,"clientId":"","version":5,"address":""},{}]', 1],
  ])('in a damaged file (%s) stops no broker', async (text, count) => {
    writeFileSync(path, text);
    const book = open();
    const file = await PresenceFile.open({ path, book, log });
    expect(book.tell({ start: '', after: 0 })?.sightings).toHaveLength(count);
    await file.close();
  });
});

describe('the book of refusals', () => {
  const line = (cn: string | undefined, changes: Partial<RefusalLine> = {}): RefusalLine => ({
    ...{ event: 'message denied', reason: 'publish', happened: 'It may not.', remedy: 'Let it.' },
    ...{ certificate: { cn, serialHex: '01' }, peer: '192.0.2.7', clientId: cn, topic: 'a/b' },
    ...changes,
  });
  const openRefusals = (isKnown = (_name: string): boolean => true): RefusalBook =>
    new RefusalBook({ clock, isKnown });

  it('counts what is alike, and tells it until it is on record', () => {
    const book = openRefusals();
    for (let n = 0; n < 5; n++) book.note(line('a'));
    const page = book.tell(0);
    expect(page).toMatchObject({ batch: 1, refusals: [{ username: 'a', count: 5, proven: true }] });
    book.note(line('a'));
    expect(book.tell(0)).toEqual(page);
    expect(book.tell(1)).toMatchObject({ batch: 2, refusals: [{ username: 'a', count: 1 }] });
    expect(book.tell(2)).toMatchObject({ batch: 2, refusals: [] });
  });

  it('is bounded, whatever is refused to however many', () => {
    const book = openRefusals();
    for (let n = 0; n < 30_000; n++) {
      book.note(line(`d${String(n % 9000)}`, { topic: 'x'.repeat(5000) + String(n) }));
    }
    for (let n = 0; n < 100; n++) book.note(line('one', { topic: String(n) }));
    let batch = 0;
    let told = 0;
    const names = new Set<string>();
    for (let page = book.tell(0); page.refusals.length > 0; page = book.tell(batch)) {
      expect(page.refusals.length).toBeLessThanOrEqual(250);
      for (const one of page.refusals) {
        names.add(one.username);
        expect(one.topic.length).toBeLessThanOrEqual(400);
      }
      told += page.refusals.length;
      ({ batch } = page);
    }
    expect(names.size).toBeLessThanOrEqual(4096);
    expect(told).toBeLessThanOrEqual(4096 * 8);
    expect(names).toContain('one');
  });

  it('keeps what somebody meets who only says a name apart, and only for names that there are', () => {
    const book = openRefusals((name) => name === 'a');
    book.note(line('a'));
    const stranger = { event: 'connection refused', reason: 'unknown-ca' };
    for (let n = 0; n < 500; n++) book.note(line('a', { ...stranger, topic: String(n) }));
    for (let n = 0; n < 500; n++) book.note(line(`made-up-${String(n)}`, stranger));
    book.note(line(undefined));
    const { refusals } = book.tell(0);
    expect(refusals.map(({ username }) => username)).toEqual(['a', 'a', 'a', 'a']);
    expect(refusals.filter(({ proven }) => proven)).toMatchObject([{ event: 'message denied' }]);
  });
});

describe('getPresence', () => {
  let broker: TestBroker;
  beforeAll(async () => {
    broker = await TestBroker.start();
  });
  afterAll(() => broker.stop());
  const ask = async (question: object) => {
    const [answer] = await broker.control({ command: 'getPresence', ...question });
    return answer?.data as { start: string; last: number; sightings: { username: string }[] };
  };

  it('is for administrators, and takes whatever it is asked with', async () => {
    const client = await broker.connect(await broker.device('pump'), { clientId: 'pump' });
    for (const question of [
      {},
      { start: null, after: 'x', refusalsAfter: {} },
      { start: '', after: -1, refusalsAfter: 1e308 },
      { start: 'x'.repeat(10_000), after: Number.MAX_SAFE_INTEGER },
    ]) {
      expect((await ask(question)).sightings).toMatchObject([{ username: 'pump', online: true }]);
    }
    const payload = JSON.stringify({ commands: [{ command: 'getPresence' }] });
    await client.publishAsync('$CONTROL/dynamic-security/v1', payload, { qos: 1 }).catch(() => 0);
    await expect.poll(() => broker.line('message denied')?.['topic']).toMatch(/^\$CONTROL/);
  });

  it('tells after a restart of the broker who was there when it stopped', async () => {
    const { start } = await ask({});
    await broker.close();
    await broker.open();
    const after = await ask({});
    expect(after.start).not.toBe(start);
    expect(after.sightings).toMatchObject([{ username: 'pump', online: false }]);
  });
});
