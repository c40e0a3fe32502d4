import { Duration, type SerialHex } from '@keyline/kernel';
import { parseCrl } from '@keyline/x509';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  createCrl,
  mergeCrlEntries,
  type CrlEntry,
  type CrlEntries,
  type DeltaCrlEntry,
} from '../src/index.ts';
import { createHierarchy, now } from './hierarchy.ts';

const hierarchy = createHierarchy();

async function crlOf(entries: CrlEntries): Promise<Uint8Array> {
  const { issuing } = await hierarchy;
  return createCrl({
    authority: issuing,
    number: 5,
    thisUpdate: now,
    nextUpdate: now + Duration.days(7),
    entries,
    scope: 'user',
  });
}

/** Of few serials, so that they meet, of one to three octets, with and without a sign octet. */
const serial = fc
  .constantFrom('01', '02', '7f', '80', '8000', '80ff', 'ff', '4000', '400000', '40ffff', 'c0ffee')
  .map((hex) => hex as SerialHex);
const revokedAt = fc.integer({ min: 0, max: 1000 }).map((seconds) => now - seconds * 1000);
const entry = fc.record({
  serial,
  revokedAt,
  reason: fc.constantFrom('keyCompromise', 'unspecified', 'certificateHold' as const),
}) as fc.Arbitrary<CrlEntry>;
const change = fc.oneof(
  entry,
  fc.record({ serial, revokedAt, reason: fc.constant('removeFromCRL' as const) }),
) as fc.Arbitrary<DeltaCrlEntry>;
const bySerial = <Entry extends DeltaCrlEntry>(of: fc.Arbitrary<Entry>): fc.Arbitrary<Entry[]> =>
  fc.uniqueArray(of, { selector: ({ serial: own }) => own });
const sorted = <Entry extends DeltaCrlEntry>(entries: readonly Entry[]): Entry[] =>
  entries.toSorted((a, b) => (a.serial < b.serial ? -1 : 1));

describe('merging a CRL with what changed since', () => {
  it('gives what a relying party makes of the CRL and its delta (RFC 5280 §5.2.4)', async () => {
    await fc.assert(
      fc.asyncProperty(bySerial(entry), bySerial(change), async (base, changes) => {
        const merged = mergeCrlEntries(await crlOf(sorted(base)), changes);
        const expected = new Map<string, DeltaCrlEntry>(base.map((one) => [one.serial, one]));
        for (const one of changes) {
          if (one.reason === 'removeFromCRL') expected.delete(one.serial);
          else expected.set(one.serial, one);
        }
        expect(merged?.count).toBe(expected.size);
        const anew = await crlOf(sorted([...expected.values()]) as CrlEntry[]);
        expect(parseCrl(await crlOf(merged!)).entries).toEqual(parseCrl(anew).entries);
      }),
      { numRuns: 300 },
    );
  });

  it('does not take entries that are in no order, or there twice', async () => {
    const at = { revokedAt: now, reason: 'keyCompromise' } as const;
    const [one, two] = ['01' as SerialHex, '02' as SerialHex];
    for (const serials of [
      [two, one],
      [one, one],
    ]) {
      const crl = await crlOf(serials.map((each) => ({ serial: each, ...at })));
      expect(mergeCrlEntries(crl, [{ serial: '03' as SerialHex, ...at }])).toBeUndefined();
    }
  });

  it('refuses bytes that are no CRL', () => {
    expect(() => mergeCrlEntries(Uint8Array.of(0x30, 3, 2, 1, 1), [])).toThrow(/DER/);
  });
});
