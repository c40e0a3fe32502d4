import { Duration } from '@keyline/kernel';
import { inspect } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  createApiToken,
  createEnrollmentToken,
  hashToken,
  revokeToken,
  type CallerRole,
} from '../src/index.ts';
import { caller, codeOf, openTestFleet, operator, tokenOf, type TestFleet } from './test-fleet.ts';

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await openTestFleet();
});
afterEach(() => fleet.close());

const admin = caller('admin');
const enrollmentToken = (lifetime = Duration.days(1), type = 'default') =>
  createEnrollmentToken(fleet, {
    caller: operator,
    description: 'line 1',
    type,
    idPattern: null,
    maxUses: 3,
    labels: {},
    lifetime,
  });
const apiToken = (role: CallerRole, lifetime = Duration.days(1)) =>
  createApiToken(fleet, { caller: caller(role), description: '', role: 'auditor', lifetime });

it('makes enrollment tokens whose secret is in the answer, hidden, and nowhere else', async () => {
  const { token, secret } = await enrollmentToken();
  expect(secret.reveal()).toMatch(/^kle_[\w-]{43}$/);
  expect(inspect({ token, secret }, { depth: 9 })).not.toContain(secret.reveal());
  expect(await fleet.store.findTokenByHash(hashToken(secret.reveal()))).toEqual(token);
  expect(JSON.stringify(await fleet.store.readEntries(0, 9))).not.toContain(secret.reveal());
  expect((await enrollmentToken()).secret.reveal()).not.toBe(secret.reveal());
});

it.each([
  ['a lifetime below a second', () => enrollmentToken(999), 'VALIDITY_NOT_ALLOWED'],
  ['a lifetime above 366 days', () => enrollmentToken(Duration.days(367)), 'VALIDITY_NOT_ALLOWED'],
  ['a lifetime that is no number', () => enrollmentToken(Number.NaN), 'VALIDITY_NOT_ALLOWED'],
  ['an unknown type', () => enrollmentToken(1000, 'nothing'), 'DEVICE_TYPE_UNKNOWN'],
  ['an API token for ever', () => apiToken('admin', Infinity), 'VALIDITY_NOT_ALLOWED'],
])('makes no token with %s', async (_what, make, code) => {
  expect(await codeOf(make())).toBe(code);
  expect(await fleet.store.lastSeq()).toBe(0);
});

describe('API tokens', () => {
  it.each<[CallerRole, string]>([
    ['admin', 'done'],
    ['operator', 'FORBIDDEN'],
    ['station', 'FORBIDDEN'],
    ['auditor', 'FORBIDDEN'],
    ['device', 'FORBIDDEN'],
  ])('made by one who is %s: %s', async (role, code) => {
    expect(await codeOf(apiToken(role))).toBe(code);
  });

  it('are revoked by admins only', async () => {
    const { token } = await apiToken('admin');
    expect(await codeOf(revokeToken(fleet, { caller: operator, id: token.id }))).toBe('FORBIDDEN');
    expect((await fleet.store.findApiToken(token.id))?.revokedAt).toBeNull();
    const revoked = await revokeToken(fleet, { caller: admin, id: token.id });
    expect(revoked.revokedAt).toBe(fleet.clock.now());
  });
});

it('revokes a token once: the first time stays, and one that is not there is NOT_FOUND', async () => {
  const { id } = await tokenOf(fleet);
  const first = await revokeToken(fleet, { caller: operator, id });
  fleet.clock.advance(1000);
  expect((await revokeToken(fleet, { caller: operator, id })).revokedAt).toBe(first.revokedAt);
  for (const unknown of ['tok_0', 'api_0', '']) {
    expect(await codeOf(revokeToken(fleet, { caller: admin, id: unknown }))).toBe('NOT_FOUND');
  }
});
