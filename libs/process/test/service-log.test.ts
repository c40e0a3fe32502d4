// Logs of the services: bounded, whole, and no kind of line can push the others out.
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeKind, ServiceLog } from '../src/service-log.ts';

let folder: string;
let now: number;
const path = (): string => join(folder, 'keyline-ca.log');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-logs-'));
  now = Date.UTC(2026, 10, 30);
});
afterEach(() => {
  rmSync(folder, { recursive: true });
});

function open(bounds = { fileBytes: 1000, files: 3 }, oftenPerMinute = 1_000_000): ServiceLog {
  return new ServiceLog({ path: path(), bounds, now: () => now, oftenPerMinute });
}

async function write(log: ServiceLog, ...parts: string[]): Promise<void> {
  const stream = new PassThrough();
  const ended = log.follow(stream);
  for (const part of parts) stream.write(part);
  stream.end();
  await ended;
}

const read = (name: string): string[] =>
  readFileSync(join(folder, name), 'utf8').trimEnd().split('\n');
const line = (level: string, msg: string): string => `${JSON.stringify({ level, msg })}\n`;

describe('the log of a service', () => {
  it('is never larger than its bounds, keeps the newest, and says what was deleted', async () => {
    const log = open();
    for (let n = 0; n < 200; n += 1) await write(log, `line ${String(n)} ${'x'.repeat(50)}\n`);
    const names = readdirSync(folder).toSorted();
    expect(names).toEqual(['keyline-ca.log', 'keyline-ca.log.1', 'keyline-ca.log.2']);
    for (const name of names) {
      expect(statSync(join(folder, name)).size).toBeLessThanOrEqual(1000);
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    }
    const all = ['keyline-ca.log.2', 'keyline-ca.log.1', 'keyline-ca.log'].flatMap(read);
    const numbers = all.flatMap((each) => /^line (\d+) /.exec(each)?.[1] ?? []).map(Number);
    const [first = 0] = numbers;
    expect(numbers).toEqual(Array.from({ length: 200 - first }, (_, n) => first + n));
    expect(read('keyline-ca.log')[0]).toMatch(/the oldest, up to .*Z, was deleted/);
  });

  it('goes on in the same file after a restart', async () => {
    await write(open(), 'one\n');
    await write(open(), 'two\n');
    expect(read('keyline-ca.log')).toEqual(['one', 'two']);
  });

  it('is put together from any pieces; a line without an end is written at the end', async () => {
    await write(open(), 'o', 'ne\ntw', 'o\n\nthree');
    expect(read('keyline-ca.log')).toEqual(['one', 'two', '', 'three']);
  });

  it('cuts a line that does not end, and takes the next one whole', async () => {
    const log = open({ fileBytes: 1_000_000, files: 2 });
    await write(log, ...Array.from({ length: 100 }, () => 'y'.repeat(10_000)), 'y\nnext\n');
    const lines = read('keyline-ca.log');
    expect(lines).toHaveLength(2);
    expect(lines[0]?.length).toBeLessThan(20_000);
    expect(lines[1]).toBe('next');
  });

  it('is not pushed out by lines of one kind that come without an end: they go to a file of their own', async () => {
    const log = open({ fileBytes: 4000, files: 2 }, 10);
    await write(log, line('warn', 'the CRL of issuing-1 was not published'));
    for (let n = 0; n < 2000; n += 1) {
      await write(log, line('info', `GET /crl/issuing-1.crl from "10.0.0.${String(n)}"`));
    }
    await write(log, line('error', 'the disk is nearly full'));
    const kept = ['keyline-ca.log'].flatMap(read).join('\n');
    expect(kept).toContain('was not published');
    expect(kept).toContain('nearly full');
    expect(kept.match(/GET /g)).toHaveLength(11);
    expect(kept).toMatch(/more than 10 lines like this in a minute.*keyline-ca\.frequent\.log/);
    expect(statSync(join(folder, 'keyline-ca.frequent.log')).size).toBeLessThanOrEqual(4000);
    now += 60_000;
    await write(log, line('info', 'quiet again'));
    expect(read('keyline-ca.log').at(-2)).toMatch(/1990 lines of the last minute are in/);
  });

  it('bounds the kinds that it tells apart', async () => {
    const log = open({ fileBytes: 200_000, files: 2 }, 10);
    const words = Array.from({ length: 3000 }, (_, n) =>
      line(
        'info',
        n.toString(26).replaceAll(/\d/g, (digit) => 'qrstuvwxyz'[Number(digit)]!),
      ),
    );
    await write(log, words.join(''));
    expect(read('keyline-ca.log').length).toBeLessThan(520);
  });

  it('counts what it could not write, and says so when it can again', async () => {
    const log = open();
    await write(log, 'one\n');
    log.close();
    rmSync(path());
    mkdirSync(path());
    await write(log, 'two\nthree\n');
    rmSync(path(), { recursive: true });
    await write(log, 'four\n');
    const lines = read('keyline-ca.log');
    expect(lines[0]).toMatch(/2 lines could not be written here and are lost: .*EISDIR/);
    expect(lines[1]).toBe('four');
    chmodSync(path(), 0o600);
  });
});

describe('the kind of a line', () => {
  it('leaves out what differs from one to the next', () => {
    const kind = (n: string): string =>
      describeKind(
        line('warn', `client "dev-${n}" at 10.0.0.${n}:99${n} sent 0x${n}ab bytes ${n}`),
      );
    expect(kind('1')).toBe(kind('23'));
    expect(describeKind(line('info', 'a'))).not.toBe(describeKind(line('warn', 'a')));
    expect(describeKind('{"level":30,"event":"refused","msg":"x 1"}\n')).toBe('30 refused');
  });

  it('is said of any line', () => {
    for (const odd of ['', '{', '{}', '[]', 'null', '{"level":{},"msg":[]}', '\u0000\u001b[2J']) {
      expect(describeKind(odd)).toBeTypeOf('string');
    }
  });
});
