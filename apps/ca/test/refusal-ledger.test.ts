import { FakeClock, Duration } from '@keyline/kernel';
import type { NewEntry } from '@keyline/ledger';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRefusalLedger, type Refusal } from '../src/refusal-ledger.ts';
import {
  buildIssuingCa,
  makeCsr,
  type Answer,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';

describe('refused calls in the ledger', () => {
  const refusal = (changes: Partial<Refusal> = {}): Refusal => ({
    code: 'FORBIDDEN',
    route: 'POST /v1/tokens',
    address: '192.0.2.1',
    actor: 'device:d1',
    subject: 'd1',
    ...changes,
  });
  function open() {
    const clock = new FakeClock(1_000_000);
    const entries: NewEntry[] = [];
    const store = {
      commit: (unit: { entries: readonly NewEntry[] }) => {
        entries.push(...unit.entries);
        return Promise.resolve({ ok: true, entries: [] } as const);
      },
    };
    return { clock, entries, ledger: createRefusalLedger({ store, clock }) };
  }

  it('are one entry a minute for whoever is refused again and again, with how often', async () => {
    const { clock, entries, ledger } = open();
    for (let n = 0; n < 100; n++) await ledger.note(refusal());
    expect(entries).toHaveLength(1);
    clock.advance(Duration.minutes(1));
    await ledger.note(refusal());
    expect(entries.map(({ data }) => 'count' in data && data.count)).toEqual([1, 100]);
  });

  it('are ten entries a minute at most, from however many addresses', async () => {
    const { entries, ledger } = open();
    for (let n = 0; n < 5000; n++) {
      await ledger.note(refusal({ address: `192.0.2.${String(n)}`, subject: undefined }));
    }
    expect(entries).toHaveLength(10);
  });

  it('are only those of note: a form that is wrong is nobody’s attempt', async () => {
    const { entries, ledger } = open();
    await ledger.note(refusal({ code: 'REQUEST_INVALID' }));
    await ledger.note(refusal({ code: 'DEVICE_NOT_FOUND' }));
    expect(entries).toEqual([]);
  });
});

describe('the service', () => {
  let issuingCa: IssuingCa;
  let device: Identity;
  beforeAll(async () => {
    issuingCa = await buildIssuingCa();
    const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
    const { pem, key } = await makeCsr('pump-1');
    const { body } = await issuingCa.call('POST', '/v1/enroll', {
      body: { csr: pem, token: token.body.secret },
    });
    device = { cert: body.certificate as string, key };
  });
  afterAll(() => issuingCa.close());
  const history = async (): Promise<Answer['body'][]> =>
    (await issuingCa.call('GET', '/v1/devices/pump-1/history', { as: issuingCa.admin })).body
      .items as Answer['body'][];

  it('writes a forbidden call and one with a revoked certificate into the history of the device, with the address', async () => {
    await issuingCa.call('GET', '/v1/devices', { as: device });
    await expect
      .poll(async () => (await history())[0])
      .toMatchObject({
        kind: 'call-refused',
        actor: 'anyone',
        address: '127.0.0.1',
        data: { code: 'FORBIDDEN', route: 'GET /v1/devices', count: 1 },
      });
    await issuingCa.call('POST', '/v1/devices/pump-1/revoke', { as: issuingCa.admin, body: {} });
    await issuingCa.call('POST', '/v1/renew', { as: device, body: {} });
    await expect
      .poll(async () => (await history())[0])
      .toMatchObject({ kind: 'call-refused', data: { code: 'CERTIFICATE_NOT_ACCEPTED' } });
  });
});
