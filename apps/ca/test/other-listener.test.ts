// Whoever knocks at the wrong one of the two listeners is told which the other is; and what is refused in a flood is counted by its reason.
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createRefusalLog } from '../src/refusal-log.ts';
import { buildIssuingCa, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
});
afterAll(() => issuingCa.close());

const portOf = (listener: 'api' | 'http'): number =>
  (issuingCa.service[listener].server.address() as { port: number }).port;

async function onPlain(
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; detail: string }> {
  const response = await fetch(`http://127.0.0.1:${portOf('http')}${path}`, init);
  const { detail } = (await response.json()) as { detail: string };
  return { status: response.status, detail };
}

it('names the port of the API where a route of it is asked for on the plain listener (RFC 9110 §15.5.5)', async () => {
  for (const [path, method] of [
    ['/v1/enroll', 'POST'],
    ['/v1/devices', 'GET'],
    ['/docs', 'GET'],
  ] as const) {
    const { status, detail } = await onPlain(path, { method });
    expect(status).toBe(404);
    expect(detail).toMatch(`There is no ${method} ${path} here. This is the plain HTTP listener`);
    expect(detail).toMatch(`the API is at https://127.0.0.1:${portOf('api')}${path}.`);
    expect(detail).not.toMatch('described at');
  }
});

it('does so for a method that the plain listener does not take, too (RFC 9110 §15.5.6)', async () => {
  const { status, detail } = await onPlain('/v1/trust-bundle', { method: 'DELETE' });
  expect(status).toBe(405);
  expect(detail).toMatch(`takes GET, HEAD, not DELETE. This is the plain HTTP listener`);
  expect(detail).toMatch(`https://127.0.0.1:${portOf('api')}`);
});

it('does not send anybody to a name that a caller has made up', async () => {
  const response = await issuingCa.service.http.inject({
    url: '/v1/devices',
    headers: { host: 'evil.example:1' },
  });
  expect(response.json<{ detail: string }>().detail).not.toMatch('evil');
});

it('names the plain listener where the API is asked for a CRL', async () => {
  const { status, body } = await issuingCa.call('GET', '/crl/issuing-1.crl');
  expect(status).toBe(404);
  expect(body.detail).toMatch(`http://127.0.0.1:${portOf('http')}/crl/issuing-1.crl`);
  const other = await issuingCa.call('GET', '/nothing');
  expect(other.body.detail).toBe('There is no GET /nothing here. The API is described at /docs.');
});

it('answers HTTP on the port of the API with a short text that says https', async () => {
  const { api } = issuingCa.service;
  for (let n = 0; n < 3; n++) {
    const response = await fetch(`http://127.0.0.1:${portOf('api')}/v1/devices`);
    expect(response.status).toBe(400);
    expect(await response.text()).toMatch(/This port speaks HTTPS: call https:/);
  }
  expect((await issuingCa.call('GET', '/v1/devices', { as: issuingCa.admin })).status).toBe(200);
  expect(api.server.listening).toBe(true);
});

it('counts what a flood of refusals has no lines for by its reason', () => {
  let now = 0;
  const said: [object, string][] = [];
  const take = (fields: object, text: string): void => void said.push([fields, text]);
  const log = createRefusalLog({
    log: { info: take, warn: take, error: take } as never,
    clock: { now: () => now },
    count: () => undefined,
  });
  for (let n = 0; n < 30; n++) log.write('stranger', { code: 'TOKEN_INVALID' }, 'No.');
  for (let n = 0; n < 5; n++) log.write('stranger', { reason: 'ERR_SSL_HTTP_REQUEST' }, 'No.');
  for (let n = 0; n < 40; n++) log.write('stranger', { code: `C${String(n)}` }, 'No.');
  now = 60_000;
  log.write('stranger', { code: 'NOT_FOUND' }, 'No.');
  const [fields, text] = said[20]!;
  expect(fields).toMatchObject({
    ...{ kind: 'stranger', count: 55 },
    reasons: { TOKEN_INVALID: 10, ERR_SSL_HTTP_REQUEST: 5, others: 32 },
  });
  expect(text).toMatch(
    /55 further refusals .*: 10 × TOKEN_INVALID, 5 × ERR_SSL_HTTP_REQUEST, 1 × C0/,
  );
});
