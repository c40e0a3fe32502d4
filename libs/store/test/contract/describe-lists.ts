// Pages: filters and their combinations against a plain filter over an array, and cursors that hold while the fleet grows.
import { deviceStates, type Device, type DeviceFilter } from '@keyline/fleet';
import { isKeylineError } from '@keyline/kernel';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { listAll, take, useEngine, type CreateEngine } from './engine.ts';
import { apiToken, batch, device, token } from './rows.ts';

const types = ['default', 'sensor', 'pump'];
const batches = [null, 'b1', 'b2'];

/** Every combination of what can be filtered for, a few times, in an order that is not that of the ids. */
function fleet(): Device[] {
  const devices: Device[] = [];
  for (let n = 0; n < 180; n++) {
    const name = `${n % 2 === 0 ? 'a' : 'b'}-${String((n * 37) % 180).padStart(3, '0')}`;
    devices.push(
      device(name, {
        state: deviceStates[n % 5]!,
        type: types[n % 3]!,
        batch: batches[Math.floor(n / 5) % 3]!,
        labels: n % 4 === 0 ? {} : { line: String(n % 4), site: n % 7 === 0 ? 'x=y' : 'z' },
        notAfter: n % 11 === 0 ? null : n * 10,
      }),
    );
  }
  return devices;
}

function matches(one: Device, filter: Partial<DeviceFilter>): boolean {
  const [name = '', ...rest] = filter.label?.split('=') ?? [];
  return (
    (filter.state === undefined || one.state === filter.state) &&
    (filter.type === undefined || one.type === filter.type) &&
    (filter.batch === undefined || one.batch === filter.batch) &&
    (filter.label === undefined || one.labels[name] === rest.join('=')) &&
    (filter.expiresBefore === undefined ||
      (one.notAfter !== null && one.notAfter < filter.expiresBefore)) &&
    (filter.q === undefined || one.id.startsWith(filter.q))
  );
}

export function describeLists(createEngine: CreateEngine): void {
  const db = useEngine(createEngine);

  describe('the list of devices', () => {
    const all = fleet();
    const byId = [...all].sort((a, b) => (a.id < b.id ? -1 : 1));
    beforeEach(() =>
      take(db.store, ...all.map((one) => ({ op: 'insert-device', device: one }) as const)),
    );

    it('gives what any combination of filters means, each device once, in the order of ids', async () => {
      const optional = <T>(...values: T[]): fc.Arbitrary<T | undefined> =>
        fc.constantFrom(undefined, undefined, ...values);
      const filters = fc.record({
        limit: fc.integer({ min: 1, max: 70 }),
        state: optional(...deviceStates),
        type: optional(...types, 'unknown'),
        batch: optional('b1', 'b2', 'b3'),
        label: optional('line=1', 'line=2', 'site=z', 'site=x=y', 'site=', 'nothing=1'),
        expiresBefore: optional(0, 400, 1000, 100_000),
        q: optional('a', 'a-0', 'b-17', '', 'zz', 'A'),
      });
      await fc.assert(
        fc.asyncProperty(filters, async (filter) => {
          const found = await listAll((cursor) => db.store.listDevices({ ...filter, cursor }));
          expect(found).toEqual(byId.filter((one) => matches(one, filter)));
        }),
        { numRuns: 150 },
      );
    });

    it('has no cursor on its last page, even when that is full', async () => {
      const last = await db.store.listDevices({ limit: all.length });
      expect(last.items).toHaveLength(all.length);
      expect(last.nextCursor).toBeNull();
      const almost = await db.store.listDevices({ limit: all.length - 1 });
      expect(almost.nextCursor).not.toBeNull();
    });

    it('neither repeats nor loses a device while others are inserted and changed between pages', async () => {
      const found: Device[] = [];
      let cursor: string | undefined;
      for (let round = 0; ; round++) {
        const page = await db.store.listDevices({ limit: 10, cursor });
        found.push(...page.items);
        if (page.nextCursor === null) break;
        cursor = page.nextCursor;
        const last = page.items.at(-1)!;
        await take(
          db.store,
          // Before, just after, and far behind the cursor.
          { op: 'insert-device', device: device(`0-${String(round)}`) },
          { op: 'insert-device', device: device(`${last.id}.${String(round)}`) },
          { op: 'insert-device', device: device(`z-${String(round)}`) },
          {
            op: 'update-device',
            id: last.id,
            expectVersion: last.version,
            at: 900,
            state: 'decommissioned',
            serial: null,
            notAfter: null,
          },
        );
      }
      const ids = found.map((one) => one.id);
      expect(new Set(ids).size).toBe(ids.length);
      expect(ids).toEqual([...ids].sort());
      expect(byId.filter((one) => !ids.includes(one.id))).toEqual([]);
    });

    it('refuses a cursor that is not its own with REQUEST_INVALID, whatever it holds', async () => {
      const others = await db.store.listTokens({ limit: 1 });
      expect(others.nextCursor).toBeNull();
      const forged = (text: string): string => Buffer.from(text).toString('base64url');
      for (const cursor of [
        '',
        'x',
        '💥',
        forged('tokens\nt'),
        forged('devices'),
        forged('devices\na\nb'),
      ]) {
        await expect(db.store.listDevices({ limit: 5, cursor })).rejects.toMatchObject({
          code: 'REQUEST_INVALID',
        });
      }
      await fc.assert(
        fc.asyncProperty(fc.string({ unit: 'binary-ascii' }), async (cursor) => {
          const answer = await db.store
            .listDevices({ limit: 5, cursor })
            .catch((error: unknown) => {
              if (isKeylineError(error) && error.code === 'REQUEST_INVALID') return undefined;
              throw error;
            });
          expect(answer).toBeUndefined();
        }),
      );
    });

    it('takes the position of a cursor as a value, never as SQL', async () => {
      const cursor = Buffer.from("devices\n' OR 1=1; DROP TABLE devices --").toString('base64url');
      expect((await db.store.listDevices({ limit: 5, cursor })).items).toHaveLength(5);
      expect((await db.store.listDevices({ limit: 5, label: "a'--=' OR 1=1" })).items).toEqual([]);
      expect((await db.store.listDevices({ limit: 500 })).items).toHaveLength(all.length);
    });
  });

  it('pages through tokens, API tokens and batches by id, each with cursors of its own', async () => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    for (const name of names) {
      await take(
        db.store,
        { op: 'insert-token', token: token(name) },
        { op: 'insert-api-token', token: apiToken(name) },
        { op: 'insert-batch', batch: batch(name) },
      );
    }
    const { store } = db;
    for (const limit of [1, 2, 5, 9]) {
      const pages = [
        await listAll((cursor) => store.listTokens({ limit, cursor })),
        await listAll((cursor) => store.listApiTokens({ limit, cursor })),
        await listAll((cursor) => store.listBatches({ limit, cursor })),
      ];
      for (const page of pages) expect(page.map(({ id }) => id)).toEqual(names);
    }
    const { nextCursor } = await store.listTokens({ limit: 2 });
    await expect(
      store.listBatches({ limit: 2, cursor: nextCursor ?? undefined }),
    ).rejects.toMatchObject({ code: 'REQUEST_INVALID' });
  });
}
