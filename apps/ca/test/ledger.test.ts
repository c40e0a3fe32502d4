// GET /v1/ledger on a real service: who did what, over the fleet.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type Answer, type IssuingCa } from './support/issuing-ca.ts';

interface Item {
  readonly seq: number;
  readonly at: string;
  readonly actor: string;
  readonly kind: string;
  readonly subject: string;
}

let issuingCa: IssuingCa;
const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  issuingCa.call(method, path, { as: issuingCa.admin, ...(body === undefined ? {} : { body }) });
const ledger = async (query: string): Promise<Item[]> => {
  const { status, body } = await call('GET', `/v1/ledger${query}`);
  expect(status).toBe(200);
  return body.items as Item[];
};

beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  const token = await call('POST', '/v1/tokens', { maxUses: 9 });
  for (const id of ['pump-1', 'pump-2', 'pump-3']) {
    const { pem } = await makeCsr(id);
    await issuingCa.call('POST', '/v1/enroll', { body: { csr: pem, token: token.body.secret } });
  }
  await call('POST', '/v1/devices/pump-2/revoke', { reason: 'keyCompromise', wait: true });
});
afterAll(() => issuingCa.close());

it('says who did what, the newest first, as the history of a device does', async () => {
  const [revoked] = await ledger('?kind=device-revoked');
  expect(revoked).toEqual({
    seq: expect.any(Number) as unknown,
    at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as unknown,
    actor: 'admin:admin@keyline',
    address: '127.0.0.1',
    kind: 'device-revoked',
    subject: 'pump-2',
    data: expect.objectContaining({ reason: 'keyCompromise', state: 'revoked' }) as unknown,
  });
  const history = (await call('GET', '/v1/devices/pump-2/history')).body.items as Item[];
  expect(await ledger('?device=pump-2')).toEqual(history);
  const seqs = (await ledger('?limit=1000')).map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.toSorted((a, b) => b - a));
  expect(seqs.at(-1)).toBe(1);
});

it('is filtered by kind, actor and time, alone and together', async () => {
  const enrolled = await ledger('?kind=device-enrolled');
  expect(enrolled.map(({ subject }) => subject)).toEqual(['pump-3', 'pump-2', 'pump-1']);
  const byAdmin = await ledger('?actor=admin:admin@keyline');
  expect(byAdmin.map(({ kind }) => kind)).toEqual(
    expect.arrayContaining(['device-revoked', 'token-created']),
  );
  expect(new Set(byAdmin.map(({ actor }) => actor))).toEqual(new Set(['admin:admin@keyline']));
  const since = enrolled[1]?.at ?? '';
  const later = await ledger(`?kind=device-enrolled&since=${since}`);
  expect(later.map(({ subject }) => subject)).toEqual(['pump-3', 'pump-2']);
  expect(await ledger('?since=2099-01-01T00:00:00Z')).toEqual([]);
  expect(await ledger('?device=pump-1&kind=device-revoked')).toEqual([]);
});

it('is paged by a cursor, and followed by the number of the newest entry', async () => {
  const whole = await ledger('?limit=1000&kind=device-enrolled');
  const paged: Item[] = [];
  let cursor = '';
  do {
    const { body } = await call('GET', `/v1/ledger?limit=2&kind=device-enrolled${cursor}`);
    paged.push(...(body.items as Item[]));
    cursor = body.nextCursor === null ? '' : `&cursor=${String(body.nextCursor)}`;
  } while (cursor !== '');
  expect(paged).toEqual(whole);

  const { lastSeq } = (await call('GET', '/v1/ledger?limit=1')).body as { lastSeq: number };
  for (const name of ['wo-1', 'wo-2']) {
    const body = { id: name, quota: 5, type: 'default', idPattern: '*' };
    expect((await call('POST', '/v1/batches', body)).status).toBe(201);
  }
  const query = `?after=${String(lastSeq)}&kind=batch-opened`;
  expect((await ledger(query)).map(({ subject }) => subject)).toEqual(['wo-1', 'wo-2']);
});

it.each(['operator', 'auditor'])('admits an API token of %s', async (role) => {
  const { body } = await call('POST', '/v1/tokens', { use: 'api', role });
  const headers = { authorization: `Bearer ${String(body.secret)}` };
  expect((await issuingCa.call('GET', '/v1/ledger', { headers })).status).toBe(200);
});

it('admits no station, and nobody without a proof', async () => {
  const { body } = await call('POST', '/v1/tokens', { use: 'api', role: 'station' });
  const headers = { authorization: `Bearer ${String(body.secret)}` };
  expect((await issuingCa.call('GET', '/v1/ledger', { headers })).status).toBe(403);
  expect((await issuingCa.call('GET', '/v1/ledger')).status).toBe(401);
});

it.each([
  '?kind=nothing',
  '?limit=0',
  '?limit=1001',
  '?limit=all',
  '?after=-1',
  '?after=1e99',
  '?since=yesterday',
  '?cursor=x',
  `?cursor=${Buffer.from('ledger\n>1').toString('base64url')}`,
  `?after=1&cursor=${Buffer.from('ledger\n<1').toString('base64url')}`,
  '?actor=%00',
  `?actor=${'a'.repeat(201)}`,
  '?actor=a&actor=b',
  '?order=asc',
])('refuses %s', async (query) => {
  const { status, body } = await call('GET', `/v1/ledger${query}`);
  expect({ status, code: body.code as unknown }).toEqual({ status: 400, code: 'REQUEST_INVALID' });
});

it('takes a filter as a value, never as SQL', async () => {
  expect(await ledger(`?actor=${encodeURIComponent("' OR 1=1 --")}`)).toEqual([]);
  expect(await ledger(`?device=${encodeURIComponent("x'; DROP TABLE ledger --")}`)).toEqual([]);
  expect((await ledger('')).length).toBeGreaterThan(5);
});
