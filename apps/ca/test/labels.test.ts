// Names and values of labels: they are shown in terminals, searched for and copied from tokens and batches to devices.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildIssuingCa, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

describe.each([
  ['/v1/tokens', {}],
  ['/v1/batches', { id: 'labelled', quota: 1 }],
] as const)('labels given to %s', (path, others) => {
  const create = (labels: unknown) =>
    issuingCa.call('POST', path, { as: issuingCa.admin, body: { ...others, labels } });

  it.each([
    ['with a space', '{"plant one":"a"}'],
    ['of control characters', '{"\\u001b[31m":"a"}'],
    ['of half a character', '{"\\ud800":"a"}'],
    ['without a name', '{"":"a"}'],
    ['that is too long', `{"${'a'.repeat(64)}":"a"}`],
    ['that JavaScript has a meaning for', '{"__proto__":"a"}'],
    ['whose value is no text', '{"a":{"b":1}}'],
    ['of a wrong form whose value is no text', '{"a b":{"c":[1]}}'],
    ['whose value is half a character', '{"a":"\\udfff"}'],
    ['whose value is control characters', '{"a":"\\u0007"}'],
  ])('are refused %s', async (_what, labels) => {
    const body = JSON.stringify({ ...others, labels: 'HERE' }).replace('"HERE"', labels);
    const answer = await issuingCa.call('POST', path, {
      ...{ as: issuingCa.admin, body, headers: { 'content-type': 'application/json' } },
    });
    expect([answer.status, answer.body.code]).toEqual([400, 'REQUEST_INVALID']);
  });

  it('are taken with names of letters, digits and ".", "_", "-", also those that objects have', async () => {
    const labels = { 'plant-1.a_b': 'ä', constructor: 'x', toString: 'y', hasOwnProperty: 'z' };
    const answer = await create(labels);
    expect(answer.status).toBe(201);
    expect(answer.body.token?.labels ?? answer.body.labels).toEqual(labels);
  });
});
