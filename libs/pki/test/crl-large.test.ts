// A CRL of a million entries: what it costs the process that writes it. QUICK=1: 200,000.
import { createVerify, createPublicKey, verify } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Duration, type SerialHex } from '@keyline/kernel';
import { parseCertificate, parseCrl } from '@keyline/x509';
import { describe, expect, it } from 'vitest';
import { encodeCrlEntries, type EncodedCrlEntries } from '../src/crl-entries.ts';
import type { CrlContent } from '../src/crl.ts';
import { createCrl, createDeltaCrl, type CrlEntry } from '../src/index.ts';
import { createHierarchy, now } from './hierarchy.ts';

const million = process.env['QUICK'] === '1' ? 200_000 : 1_000_000;

function entryOf(i: number): CrlEntry {
  // The low digits run through all octets, so that every length of chunk ends is met.
  const serial = `4${i.toString(16).padStart(33, '7')}` as SerialHex;
  return {
    serial,
    revokedAt: now - i * 1000,
    reason: i % 7 === 0 ? 'keyCompromise' : 'superseded',
  };
}
function* entries(count: number): Generator<CrlEntry> {
  for (let i = 0; i < count; i++) yield entryOf(i);
}
async function* pages(count: number): AsyncGenerator<CrlEntry[]> {
  for (let start = 0; start < count; start += 1000) {
    await nextTurn();
    yield [...entries(Math.min(count, start + 1000))].slice(start);
  }
}

/** Longest stretch of this thread's own CPU time between two turns of the event loop, in ms: what others on the machine do does not count. */
async function watchTurns<Result>(
  work: () => Promise<Result>,
): Promise<{ result: Result; longest: number }> {
  const cpu = (): number => {
    const { user, system } = process.threadCpuUsage();
    return (user + system) / 1000;
  };
  let longest = 0;
  let watching = true;
  const watch = async (): Promise<void> => {
    let last = cpu();
    while (watching) {
      await nextTurn();
      const at = cpu();
      longest = Math.max(longest, at - last);
      last = at;
    }
  };
  const watched = watch();
  const result = await work();
  watching = false;
  await watched;
  return { result, longest };
}

describe('createCrl', () => {
  const contentOf = async (
    algorithm: 'ec-p256' | 'ml-dsa-65' = 'ec-p256',
  ): Promise<Omit<CrlContent, 'entries'>> => {
    const { issuing } = await createHierarchy({ issuingAlgorithm: algorithm });
    const times = { thisUpdate: now, nextUpdate: now + Duration.days(7) };
    return { authority: issuing, number: 1, ...times, scope: 'user' };
  };
  const tbsOf = (crlDer: Uint8Array): string =>
    Buffer.from(parseCrl(crlDer).tbsDer).toString('base64');

  it('writes the same list from an iterable, from pages, and from entries encoded elsewhere', async () => {
    const content = await contentOf();
    const count = 20_000;
    const fromIterable = await createCrl({ ...content, entries: entries(count) });
    const fromPages = await createCrl({ ...content, entries: pages(count) });
    const encoded = encodeCrlEntries(entries(count));
    expect(encoded).toMatchObject({ count, hasRemovals: false });
    // As it comes out of a worker thread: the chunks transferred.
    const transfer = encoded.chunks.map(({ buffer }) => buffer);
    const moved = structuredClone<EncodedCrlEntries>(encoded, { transfer });
    const fromElsewhere = await createCrl({ ...content, entries: moved });
    expect(tbsOf(fromPages)).toBe(tbsOf(fromIterable));
    expect(tbsOf(fromElsewhere)).toBe(tbsOf(fromIterable));
    const parsed = parseCrl(fromIterable);
    expect(parsed.entries).toHaveLength(count);
    expect(parsed.entries[count - 1]).toEqual(entryOf(count - 1));
  });

  it('frees what was encoded elsewhere while it puts the list together', async () => {
    const encoded = encodeCrlEntries(entries(10_000));
    await createCrl({ ...(await contentOf()), entries: encoded });
    expect(encoded.chunks.every(({ buffer }) => buffer.byteLength === 0)).toBe(true);
  });

  it('knows of removals in what was encoded elsewhere (RFC 5280 §5.3.1)', async () => {
    const content = await contentOf();
    const removal = { ...entryOf(1), reason: 'removeFromCRL' as const };
    await expect(createCrl({ ...content, entries: encodeCrlEntries([removal]) })).rejects.toThrow(
      /removeFromCRL/,
    );
    await expect(
      createDeltaCrl({
        ...content,
        number: 2,
        baseNumber: 1,
        entries: encodeCrlEntries([removal]),
      }),
    ).resolves.toBeInstanceOf(Uint8Array);
  });

  // ML-DSA takes the message whole: node:crypto copies it, in one go, before its thread pool signs.
  it.each([
    ['ec-p256', 30],
    ['ml-dsa-65', 90],
  ] as const)(
    'signed by %s, never holds the event loop above %i ms of its own work',
    { timeout: 60_000 },
    async (algorithm, limit) => {
      const content = await contentOf(algorithm);
      const { result, longest } = await watchTurns(() =>
        createCrl({ ...content, entries: entries(million) }),
      );
      expect(longest).toBeLessThan(limit);
      const { spkiDer } = parseCertificate(content.authority.certificateDer);
      const key = createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });
      // Taken apart by hand: reading a million entries is not what is measured here.
      const crl = parseHeader(result);
      const isRight =
        algorithm === 'ec-p256'
          ? createVerify('sha256').update(crl.tbs).verify(key, crl.signature)
          : verify(null, crl.tbs, key, crl.signature);
      expect(isRight).toBe(true);
      expect(crl.tbs.length).toBeGreaterThan(million * 48);
    },
  );

  it('holds the list in memory once, beside what the entries come from', async () => {
    const content = await contentOf();
    globalThis.gc?.();
    const idle = process.memoryUsage.rss();
    let peak = idle;
    const { result } = await watchTurns(async () => {
      const timer = setInterval(() => {
        peak = Math.max(peak, process.memoryUsage.rss());
      }, 1);
      try {
        return await createCrl({ ...content, entries: entries(million) });
      } finally {
        clearInterval(timer);
      }
    });
    // The list itself, its chunks going as it grows, and the garbage of the generator before it is collected.
    expect(peak - idle).toBeLessThan(result.length + 120e6);
  });
});

function parseHeader(crlDer: Uint8Array): { tbs: Uint8Array; signature: Uint8Array } {
  const lengthAt = (offset: number): { content: number; length: number } => {
    const first = crlDer[offset + 1] ?? 0;
    if (first < 0x80) return { content: offset + 2, length: first };
    let length = 0;
    for (let i = 0; i < (first & 0x7f); i++) length = length * 256 + (crlDer[offset + 2 + i] ?? 0);
    return { content: offset + 2 + (first & 0x7f), length };
  };
  const outer = lengthAt(0);
  const tbs = lengthAt(outer.content);
  const tbsEnd = tbs.content + tbs.length;
  const algorithm = lengthAt(tbsEnd);
  const bits = lengthAt(algorithm.content + algorithm.length);
  return {
    tbs: crlDer.subarray(outer.content, tbsEnd),
    signature: crlDer.subarray(bits.content + 1, bits.content + bits.length),
  };
}
