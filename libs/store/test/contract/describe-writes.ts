// Every write: what it does, and each refusal that the port names.
import type { Write } from '@keyline/fleet';
import { describe, expect, it } from 'vitest';
import { codeOf, outcome, take, useEngine, type CreateEngine } from './engine.ts';
import {
  alert,
  apiToken,
  authority,
  batch,
  certificate,
  crl,
  device,
  id,
  idempotency,
  serial,
  sha,
  token,
} from './rows.ts';

export function describeWrites(createEngine: CreateEngine): void {
  const db = useEngine(createEngine);

  describe('devices', () => {
    const update = (name: string, expectVersion: number, changes = {}): Write => ({
      op: 'update-device',
      id: id(name),
      expectVersion,
      at: 500,
      state: 'active',
      serial: serial(9),
      notAfter: 900,
      ...changes,
    });

    it('are refused for an id that differs from another in case alone, when that is asked for', async () => {
      const insert = (name: string): Write => ({
        op: 'insert-device',
        device: device(name),
        distinctIgnoringCase: true,
      });
      await take(db.store, insert('pump-1'));
      await take(db.store, insert('Valve-1'));
      for (const [name, other] of [
        ['PUMP-1', 'pump-1'],
        ['valve-1', 'Valve-1'],
        ['VALVE-1', 'Valve-1'],
      ] as const) {
        expect(await db.store.commit({ writes: [insert(name)], entries: [] })).toMatchObject({
          ok: false,
          code: 'DEVICE_EXISTS',
          context: { device: name, inOtherCase: other },
        });
      }
      await take(db.store, { op: 'insert-device', device: device('Pump-1') });
    });

    it('come back as they were inserted, labels and all', async () => {
      const whole = device('d1', {
        type: 'sensor',
        batch: 'b1',
        labels: { site: 'süd', '': 'empty name', empty: '', constructor: 'a word' },
        state: 'suspended',
        version: 7,
        serial: serial(1),
        notAfter: 900,
      });
      await take(db.store, { op: 'insert-device', device: whole });
      expect(await db.store.findDevice(id('d1'))).toEqual(whole);
      expect(await db.store.findDevice(id('D1'))).toBeUndefined();
    });

    it('are refused with DEVICE_EXISTS the second time, and the first stays', async () => {
      await take(db.store, { op: 'insert-device', device: device('d1') });
      const second = await db.store.commit({
        writes: [{ op: 'insert-device', device: device('d1', { type: 'other' }) }],
        entries: [],
      });
      expect(second).toEqual({
        ok: false,
        code: 'DEVICE_EXISTS',
        writeIndex: 0,
        context: { device: 'd1' },
      });
      expect((await db.store.findDevice(id('d1')))?.type).toBe('default');
    });

    it('are updated at the expected version, which counts on', async () => {
      await take(db.store, { op: 'insert-device', device: device('d1', { batch: 'b1' }) });
      await take(db.store, update('d1', 1, { state: 'suspended' }));
      expect(await db.store.findDevice(id('d1'))).toEqual(
        device('d1', {
          batch: 'b1',
          state: 'suspended',
          version: 2,
          updatedAt: 500,
          serial: serial(9),
          notAfter: 900,
        }),
      );
    });

    it('are refused with DEVICE_CHANGED at another version, and when there is none', async () => {
      await take(db.store, { op: 'insert-device', device: device('d1') });
      expect(await outcome(db.store, update('d1', 0))).toBe('DEVICE_CHANGED');
      expect(await outcome(db.store, update('d1', 2))).toBe('DEVICE_CHANGED');
      expect(await outcome(db.store, update('d2', 1))).toBe('DEVICE_CHANGED');
      expect(await db.store.findDevice(id('d1'))).toEqual(device('d1'));
    });

    it('keep the predecessor of a serial that stays, and lose it with the serial unless another is given', async () => {
      const predecessor = async () => (await db.store.findDevice(id('d1')))?.predecessor;
      await take(db.store, {
        op: 'insert-device',
        device: device('d1', { serial: serial(9), predecessor: serial(8) }),
      });
      await take(db.store, update('d1', 1, { state: 'suspended' }), update('d1', 2));
      expect(await predecessor()).toBe(serial(8));
      await take(db.store, update('d1', 3, { serial: serial(10), predecessor: serial(9) }));
      expect(await predecessor()).toBe(serial(9));
      await take(db.store, update('d1', 4, { serial: serial(11), state: 'suspended' }));
      expect(await predecessor()).toBeNull();
    });

    it('lose their predecessor once, with the certificate that is the newest alone: DEVICE_CHANGED', async () => {
      const end = (name: string, n: number): Write => ({
        op: 'end-predecessor',
        device: id(name),
        serial: serial(n),
      });
      const before = device('d1', { serial: serial(9), predecessor: serial(8) });
      await take(db.store, { op: 'insert-device', device: before });
      expect(await outcome(db.store, end('d1', 8))).toBe('DEVICE_CHANGED');
      expect(await outcome(db.store, end('d2', 9))).toBe('DEVICE_CHANGED');
      expect(await db.store.findDevice(id('d1'))).toEqual(before);
      await take(db.store, end('d1', 9));
      expect(await db.store.findDevice(id('d1'))).toEqual({
        ...before,
        version: 2,
        predecessor: null,
      });
      expect(await outcome(db.store, end('d1', 9))).toBe('DEVICE_CHANGED');
    });

    it('change type, batch and labels only when these are given, and are then found by the new ones', async () => {
      const labels = { line: '1', site: 'a' };
      await take(db.store, {
        op: 'insert-device',
        device: device('d1', { type: 'sensor', batch: 'b1', labels }),
      });
      await take(db.store, update('d1', 1));
      expect(await db.store.findDevice(id('d1'))).toMatchObject({
        type: 'sensor',
        batch: 'b1',
        labels,
      });
      await take(
        db.store,
        update('d1', 2, { type: 'pump', batch: null, labels: { line: '2', site: 'a' } }),
      );
      const found = async (filter: object): Promise<number> =>
        (await db.store.listDevices({ limit: 5, ...filter })).items.length;
      expect(await found({ label: 'line=1' })).toBe(0);
      expect(await found({ label: 'line=2', type: 'pump' })).toBe(1);
      expect(await found({ label: 'site=a' })).toBe(1);
      expect(await found({ batch: 'b1' })).toBe(0);
      await take(db.store, update('d1', 3, { labels: {} }));
      expect(await found({ label: 'site=a' })).toBe(0);
      expect((await db.store.findDevice(id('d1')))?.labels).toEqual({});
    });

    it('are counted by state through every change', async () => {
      await take(
        db.store,
        { op: 'insert-device', device: device('d1') },
        { op: 'insert-device', device: device('d2') },
        { op: 'insert-device', device: device('d3', { state: 'registered' }) },
      );
      await take(db.store, update('d1', 1, { state: 'revoked' }));
      await outcome(db.store, update('d2', 1, { state: 'revoked' }), update('d2', 1));
      await take(db.store, update('d1', 2, { state: 'revoked' }));
      expect(await db.store.countDevicesByState()).toEqual({
        registered: 1,
        active: 1,
        suspended: 0,
        revoked: 1,
        decommissioned: 0,
      });
    });
  });

  describe('certificates', () => {
    const revoke = (n: number, at = 50): Write => ({
      op: 'revoke-certificate',
      serial: serial(n),
      at,
      reason: 'keyCompromise',
    });
    const insert = (n: number, changes = {}): Write => ({
      op: 'insert-certificate',
      certificate: certificate(n, changes),
    });
    const find = (n: number) => db.store.findCertificate(serial(n));

    it('of a revoked authority are AUTHORITY_STATE_FORBIDS, but for what it signs for its own answers', async () => {
      await take(
        db.store,
        { op: 'insert-authority', authority: authority('issuing-1', { state: 'ready' }) },
        insert(1, { authority: 'issuing-1' }),
        {
          op: 'update-authority',
          id: 'issuing-1',
          expectStates: ['ready'],
          state: 'revoked',
          revokedAt: 70,
          reason: 'cACompromise',
        },
      );
      const [record] = await db.store.listAuthorities();
      expect(record).toMatchObject({ state: 'revoked', revokedAt: 70, reason: 'cACompromise' });
      const late = insert(2, { authority: 'issuing-1' });
      expect(await outcome(db.store, late)).toBe('AUTHORITY_STATE_FORBIDS');
      expect(await find(2)).toBeUndefined();
      const responder = certificate(3, { authority: 'issuing-1', kind: 'ocsp' });
      await take(db.store, {
        op: 'insert-certificate',
        certificate: responder,
        evenIfRevoked: true,
      });
      expect(await find(3)).toEqual(responder);
      expect(await find(1)).toMatchObject({ state: 'active' });
    });

    it('come back byte for byte, and the newest of an owner first', async () => {
      await take(db.store, insert(1, { owner: 'd1', notBefore: 10 }));
      await take(db.store, insert(2, { owner: 'd1', notBefore: 20, kind: 'ocsp' }));
      expect(await find(1)).toEqual(certificate(1, { owner: 'd1', notBefore: 10 }));
      const serials = (await db.store.listCertificatesOf('d1')).map((found) => found.serial);
      expect(serials).toEqual([serial(2), serial(1)]);
      expect(await db.store.listCertificatesOf('d2')).toEqual([]);
    });

    it('are refused with STORE_CONFLICT on a serial used before, whoever owns it (RFC 5280 §4.1.2.2)', async () => {
      await take(db.store, insert(1));
      expect(await outcome(db.store, insert(1, { owner: 'other', kind: 'server' }))).toBe(
        'STORE_CONFLICT',
      );
      expect((await find(1))?.owner).toBe('d1');
    });

    it('are superseded when active, and left alone otherwise', async () => {
      await take(db.store, insert(1), insert(2), revoke(2));
      for (const n of [1, 2, 3]) {
        await take(db.store, { op: 'supersede-certificate', serial: serial(n) });
      }
      expect((await find(1))?.state).toBe('superseded');
      expect((await find(2))?.state).toBe('revoked');
    });

    it('are not superseded when revoked, where a unit depends on it: CERTIFICATE_ALREADY_REVOKED', async () => {
      const supersede = (n: number): Write => ({
        op: 'supersede-certificate',
        serial: serial(n),
        unlessRevoked: true,
      });
      await take(db.store, insert(1), insert(2), revoke(2));
      await take(db.store, supersede(1));
      await take(db.store, supersede(1));
      expect(await outcome(db.store, supersede(2))).toBe('CERTIFICATE_ALREADY_REVOKED');
      expect(await outcome(db.store, supersede(3))).toBe('CERTIFICATE_NOT_FOUND');
      expect((await find(2))?.state).toBe('revoked');
    });

    it('are revoked once, from active or superseded', async () => {
      await take(db.store, insert(1), insert(2, { state: 'superseded' }), revoke(1), revoke(2));
      expect(await find(1)).toMatchObject({
        state: 'revoked',
        revokedAt: 50,
        reason: 'keyCompromise',
      });
      expect((await find(2))?.state).toBe('revoked');
      expect(await outcome(db.store, revoke(1, 60))).toBe('CERTIFICATE_ALREADY_REVOKED');
      expect((await find(1))?.revokedAt).toBe(50);
    });

    it('are not revoked when nobody issued them: CERTIFICATE_NOT_FOUND', async () => {
      expect(await outcome(db.store, revoke(1))).toBe('CERTIFICATE_NOT_FOUND');
    });

    it('come off a hold, and off nothing else', async () => {
      await take(
        db.store,
        insert(1),
        { op: 'revoke-certificate', serial: serial(1), at: 5, reason: 'certificateHold' },
        insert(2),
        revoke(2),
        insert(3, { state: 'superseded' }),
      );
      for (const n of [1, 2, 3, 4]) {
        await take(db.store, { op: 'unhold-certificate', serial: serial(n) });
      }
      expect(await find(1)).toEqual(certificate(1));
      expect((await find(2))?.state).toBe('revoked');
      expect((await find(3))?.state).toBe('superseded');
    });
  });

  describe('keys', () => {
    const claim = (key: string, owner: string): Write => ({
      op: 'claim-key',
      spkiSha256: sha(key),
      owner,
    });

    it('belong to the first who claims one, who may claim it again', async () => {
      await take(db.store, claim('k', 'd1'));
      await take(db.store, claim('k', 'd1'));
      expect(await db.store.findKeyOwner(sha('k'))).toBe('d1');
      expect(await db.store.findKeyOwner(sha('other'))).toBeUndefined();
    });

    it('are refused to another with CSR_KEY_IN_USE and the owner, also after opening again', async () => {
      await take(db.store, claim('k', 'd1'));
      const store = await db.reopen();
      const second = await store.commit({ writes: [claim('k', 'd2')], entries: [] });
      expect(second).toEqual({
        ok: false,
        code: 'CSR_KEY_IN_USE',
        writeIndex: 0,
        context: { owner: 'd1' },
      });
    });
  });

  describe('enrollment tokens', () => {
    const use = (name: string, at = 10): Write => ({ op: 'use-token', id: name, at });

    it('are found by id and by the hash of the secret', async () => {
      const whole = token('tok_1', { idPattern: 'line-?', labels: { a: 'b' }, maxUses: 3 });
      await take(db.store, { op: 'insert-token', token: whole });
      expect(await db.store.findToken('tok_1')).toEqual(whole);
      expect(await db.store.findTokenByHash(sha('tok_1'))).toEqual(whole);
      expect(await db.store.findTokenByHash(sha('tok_2'))).toBeUndefined();
    });

    it('count their uses and end with TOKEN_EXHAUSTED', async () => {
      await take(db.store, { op: 'insert-token', token: token('tok_1', { maxUses: 2 }) });
      expect(await outcome(db.store, use('tok_1'))).toBe('taken');
      expect(await outcome(db.store, use('tok_1'))).toBe('taken');
      expect(await outcome(db.store, use('tok_1'))).toBe('TOKEN_EXHAUSTED');
      expect((await db.store.findToken('tok_1'))?.uses).toBe(2);
    });

    it('end at their end, to the millisecond, with TOKEN_EXPIRED', async () => {
      await take(db.store, {
        op: 'insert-token',
        token: token('tok_1', { maxUses: 9, expiresAt: 100 }),
      });
      expect(await outcome(db.store, use('tok_1', 99))).toBe('taken');
      expect(await outcome(db.store, use('tok_1', 100))).toBe('TOKEN_EXPIRED');
    });

    it('are TOKEN_INVALID when revoked or never made', async () => {
      await take(db.store, { op: 'insert-token', token: token('tok_1') });
      await take(db.store, { op: 'revoke-token', id: 'tok_1', at: 5 });
      expect(await outcome(db.store, use('tok_1'))).toBe('TOKEN_INVALID');
      expect(await outcome(db.store, use('tok_2'))).toBe('TOKEN_INVALID');
    });

    it('keep the time of the first revocation; one that is not there is NOT_FOUND', async () => {
      await take(db.store, { op: 'insert-token', token: token('tok_1') });
      await take(db.store, { op: 'revoke-token', id: 'tok_1', at: 5 });
      await take(db.store, { op: 'revoke-token', id: 'tok_1', at: 9 });
      expect((await db.store.findToken('tok_1'))?.revokedAt).toBe(5);
      expect(await outcome(db.store, { op: 'revoke-token', id: 'tok_2', at: 5 })).toBe('NOT_FOUND');
    });
  });

  describe('API tokens', () => {
    it('are found by id and hash, revoked once, and NOT_FOUND otherwise', async () => {
      const whole = apiToken('api_1', { role: 'station' });
      await take(db.store, { op: 'insert-api-token', token: whole });
      expect(await db.store.findApiToken('api_1')).toEqual(whole);
      expect(await db.store.findApiTokenByHash(sha('api_1'))).toEqual(whole);
      await take(db.store, { op: 'revoke-api-token', id: 'api_1', at: 5 });
      await take(db.store, { op: 'revoke-api-token', id: 'api_1', at: 9 });
      expect((await db.store.findApiToken('api_1'))?.revokedAt).toBe(5);
      expect(await outcome(db.store, { op: 'revoke-api-token', id: 'api_2', at: 5 })).toBe(
        'NOT_FOUND',
      );
    });
  });

  describe('batches', () => {
    const quota = (at = 10, units: 0 | 1 = 1): Write => ({ op: 'take-quota', id: 'b1', at, units });

    it('come back whole, and are BATCH_EXISTS the second time', async () => {
      await take(db.store, { op: 'insert-batch', batch: batch('b1') });
      expect(await db.store.findBatch('b1')).toEqual(batch('b1'));
      expect(await outcome(db.store, { op: 'insert-batch', batch: batch('b1') })).toBe(
        'BATCH_EXISTS',
      );
    });

    it('give as many units as their quota, then BATCH_QUOTA_EXHAUSTED', async () => {
      await take(db.store, { op: 'insert-batch', batch: batch('b1', { quota: 2 }) });
      expect(await outcome(db.store, quota())).toBe('taken');
      expect(await outcome(db.store, quota())).toBe('taken');
      expect(await outcome(db.store, quota())).toBe('BATCH_QUOTA_EXHAUSTED');
      expect((await db.store.findBatch('b1'))?.issued).toBe(2);
    });

    it('let a rework pass when the quota is used up, and not when they are closed', async () => {
      await take(db.store, { op: 'insert-batch', batch: batch('b1', { quota: 1 }) }, quota());
      expect(await outcome(db.store, quota(10, 0))).toBe('taken');
      expect((await db.store.findBatch('b1'))?.issued).toBe(1);
      await take(db.store, { op: 'close-batch', id: 'b1' });
      expect(await outcome(db.store, quota(10, 0))).toBe('BATCH_CLOSED');
    });

    it('end at their end, to the millisecond, and when closed, with BATCH_CLOSED', async () => {
      await take(db.store, { op: 'insert-batch', batch: batch('b1', { quota: 9, endsAt: 100 }) });
      expect(await outcome(db.store, quota(99))).toBe('taken');
      expect(await outcome(db.store, quota(100))).toBe('BATCH_CLOSED');
      await take(db.store, { op: 'close-batch', id: 'b1' }, { op: 'close-batch', id: 'b1' });
      expect(await outcome(db.store, quota(99))).toBe('BATCH_CLOSED');
      expect((await db.store.findBatch('b1'))?.state).toBe('closed');
    });

    it('are BATCH_NOT_FOUND when nobody opened them', async () => {
      expect(await outcome(db.store, quota())).toBe('BATCH_NOT_FOUND');
      expect(await outcome(db.store, { op: 'close-batch', id: 'b1' })).toBe('BATCH_NOT_FOUND');
    });
  });

  describe('authorities', () => {
    it('are listed in the order they were added, and AUTHORITY_EXISTS the second time', async () => {
      for (const name of ['z', 'a']) {
        await take(db.store, { op: 'insert-authority', authority: authority(name) });
      }
      expect((await db.store.listAuthorities()).map((found) => found.id)).toEqual(['z', 'a']);
      expect(await outcome(db.store, { op: 'insert-authority', authority: authority('a') })).toBe(
        'AUTHORITY_EXISTS',
      );
    });

    it('change from an expected state and keep what is not given; else STORE_CONFLICT', async () => {
      const update = (
        state: 'ready' | 'retired',
        expect: 'pending' | 'ready',
        more = {},
      ): Write => ({
        op: 'update-authority',
        id: 'a',
        expectStates: [expect],
        state,
        ...more,
      });
      const der = Buffer.from('certificate');
      const root = Buffer.from('root');
      await take(db.store, { op: 'insert-authority', authority: authority('a') });
      expect(await outcome(db.store, update('retired', 'ready'))).toBe('STORE_CONFLICT');
      await take(db.store, update('ready', 'pending', { certificate: der, root }));
      await take(db.store, update('retired', 'ready'));
      expect(await db.store.listAuthorities()).toEqual([
        authority('a', { state: 'retired', certificate: der, root }),
      ]);
      expect(
        await outcome(db.store, { ...update('ready', 'pending'), id: 'nobody' } as Write),
      ).toBe('STORE_CONFLICT');
    });

    it('issue the profiles last assigned to them', async () => {
      for (const [profile, name] of [
        ['device-client', 'a'],
        ['station', 'a'],
        ['device-client', 'b'],
      ] as const) {
        await take(db.store, { op: 'assign-profile', profile, authority: name });
      }
      expect([...(await db.store.listProfileIssuers())].sort()).toEqual([
        ['device-client', 'b'],
        ['station', 'a'],
      ]);
    });
  });

  describe('CRLs', () => {
    const insert = (number: number, changes = {}): Write => ({
      op: 'insert-crl',
      crl: crl(number, changes),
    });

    it('must have a higher number than every earlier one of their list (RFC 5280 §5.2.3)', async () => {
      expect(await db.store.findLatestCrl('issuing-1', 'complete')).toBeUndefined();
      await take(db.store, insert(5), insert(6));
      expect(await outcome(db.store, insert(6))).toBe('STORE_CONFLICT');
      expect(await outcome(db.store, insert(4))).toBe('STORE_CONFLICT');
      expect(await outcome(db.store, insert(4, { list: 'issuing-2' }))).toBe('taken');
      expect(await db.store.findLatestCrl('issuing-1', 'complete')).toEqual(crl(6));
    });

    it('keep the newest known however many came before', async () => {
      for (let number = 1; number <= 12; number++) await take(db.store, insert(number));
      expect((await db.store.findLatestCrl('issuing-1', 'complete'))?.number).toBe(12);
      expect(await outcome(db.store, insert(3))).toBe('STORE_CONFLICT');
    });
  });

  describe('delta CRLs', () => {
    it('share the numbers of their list, and leave the base in place (RFC 5280 §5.2.4)', async () => {
      const delta = (number: number, baseNumber: number): Write => ({
        op: 'insert-crl',
        crl: crl(number, { kind: 'delta', baseNumber }),
      });
      const latest = (kind: 'complete' | 'delta') => db.store.findLatestCrl('issuing-1', kind);
      await take(db.store, { op: 'insert-crl', crl: crl(5) }, delta(6, 5), delta(7, 5));
      expect(await outcome(db.store, delta(7, 5))).toBe('STORE_CONFLICT');
      expect((await latest('complete'))?.number).toBe(5);
      expect(await latest('delta')).toMatchObject({ kind: 'delta', number: 7, baseNumber: 5 });
      await take(db.store, { op: 'insert-crl', crl: crl(8) });
      expect((await latest('complete'))?.number).toBe(8);
      expect(await latest('delta')).toBeUndefined();
    });
  });

  it('puts an alert in the place of the one with its key, and lists the resolved only on demand', async () => {
    await take(
      db.store,
      { op: 'put-alert', alert: alert('a') },
      { op: 'put-alert', alert: alert('b') },
    );
    const resolved = alert('a', {
      severity: 'info',
      count: 3,
      examples: [],
      resolvedAt: 9,
      lastAt: 9,
    });
    await take(db.store, { op: 'put-alert', alert: resolved });
    expect(await db.store.listAlerts({ includeResolved: false })).toEqual([alert('b')]);
    expect(await db.store.listAlerts({ includeResolved: true })).toEqual([resolved, alert('b')]);
  });

  it('keeps one answer per idempotency key until it ends, and IDEMPOTENCY_IN_PROGRESS for another', async () => {
    const record = idempotency('k');
    await take(db.store, { op: 'insert-idempotency', record, at: 0 });
    expect(
      await outcome(db.store, {
        op: 'insert-idempotency',
        record: idempotency('k', { status: 409 }),
        at: record.expiresAt - 1,
      }),
    ).toBe('IDEMPOTENCY_IN_PROGRESS');
    expect(await db.store.findIdempotency('k', 0)).toEqual(record);
    expect(await db.store.findIdempotency('k', record.expiresAt)).toBeUndefined();
    expect(await db.store.findIdempotency('other', 0)).toBeUndefined();
  });

  it('takes an idempotency key again once its answer has ended', async () => {
    await take(db.store, {
      op: 'insert-idempotency',
      record: idempotency('k', { expiresAt: 1000 }),
      at: 0,
    });
    const again = idempotency('k', { status: 200 });
    expect(await outcome(db.store, { op: 'insert-idempotency', record: again, at: 1000 })).toBe(
      'taken',
    );
    expect(await db.store.findIdempotency('k', 0)).toEqual(again);
  });

  it('never moves a cursor back, and begins at 0', async () => {
    const move = (follower: string, seq: number): Write => ({ op: 'move-cursor', follower, seq });
    expect(await db.store.findCursor('f')).toBe(0);
    await take(db.store, move('f', 7), move('g', 3), move('f', 5));
    const store = await db.reopen();
    expect(await store.findCursor('f')).toBe(7);
    expect(await store.findCursor('g')).toBe(3);
  });

  it('names the write that failed by its position', async () => {
    const result = await db.store.commit({
      writes: [
        { op: 'insert-device', device: device('d1') },
        { op: 'close-batch', id: 'nothing' },
        { op: 'insert-device', device: device('d1') },
      ],
      entries: [],
    });
    expect(codeOf(result)).toBe('BATCH_NOT_FOUND');
    expect(result).toMatchObject({ ok: false, writeIndex: 1 });
  });
}
