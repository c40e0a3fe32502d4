// What ends: revoked certificates for the CRL, and what is about to expire for the alert engine.
import {
  revokedPages,
  type Certificate,
  type DeviceState,
  type ExpiryGroup,
  type NamedCertificateFilter,
  type Write,
} from '@keyline/fleet';
import { Duration } from '@keyline/kernel';
import { describe, expect, it } from 'vitest';
import { take, useEngine, type CreateEngine } from './engine.ts';
import { certificate, device, serial } from './rows.ts';

const day = Duration.days(1);

export function describeEndings(createEngine: CreateEngine): void {
  const db = useEngine(createEngine);

  describe('revoked certificates', () => {
    const insert = (n: number, changes: Partial<Certificate> = {}): Write => ({
      op: 'insert-certificate',
      certificate: certificate(n, changes),
    });
    const revoke = (n: number, at = 50): Write => ({
      op: 'revoke-certificate',
      serial: serial(n),
      at,
      reason: 'keyCompromise',
    });
    const listed = async (
      endsFrom: number,
      more: Partial<Parameters<typeof db.store.listRevoked>[0]> = {},
    ): Promise<string[]> => {
      const which = { authority: 'issuing-1', endsFrom, limit: 100, ...more };
      return (await db.store.listRevoked(which)).map((entry) => entry.serial);
    };

    it('are listed per authority in the order of serials, with time and reason', async () => {
      await take(
        db.store,
        insert(2),
        insert(1),
        insert(3, { authority: 'issuing-2' }),
        insert(4),
        revoke(2, 20),
        revoke(1, 10),
        revoke(3),
      );
      expect(
        await db.store.listRevoked({ authority: 'issuing-1', endsFrom: 0, limit: 10 }),
      ).toEqual([
        { serial: serial(1), revokedAt: 10, reason: 'keyCompromise' },
        { serial: serial(2), revokedAt: 20, reason: 'keyCompromise' },
      ]);
      expect(await listed(0, { authority: 'issuing-2' })).toEqual([serial(3)]);
      expect(await listed(0, { authority: 'issuing-3' })).toEqual([]);
    });

    it('are listed in pages after a serial, each once', async () => {
      for (let n = 1; n <= 7; n++) await take(db.store, insert(n), revoke(n));
      const pages: string[] = [];
      for await (const page of revokedPages(db.store, { authority: 'issuing-1', endsFrom: 0 })) {
        pages.push(...page.map((entry) => entry.serial));
      }
      expect(pages).toEqual([1, 2, 3, 4, 5, 6, 7].map(serial));
      expect(await listed(0, { after: serial(3), limit: 2 })).toEqual([serial(4), serial(5)]);
      expect(await listed(0, { after: serial(7) })).toEqual([]);
    });

    it('are left out once they ended before a moment', async () => {
      await take(db.store, insert(1, { notAfter: 100 }), revoke(1));
      expect(await listed(100)).toEqual([serial(1)]);
      expect(await listed(101)).toEqual([]);
    });

    it('are listed by shard where they name one', async () => {
      await take(
        db.store,
        insert(1, { crlShard: '0of2' }),
        insert(2, { crlShard: '1of2' }),
        insert(3),
        revoke(1),
        revoke(2),
        revoke(3),
      );
      expect(await listed(0, { shard: '1of2' })).toEqual([serial(2)]);
      expect(await listed(0)).toEqual([serial(1), serial(2), serial(3)]);
    });
  });

  describe('expiry groups', () => {
    let next = 1;
    /** A device with its newest certificate, from 0 to `end`. */
    const own = (
      name: string,
      end: number,
      more: { state?: DeviceState; type?: string; begin?: number } = {},
    ): Write[] => {
      const n = next++;
      return [
        {
          op: 'insert-device',
          device: device(name, {
            type: more.type ?? 'sensor',
            state: more.state ?? 'active',
            serial: serial(n),
            notAfter: end,
          }),
        },
        {
          op: 'insert-certificate',
          certificate: certificate(n, { owner: name, notBefore: more.begin ?? 0, notAfter: end }),
        },
      ];
    };
    const longLived = (before: number): Promise<readonly ExpiryGroup[]> =>
      db.store.listExpiring({ before, minLifetime: 0, maxLifetime: Number.MAX_SAFE_INTEGER });

    it('are devices by type, with their number, the soonest end and the first five that end', async () => {
      const writes = [60, 10, 50, 20, 40, 30, 70].flatMap((end) =>
        own(`s-${String(end)}`, end * day),
      );
      await take(db.store, ...writes, ...own('p-1', 15 * day, { type: 'pump' }));
      expect(await longLived(61 * day)).toEqual([
        { kind: 'device', group: 'pump', count: 1, examples: ['p-1'], soonest: 15 * day },
        {
          kind: 'device',
          group: 'sensor',
          count: 6,
          examples: ['s-10', 's-20', 's-30', 's-40', 's-50'],
          soonest: 10 * day,
        },
      ]);
      expect(await longLived(10 * day)).toEqual([]);
    });

    it('leave services to their certificates: an application is named, and is no device of a type', async () => {
      const type = 'service:reader';
      const [made] = own('app', 9 * day, { type });
      const owned = { kind: 'service', owner: 'app', notAfter: 9 * day } as const;
      if (made === undefined) throw new Error('no write');
      await take(db.store, made, {
        op: 'insert-certificate',
        certificate: certificate(next++, owned),
      });
      expect(await longLived(10 * day)).toEqual([
        { kind: 'service', group: 'app', count: 1, examples: ['app'], soonest: 9 * day },
      ]);
    });

    it('list what is in force of whatever is no device, by owner, page by page', async () => {
      const named = (owner: string, more: Partial<Certificate> = {}): Write => ({
        op: 'insert-certificate',
        certificate: certificate(next++, { owner, kind: 'server', notAfter: 50 * day, ...more }),
      });
      await take(
        db.store,
        ...own('device', 9 * day),
        named('b@server'),
        named('a@server', { notAfter: 5 * day }),
        named('b@server'),
        named('op@operator', { kind: 'operator' }),
        named('gone@server', { state: 'revoked', reason: 'unspecified', revokedAt: 1 }),
        named('old@server', { state: 'superseded' }),
      );
      const owners = async (filter: Partial<NamedCertificateFilter> = {}): Promise<string[]> =>
        (await db.store.listNamedCertificates({ limit: 9, ...filter })).items.map(
          ({ owner }) => owner,
        );
      expect(await owners()).toEqual(['a@server', 'b@server', 'b@server', 'op@operator']);
      expect(await owners({ kind: 'operator' })).toEqual(['op@operator']);
      expect(await owners({ q: 'b' })).toEqual(['b@server', 'b@server']);
      expect(await owners({ expiresBefore: 6 * day })).toEqual(['a@server']);
      const seen: string[] = [];
      let cursor: string | null | undefined;
      do {
        const page = await db.store.listNamedCertificates({
          limit: 1,
          cursor: cursor ?? undefined,
        });
        seen.push(...page.items.map(({ serial: one }) => one));
        ({ nextCursor: cursor } = page);
      } while (cursor !== null);
      expect(new Set(seen).size).toBe(4);
    });

    it('take the whole lifetime into account: at least the least, less than the most', async () => {
      await take(
        db.store,
        ...own('short', 9 * day, { begin: 8 * day }),
        ...own('long', 9 * day, { begin: -90 * day }),
      );
      const ending = async (minLifetime: number, maxLifetime: number): Promise<string[]> =>
        (await db.store.listExpiring({ before: 10 * day, minLifetime, maxLifetime })).flatMap(
          ({ examples }) => examples,
        );
      expect(await ending(day, 99 * day)).toEqual(['short']);
      expect(await ending(day + 1, 99 * day)).toEqual([]);
      expect(await ending(day + 1, 99 * day + 1)).toEqual(['long']);
    });

    it('leave out devices that are revoked or decommissioned, and those whose certificate was revoked alone', async () => {
      await take(
        db.store,
        ...own('r', day, { state: 'revoked' }),
        ...own('d', day, { state: 'decommissioned' }),
        ...own('alone', day),
        { op: 'revoke-certificate', serial: serial(next - 1), at: 1, reason: 'keyCompromise' },
        ...own('held', day, { state: 'suspended' }),
        { op: 'revoke-certificate', serial: serial(next - 1), at: 1, reason: 'certificateHold' },
      );
      expect((await longLived(2 * day)).flatMap(({ examples }) => examples)).toEqual(['held']);
    });

    it('count a renewed device by its newest certificate only', async () => {
      await take(db.store, ...own('s', day));
      const renewed = next++;
      await take(
        db.store,
        {
          op: 'update-device',
          id: device('s').id,
          expectVersion: 1,
          at: 1,
          state: 'active',
          serial: serial(renewed),
          notAfter: 90 * day,
        },
        {
          op: 'insert-certificate',
          certificate: certificate(renewed, { owner: 's', notAfter: 90 * day }),
        },
      );
      expect(await longLived(30 * day)).toEqual([]);
    });

    it('count everything that is not a device by its owner, with its newest certificate', async () => {
      const infrastructure = (
        owner: string,
        end: number,
        more: Partial<Certificate> = {},
      ): Write => ({
        op: 'insert-certificate',
        certificate: certificate(next++, { owner, kind: 'server', notAfter: end, ...more }),
      });
      await take(
        db.store,
        infrastructure('broker@keyline', 5 * day),
        infrastructure('broker@keyline', 60 * day),
        infrastructure('api@keyline', 5 * day),
        infrastructure('api@keyline', 60 * day, { state: 'superseded' }),
        infrastructure('ocsp@keyline', 4 * day, { kind: 'ocsp' }),
        infrastructure('gone@keyline', 4 * day, { state: 'revoked', revokedAt: 1 }),
      );
      expect(await longLived(30 * day)).toEqual([
        {
          kind: 'server',
          group: 'api@keyline',
          count: 1,
          examples: ['api@keyline'],
          soonest: 5 * day,
        },
        {
          kind: 'ocsp',
          group: 'ocsp@keyline',
          count: 1,
          examples: ['ocsp@keyline'],
          soonest: 4 * day,
        },
      ]);
    });

    it('find short-lived certificates by the share of their lifetime that is left', async () => {
      await take(
        db.store,
        ...own('half', 2 * day),
        ...own('quarter', 2 * day, { begin: -2 * day }),
        ...own('ended', day / 2),
        ...own('long', 100 * day, { begin: -1000 * day }),
      );
      const left = async (share: number): Promise<string[]> =>
        (await db.store.listExpiringByShare({ at: day, share, maxLifetime: 10 * day })).flatMap(
          ({ examples }) => examples,
        );
      expect(await left(0.5)).toEqual(['ended', 'half', 'quarter']);
      expect(await left(0.49)).toEqual(['ended', 'quarter']);
      expect(await left(0.24)).toEqual(['ended']);
    });
  });
}
