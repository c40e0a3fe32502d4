// Jobs on a real service: fixed before they start, started by their number, durable, stopped, and never done twice.
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildIssuingCa, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;

const call = (method: string, path: string, body?: unknown) =>
  issuingCa.call(method, path, { as: issuingCa.admin, ...(body === undefined ? {} : { body }) });

const until = (id: string, state: string) =>
  vi.waitFor(async () => {
    const { body } = await call('GET', `/v1/jobs/${id}`);
    expect(body.state).toBe(state);
    return body;
  }, 20_000);

const unitsOf = (batch: string, count: number) =>
  Array.from({ length: count }, (_, index) => `${batch}-${String(index)}`);

async function signBatch(batch: string, count: number): Promise<void> {
  await call('POST', '/v1/batches', { id: batch, quota: count });
  for (const id of unitsOf(batch, count)) {
    const { pem: csr } = await makeCsr(id);
    const signed = await call('POST', `/v1/batches/${batch}/sign`, { id, csr });
    expect(signed.status, signed.text).toBe(201);
  }
}

beforeAll(async () => {
  issuingCa = await buildIssuingCa();
}, 60_000);
afterAll(() => issuingCa.close());

describe('a job', () => {
  it('changes all of a batch and nothing else, with an entry and a result for each', async () => {
    await signBatch('wo-a', 3);
    await signBatch('wo-b', 1);
    const made = await call('POST', '/v1/jobs', {
      ...{ action: 'revoke', reason: 'keyCompromise', select: { batch: 'wo-a' } },
    });
    expect(made.status, made.text).toBe(201);
    const { id } = made.body;
    expect(await until(id, 'waiting')).toMatchObject({ total: 3, left: 3 });
    const wrong = await call('POST', `/v1/jobs/${id}/start`, { expect: 2 });
    expect([wrong.status, wrong.body.code]).toEqual([409, 'JOB_COUNT_DIFFERS']);
    expect((await call('GET', '/v1/devices/wo-a-0')).body.state).toBe('active');
    await call('POST', `/v1/jobs/${id}/start`, { expect: 3 });
    expect(await until(id, 'done')).toMatchObject({ changed: 3, failed: 0, left: 0 });
    const results = await call('GET', `/v1/jobs/${id}/results`);
    expect(results.body.items.map((one: { status: string }) => one.status)).toEqual([
      ...['changed', 'changed', 'changed'],
    ]);
    const { body: history } = await call('GET', '/v1/devices/wo-a-1/history');
    expect(history.items[0]).toMatchObject({
      kind: 'device-revoked',
      seq: results.body.items[1].seq,
      data: { job: id, reason: 'keyCompromise' },
    });
    expect((await call('GET', '/v1/devices/wo-b-0')).body.state).toBe('active');
    const again = await call('POST', `/v1/jobs/${id}/start`, { expect: 0 });
    expect([again.status, again.body.code]).toEqual([409, 'JOB_STATE_FORBIDS']);
  });

  it('says of each device by name why it could not be changed', async () => {
    const made = await call('POST', '/v1/jobs', {
      ...{ action: 'suspend', ids: ['wo-a-0', 'not-there', 'wo-b-0'] },
    });
    const { id } = made.body;
    await call('POST', `/v1/jobs/${id}/devices`, { ids: ['wo-b-0', 'not-there'] });
    await call('POST', `/v1/jobs/${id}/start`, { expect: 3 });
    expect(await until(id, 'done')).toMatchObject({ total: 3, changed: 1, failed: 2 });
    const failed = await call('GET', `/v1/jobs/${id}/results?status=failed`);
    expect(
      failed.body.items.map((one: { device: string; code: string }) => [one.device, one.code]),
    ).toEqual([
      ['not-there', 'DEVICE_NOT_FOUND'],
      ['wo-a-0', 'DEVICE_STATE_FORBIDS'],
    ]);
  });

  it('goes on after the service ends, does no device twice, and changes none once it is stopped', async () => {
    await signBatch('wo-c', 8);
    const made = await call('POST', '/v1/jobs', {
      ...{ action: 'label', set: { recall: '7' }, rate: 2, select: { batch: 'wo-c' } },
    });
    const { id } = made.body;
    await until(id, 'waiting');
    await call('POST', `/v1/jobs/${id}/start`, { expect: 8 });
    await issuingCa.restart();
    const stopped = await vi.waitFor(async () => {
      const { body } = await call('GET', `/v1/jobs/${id}`);
      expect(body.changed).toBeGreaterThan(1);
      return (await call('POST', `/v1/jobs/${id}/stop`)).body;
    }, 20_000);
    expect(stopped.state).toBe('stopped');
    const labelled = await call('GET', '/v1/devices?label=recall%3D7');
    const { body: now } = await call('GET', `/v1/jobs/${id}`);
    expect(labelled.body.items.length).toBe(now.changed);
    await call('POST', `/v1/jobs/${id}/start`, { expect: now.left });
    expect(await until(id, 'done')).toMatchObject({ changed: 8, unchanged: 0, failed: 0 });
    for (const unit of unitsOf('wo-c', 8)) {
      const { body } = await call('GET', `/v1/devices/${unit}/history`);
      const kinds = body.items.map((one: { kind: string }) => one.kind);
      expect(kinds.filter((kind: string) => kind === 'device-labelled')).toHaveLength(1);
    }
  }, 60_000);

  it('ends with the right of whoever started it', async () => {
    await signBatch('wo-d', 4);
    const token = await call('POST', '/v1/tokens', { use: 'api', role: 'operator' });
    const by = { authorization: `Bearer ${String(token.body.secret)}` };
    const made = await issuingCa.call('POST', '/v1/jobs', {
      ...{ headers: by, body: { action: 'revoke', rate: 1, select: { batch: 'wo-d' } } },
    });
    const { id } = made.body;
    await until(id, 'waiting');
    const path = `/v1/jobs/${String(id)}/start`;
    await issuingCa.call('POST', path, { headers: by, body: { expect: 4 } });
    const gone = await call('DELETE', `/v1/tokens/${String(token.body.token.id)}`);
    expect(gone.status, gone.text).toBe(200);
    const stopped = await until(id, 'stopped');
    expect(stopped.note).toContain('was revoked');
    expect(stopped.left).toBeGreaterThan(0);
  }, 30_000);

  it.each([
    ['no device', { action: 'revoke' }],
    ['an empty selection', { action: 'revoke', select: {} }],
    ['a selection and ids', { action: 'revoke', select: { batch: 'a' }, ids: ['b'] }],
    ['labels of another action', { action: 'revoke', set: { a: '1' }, ids: ['b'] }],
    ['no labels', { action: 'label', ids: ['b'] }],
    ['a state from which it can not be', { action: 'resume', select: { state: 'revoked' } }],
    ['an unknown action', { action: 'delete', ids: ['b'] }],
  ])('is refused for %s', async (_what, body) => {
    const answer = await call('POST', '/v1/jobs', body);
    expect([answer.status, answer.body.code]).toEqual([400, 'REQUEST_INVALID']);
  });

  it('is made by administrators and operators alone', async () => {
    const token = await call('POST', '/v1/tokens', { use: 'api', role: 'auditor' });
    const answer = await issuingCa.call('POST', '/v1/jobs', {
      headers: { authorization: `Bearer ${String(token.body.secret)}` },
      body: { action: 'revoke', ids: ['wo-b-0'] },
    });
    expect([answer.status, answer.body.code]).toEqual([403, 'FORBIDDEN']);
  });
});
