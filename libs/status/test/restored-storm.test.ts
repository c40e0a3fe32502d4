// Storms of issuing, renewing, revoking and publishing, copies made in the midst of them, and each of the copies brought back.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { crlListsOf, type Authorities } from '@keyline/authorities';
import { isRestoredUnseen, type Certificate, type Store, type Write } from '@keyline/fleet';
import { Duration, FakeClock, type SerialHex } from '@keyline/kernel';
import { copySqliteDatabase, createSqliteStore, openSqliteStore } from '@keyline/store';
import { parseCrl } from '@keyline/x509';
import { expect, it } from 'vitest';
import { createRandom } from '../../../test/support/random.ts';
import { createHierarchy, now } from '../../pki/test/hierarchy.ts';
import { createCrlPublisher } from '../src/crl-publisher.ts';
import { recoverRestoredCopy } from '../src/restored-copy.ts';

it.each([1, 2, 3])(
  'of seed %i: no copy takes a revocation back or uses a CRL number twice (RFC 5280 §5.2.3)',
  async (seed) => {
    const random = createRandom(seed);
    const folder = mkdtempSync(join(tmpdir(), 'keyline-storm-'));
    const clock = new FakeClock(now);
    const { issuing } = await createHierarchy({ at: now });
    const lists = crlListsOf({ ...issuing, id: 'issuing-1' }, []);
    const [{ certificate: issuer }] = lists as [(typeof lists)[number]];
    const authorities = {
      all: () => [{ id: 'issuing-1', certificate: issuer, crlLists: lists }],
      roots: () => [],
    } as unknown as Pick<Authorities, 'all' | 'roots'>;
    const numbers = new Set<number>();

    /** Everything due is published, by a publisher that begins with what the database says. */
    async function publish(store: Store): Promise<Uint8Array> {
      const publisher = await createCrlPublisher({
        ...{ store, clock, lists: () => lists, brought: () => [] },
        feed: {
          join: ({ name, state }) => ({
            ...{ name, state },
            isFresh: () => true,
            refresh: () => Promise.resolve(),
          }),
        },
        schedule: { validity: Duration.days(7), interval: Duration.minutes(1) },
        onPublished({ number }) {
          expect(numbers.has(number), `number ${String(number)} came twice`).toBe(false);
          numbers.add(number);
        },
      });
      const condition = () => ({ op: 'move-cursor', follower: 'storm', seq: 0 }) as const;
      await publisher.begin({ name: 'crl', epoch: 1, isHeld: () => true, condition });
      await publisher.tick();
      return publisher.latest('issuing-1', 'complete')!.der;
    }

    const path = join(folder, 'keyline.db');
    const store = await openOrCreate(path);
    const alive: SerialHex[] = [];
    const revoked: SerialHex[] = [];
    const copies: string[] = [];
    for (let step = 0; step < 200; step++) {
      clock.advance(Duration.minutes(2));
      const at = clock.now();
      if (random() < 0.6 || alive.length === 0) {
        const serial = createSerial(random);
        const renewed = random() < 0.3 ? alive.at(Math.floor(random() * alive.length)) : undefined;
        const before = renewed && (await store.findCertificate(renewed));
        const certificate: Omit<Certificate, 'entry'> = {
          ...{ serial, kind: 'device', profile: 'device-client' },
          owner: before?.owner ?? `d${String(step)}`,
          ...{ authority: 'issuing-1', notBefore: at, notAfter: at + Duration.days(90) },
          ...{ spkiSha256: 'ab', der: new Uint8Array([1]), crlShard: null },
          ...{ state: 'active', revokedAt: null, reason: null },
        };
        await commit(store, [
          { op: 'insert-certificate', certificate },
          ...(renewed === undefined
            ? []
            : [{ op: 'supersede-certificate', serial: renewed } as const]),
        ]);
        alive.push(serial);
      } else {
        const [serial] = alive.splice(Math.floor(random() * alive.length), 1) as [SerialHex];
        await commit(store, [{ op: 'revoke-certificate', serial, at, reason: 'keyCompromise' }]);
        revoked.push(serial);
      }
      if (random() < 0.2) await publish(store);
      if (step % 20 === 10) {
        const to = join(folder, `copy-${String(step)}.db`);
        await copySqliteDatabase({ from: path, to });
        copies.push(to);
      }
    }
    clock.advance(Duration.minutes(2));
    const given = [await publish(store)];
    await store.close();
    expect(copies).toHaveLength(10);
    for (const copy of copies) {
      clock.advance(Duration.minutes(2));
      const restored = await openSqliteStore({ path: copy, isCopy: true });
      const backedUpAt = '2026-01-01T00:00:00Z';
      await recoverRestoredCopy({ store: restored, clock }, authorities, {
        published: new Map(),
        restored: { backedUpAt, given },
      });
      expect(await isRestoredUnseen(restored)).toBe(true);
      for (const serial of revoked) {
        expect((await restored.findCertificate(serial))?.state, serial).toBe('revoked');
      }
      for (const serial of alive) {
        // It goes on, or is not on record and held as soon as it shows itself.
        const found = await restored.findCertificate(serial);
        expect([undefined, 'active', 'superseded'], serial).toContain(found?.state);
      }
      const listed = new Set(parseCrl(await publish(restored)).entries.map((one) => one.serial));
      expect(revoked.filter((serial) => !listed.has(serial))).toEqual([]);
      expect(alive.filter((serial) => listed.has(serial))).toEqual([]);
      await restored.close();
    }
    rmSync(folder, { recursive: true });
  },
  300_000,
);

async function openOrCreate(path: string): Promise<Store> {
  createSqliteStore(path);
  return openSqliteStore({ path });
}

async function commit(store: Store, writes: readonly Write[]): Promise<void> {
  expect(await store.commit({ writes: [...writes], entries: [] })).toMatchObject({ ok: true });
}

/** As Keyline makes them: one that begins with 00 comes back from a CRL without these digits, or makes it no DER (X.690 §8.3.2). */
function createSerial(random: () => number): SerialHex {
  const octets = Uint8Array.from({ length: 16 }, () => Math.floor(random() * 256));
  octets[0] = (octets[0]! & 0x3f) | 0x40;
  return octets.toHex() as SerialHex;
}
