// Every route of the table against every kind of caller: whoever its row does not list is refused, whatever they send.
import { routes, type RouteContract, type RouteName } from '@keyline/api';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  buildIssuingCa,
  changedConfig,
  makeCsr,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

type Caller = { readonly as?: Identity; readonly token?: string };

let issuingCa: IssuingCa;
let callers: Record<string, Caller & { readonly role?: string }>;

beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  // Refusals are not counted here: there are hundreds.
  await issuingCa.restart(
    await changedConfig(issuingCa, [
      ['anonymous: { requests: 300,', 'anonymous: { requests: 1000000,'],
      ['device: { requests: 60,', 'device: { requests: 1000000,'],
    ]),
  );
  callers = {
    nobody: {},
    'a guess': { token: 'kla_guess' },
    'an enrollment token': { token: await secretOf({}) },
    'the admin': { as: issuingCa.admin, role: 'admin' },
    'an operator': { as: await certified('operator', 'olga@works'), role: 'operator' },
    'a station': { as: await certified('station', 'st1@works'), role: 'station' },
    'a device': { as: await enrolled('caller-1'), role: 'device' },
    'a service': { as: await certified('service-client', 'svc@works') },
    'a broker': { as: await certified('broker-server', 'b1@works') },
  };
  for (const role of ['admin', 'operator', 'station', 'auditor']) {
    callers[`an API token of ${role}`] = { token: await secretOf({ use: 'api', role }), role };
  }
});
afterAll(() => issuingCa.close());

async function secretOf(body: object): Promise<string> {
  const made = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body });
  expect(made.status).toBe(201);
  return made.body.secret as string;
}

async function certified(profile: string, name: string): Promise<Identity> {
  const { pem: csr, key } = await makeCsr(name);
  const dnsNames = profile === 'broker-server' ? { dnsNames: ['broker.example.com'] } : {};
  const { status, body } = await issuingCa.call('POST', '/v1/certificates', {
    ...{ as: issuingCa.admin, body: { profile, name, csr, ...dnsNames } },
  });
  expect(status).toBe(201);
  return { cert: body.certificate as string, key };
}

async function enrolled(id: string): Promise<Identity> {
  const { pem: csr, key } = await makeCsr(id);
  const token = await secretOf({});
  const { body } = await issuingCa.call('POST', '/v1/enroll', { body: { csr, token } });
  return { cert: body.certificate as string, key };
}

const ofItself: readonly RouteName[] = ['getDevice', 'getConnection'];

describe.each(Object.keys(routes) as RouteName[])('%s', (name) => {
  const route: RouteContract = routes[name];

  it(`admits ${route.admits.join(', ')}, and nobody else`, async () => {
    for (const [who, { as, token, role }] of Object.entries(callers)) {
      const answer = await issuingCa.call(route.method, route.url.replaceAll(/:\w+/g, 'zzz'), {
        as,
        headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
        // Never something that is done: it is who asks that is asked here.
        ...(route.method === 'POST' ? { body: { nothing: 'of the kind' } } : {}),
      });
      const isListed = route.admits.some((one) => one === 'anyone' || one === role);
      const what = `${who}: ${String(answer.status)} ${answer.text.slice(0, 200)}`;
      if (isListed) {
        // A device may ask for itself only, and renews with its certificate.
        if (ofItself.includes(name) && role === 'device') continue;
        expect([401, 403], what).not.toContain(answer.status);
      } else {
        expect([401, 403], what).toContain(answer.status);
        expect(answer.body, what).toMatchObject({ status: answer.status });
      }
    }
  });
});

it('there is no route to guess tokens at that is not counted', async () => {
  await issuingCa.restart(
    await changedConfig(issuingCa, [
      ['anonymous: { requests: 300,', 'anonymous: { requests: 100,'],
    ]),
  );
  const guarded = (Object.values(routes) as RouteContract[]).filter(
    ({ admits }) => !admits.includes('anyone'),
  );
  const guess = async ({ method, url }: RouteContract): Promise<number> =>
    (
      await issuingCa.call(method, url.replaceAll(/:\w+/g, 'zzz'), {
        headers: { authorization: 'Bearer kla_guess' },
      })
    ).status;
  // One each: were one of them not counted, one more would be judged at the end.
  const answers = [];
  for (const route of guarded) answers.push(await guess(route));
  expect(answers.every((status) => status === 401)).toBe(true);
  const [first] = guarded;
  for (let i = guarded.length; i < 100; i++) expect(await guess(first!)).toBe(401);
  for (const route of guarded) expect(await guess(route), route.url).toBe(429);
});
