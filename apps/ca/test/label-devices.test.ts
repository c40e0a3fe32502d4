// Labels of devices and quotas of batches that change after they were given: entries of the ledger, and what follows from them.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let token: string;

beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  const made = await call('POST', '/v1/tokens', {
    maxUses: 100,
    labels: { site: 'ulm', line: '1' },
  });
  token = made.body.secret;
  for (const id of ['pump-1', 'pump-2']) {
    const enrolled = await issuingCa.call('POST', '/v1/enroll', {
      body: { id, csr: (await makeCsr(id)).pem, token },
    });
    expect(enrolled.status, enrolled.text).toBe(201);
  }
});
afterAll(() => issuingCa.close());

const call = (method: string, path: string, body?: unknown) =>
  issuingCa.call(method, path, { as: issuingCa.admin, ...(body === undefined ? {} : { body }) });

describe('labels of a device', () => {
  it('are set and removed, those that are not named stay, and the ledger says so', async () => {
    const answer = await call('POST', '/v1/devices/pump-1/labels', {
      ...{ set: { site: 'berlin', hall: 'b' }, remove: ['line', 'never-there'] },
    });
    expect([answer.status, answer.body.device.labels]).toEqual([
      200,
      { hall: 'b', site: 'berlin' },
    ]);
    const found = await call('GET', '/v1/devices?label=site%3Dberlin');
    expect(found.body.items.map((one: { id: string }) => one.id)).toEqual(['pump-1']);
    const old = await call('GET', '/v1/devices?label=line%3D1');
    expect(old.body.items.map((one: { id: string }) => one.id)).toEqual(['pump-2']);
    const { body } = await call('GET', '/v1/devices/pump-1/history');
    expect(body.items[0]).toMatchObject({
      kind: 'device-labelled',
      data: { labels: { hall: 'b', site: 'berlin' }, state: 'active' },
    });
    expect(body.items[0].actor).toContain('admin:');
  });

  it('that are there already make no entry', async () => {
    const before = await call('GET', '/v1/devices/pump-2/history');
    const answer = await call('POST', '/v1/devices/pump-2/labels', { set: { site: 'ulm' } });
    expect(answer.status).toBe(200);
    const after = await call('GET', '/v1/devices/pump-2/history');
    expect(after.body.items.length).toBe(before.body.items.length);
  });

  it('may be changed of a device that is revoked, which stays so', async () => {
    await call('POST', '/v1/devices/pump-2/revoke', {});
    const answer = await call('POST', '/v1/devices/pump-2/labels', { set: { scrap: 'yes' } });
    expect(answer.body.device).toMatchObject({ state: 'revoked', labels: { scrap: 'yes' } });
    const again = await call('POST', '/v1/devices/pump-2/revoke', {});
    expect(again.body.device.state).toBe('revoked');
  });

  it.each([
    ['nothing to change', {}],
    ['a label to set and to remove', { set: { a: '1' }, remove: ['a'] }],
    ['a name of another form', { set: { 'a b': '1' } }],
    ['control characters', { set: { a: '\u0007' } }],
    ['a name to remove of another form', { remove: ['a b'] }],
  ])('are refused for %s', async (_what, body) => {
    const answer = await call('POST', '/v1/devices/pump-1/labels', body);
    expect([answer.status, answer.body.code]).toEqual([400, 'REQUEST_INVALID']);
  });

  it('are 32 at most, with those that are there', async () => {
    const set = Object.fromEntries(Array.from({ length: 31 }, (_, n) => [`n${String(n)}`, 'x']));
    const answer = await call('POST', '/v1/devices/pump-1/labels', { set });
    expect([answer.status, answer.body.code]).toEqual([400, 'REQUEST_INVALID']);
    expect(answer.body.detail).toContain('33 labels');
  });

  it('are not of a device that is not there', async () => {
    const answer = await call('POST', '/v1/devices/pump-9/labels', { set: { a: '1' } });
    expect([answer.status, answer.body.code]).toEqual([404, 'DEVICE_NOT_FOUND']);
  });

  it('are changed by administrators and operators, and by nobody else', async () => {
    const made = await call('POST', '/v1/tokens', { use: 'api', role: 'auditor' });
    const answer = await issuingCa.call('POST', '/v1/devices/pump-1/labels', {
      body: { set: { a: '1' } },
      headers: { authorization: `Bearer ${String(made.body.secret)}` },
    });
    expect([answer.status, answer.body.code]).toEqual([403, 'FORBIDDEN']);
  });
});

describe('the quota of a batch', () => {
  it('can be changed, though never below what is signed, nor of a closed batch', async () => {
    await call('POST', '/v1/batches', { id: 'wo-1', quota: 2 });
    for (const id of ['u-1', 'u-2']) {
      await call('POST', '/v1/batches/wo-1/sign', { id, csr: (await makeCsr(id)).pem });
    }
    const full = await call('POST', '/v1/batches/wo-1/sign', {
      id: 'u-3',
      csr: (await makeCsr('u-3')).pem,
    });
    expect(full.body.code).toBe('BATCH_QUOTA_EXHAUSTED');
    const more = await call('POST', '/v1/batches/wo-1/quota', { quota: 3 });
    expect([more.status, more.body.quota, more.body.issued]).toEqual([200, 3, 2]);
    const third = await call('POST', '/v1/batches/wo-1/sign', {
      id: 'u-3',
      csr: (await makeCsr('u-3')).pem,
    });
    expect(third.status).toBe(201);
    const less = await call('POST', '/v1/batches/wo-1/quota', { quota: 2 });
    expect([less.status, less.body.code]).toEqual([409, 'BATCH_QUOTA_EXHAUSTED']);
    expect(less.body.detail).toContain('3 units');
    await call('POST', '/v1/batches/wo-1/close', {});
    const closed = await call('POST', '/v1/batches/wo-1/quota', { quota: 9 });
    expect([closed.status, closed.body.code]).toEqual([409, 'BATCH_CLOSED']);
  });
});
