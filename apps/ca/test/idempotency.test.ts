// Idempotency-Keys: heeded where a repeat would make something new, and nowhere else; what is kept of one caller is bounded.
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { routes } from '@keyline/api';
import type { Store } from '@keyline/fleet';
import Fastify from 'fastify';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installIdempotency } from '../src/idempotency.ts';
import { buildIssuingCa, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

const withKey = (key: string) => ({ 'idempotency-key': `key-of-this-test-${key}` });

function countKept(): number {
  const db = new DatabaseSync(join(issuingCa.data, 'keyline.db'), { readOnly: true });
  const { kept } = db.prepare('SELECT count(*) AS kept FROM idempotency').get() as { kept: number };
  db.close();
  return kept;
}

async function createToken(body: object = {}): Promise<string> {
  return (await issuingCa.call('POST', '/v1/tokens', { body, as: issuingCa.admin })).body
    .secret as string;
}

describe('an Idempotency-Key', () => {
  it('gives the first answer again, secret and all, and is refused for another request', async () => {
    const call = { as: issuingCa.admin, headers: withKey('token') };
    const first = await issuingCa.call('POST', '/v1/tokens', { ...call, body: {} });
    const again = await issuingCa.call('POST', '/v1/tokens', { ...call, body: {} });
    expect([again.status, again.text]).toEqual([first.status, first.text]);
    expect(again.headers['idempotency-replayed']).toBe('true');
    const other = await issuingCa.call('POST', '/v1/tokens', { ...call, body: { maxUses: 2 } });
    expect([other.status, other.body.code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
  });

  it('means nothing for calls that are idempotent by themselves, and keeps nothing of strangers', async () => {
    const before = countKept();
    const token = await createToken();
    const { pem: csr } = await makeCsr('idem1');
    const enroll = (key: string) =>
      issuingCa.call('POST', '/v1/enroll', { body: { csr, token }, headers: withKey(key) });
    const first = await enroll('a');
    // The token has no use left: the same answer, however often and with whatever keys.
    for (const key of ['a', 'b', 'c']) {
      const again = await enroll(key);
      expect([again.status, again.body.certificate]).toEqual([200, first.body.certificate]);
      expect(again.headers['idempotency-replayed']).toBeUndefined();
    }
    for (const path of ['/v1/devices/idem1/suspend', '/v1/devices/idem1/revoke']) {
      await issuingCa.call('POST', path, { as: issuingCa.admin, headers: withKey('d') });
    }
    expect(countKept()).toBe(before);
  });

  it('is heeded by no route that admits anybody', () => {
    for (const route of Object.values(routes)) {
      if ('keepsAnswer' in route) expect(route.admits).not.toContain('anyone');
    }
  });

  it('of a device is taken some times a day: the disk is not its to fill', async () => {
    let kept = 0;
    let done = 0;
    const app = Fastify();
    app.decorateRequest('caller', undefined);
    app.addHook('onRequest', (request, _reply, next) => {
      request.caller = { role: 'device', name: String(request.headers['x-name']), via: 'token' };
      next();
    });
    installIdempotency(app, {
      clock: { now: () => 1_000_000 },
      store: {
        findIdempotency: () => Promise.resolve(undefined),
        commit: () => {
          kept++;
          return Promise.resolve({ ok: true, entries: [] });
        },
      } as unknown as Store,
    });
    app.post('/renew', { config: { keepsAnswer: true } }, () => ({ done: ++done }));
    const call = (name: string, key: string) =>
      app.inject({ method: 'POST', url: '/renew', headers: { ...withKey(key), 'x-name': name } });
    for (let i = 0; i < 24; i++) expect((await call('d1', String(i))).statusCode).toBe(200);
    expect((await call('d1', 'more')).statusCode).not.toBe(200);
    // Nothing was done that could not be answered the same way again; and other devices have their own.
    expect([kept, done]).toEqual([24, 24]);
    expect((await call('d2', 'more')).statusCode).toBe(200);
    await app.close();
  });

  it('is worked on once, also when the second request looks it up before the first is answered', async () => {
    let done = 0;
    const lookUps: PromiseWithResolvers<undefined>[] = [];
    const app = Fastify();
    app.decorateRequest('caller', undefined);
    app.addHook('onRequest', (request, _reply, next) => {
      request.caller = { role: 'admin', name: 'a', via: 'token' };
      next();
    });
    installIdempotency(app, {
      clock: { now: () => 1_000_000 },
      store: {
        findIdempotency: () => {
          const lookUp = Promise.withResolvers<undefined>();
          lookUps.push(lookUp);
          return lookUp.promise;
        },
        commit: () => Promise.resolve({ ok: true, entries: [] }),
      } as unknown as Store,
    });
    app.post('/tokens', { config: { keepsAnswer: true } }, () => ({ done: ++done }));
    await app.ready();
    const call = () => app.inject({ method: 'POST', url: '/tokens', headers: withKey('twice') });
    const first = call();
    await expect.poll(() => lookUps.length).toBe(1);
    const second = call();
    // It may look, too; what it finds is out of date when the first was answered.
    await new Promise((resolve) => setImmediate(resolve));
    lookUps[0]?.resolve(undefined);
    expect((await first).statusCode).toBe(200);
    for (const lookUp of lookUps) lookUp.resolve(undefined);
    expect((await second).statusCode).not.toBe(200);
    expect(done).toBe(1);
    await app.close();
  });

  it('that failed can be used again: only success is kept', async () => {
    const call = { as: issuingCa.admin, headers: withKey('failed'), body: { maxUses: 0 } };
    expect((await issuingCa.call('POST', '/v1/tokens', call)).status).toBe(400);
    const right = { ...call, body: { use: 'api' } };
    expect((await issuingCa.call('POST', '/v1/tokens', right)).status).toBe(400);
    expect((await issuingCa.call('POST', '/v1/tokens', { ...call, body: {} })).status).toBe(201);
  });
});
