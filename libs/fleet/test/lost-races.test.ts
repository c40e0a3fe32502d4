// What came between a decision and its commit: it is decided anew, and nothing of the first try is left.
import { Duration, isKeylineError, KeylineError, parseDeviceId } from '@keyline/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  changeDeviceState,
  closeBatch,
  enroll,
  noteUse,
  renew,
  revokeCertificate,
  revokeToken,
  signUnit,
  type Certificate,
  type Store,
} from '../src/index.ts';
import {
  batchOf,
  caller,
  codeOf,
  csrOf,
  newKey,
  openTestFleet,
  operator,
  tokenOf,
  type TestFleet,
} from './test-fleet.ts';
import { expectOneStory } from './story.ts';

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await openTestFleet();
});
afterEach(async () => {
  await expectOneStory(fleet);
  await fleet.close();
});

const station = caller('station', 'st1@works');
const d1 = parseDeviceId('d1');
const change = (what: 'revoke' | 'suspend' | 'resume' | 'decommission') =>
  changeDeviceState(fleet, { caller: operator, id: 'd1', change: what });
const deviceWith = (certificate: Certificate) =>
  ({ role: 'device', name: 'd1', via: 'certificate', certificate }) as const;

/** The same fleet, in which something happens before the first commit, or before so many. */
function interrupted(work: () => Promise<unknown>, times = 1): TestFleet {
  let left = times;
  const commit: Store['commit'] = async (unit) => {
    if (left-- > 0) await work();
    return fleet.store.commit(unit);
  };
  return { ...fleet, store: { ...fleet.store, commit } };
}

async function enrolled(key = newKey()): Promise<Certificate> {
  const { tokenHash } = await tokenOf(fleet);
  return (await enroll(fleet, { csr: await csrOf('d1', key), tokenHash })).certificate;
}

describe('between the decision to enroll and its commit', () => {
  it('the same request: both are answered alike', async () => {
    const { id, tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    let first: Certificate | undefined;
    const again = await enroll(
      interrupted(async () => {
        first = (await enroll(fleet, { csr, tokenHash })).certificate;
      }),
      { csr, tokenHash },
    );
    expect(again.created).toBe(false);
    expect(again.certificate.serial).toBe(first?.serial);
    expect((await fleet.store.findToken(id))?.uses).toBe(1);
  });

  it('another key for the id: DEVICE_EXISTS, and the token is good for another', async () => {
    const { id, tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    const context = interrupted(() => enrolled());
    expect(await codeOf(enroll(context, { csr, tokenHash }))).toBe('DEVICE_EXISTS');
    expect((await fleet.store.findToken(id))?.uses).toBe(0);
  });

  it('the key under another id: CSR_KEY_IN_USE, and no device', async () => {
    const key = newKey();
    const { tokenHash } = await tokenOf(fleet, { maxUses: 2 });
    const csr = await csrOf('d2', key);
    const context = interrupted(() => enrolled(key));
    expect(await codeOf(enroll(context, { csr, tokenHash }))).toBe('CSR_KEY_IN_USE');
    expect(await fleet.store.findDevice(parseDeviceId('d2'))).toBeUndefined();
  });

  it('the end of the token: TOKEN_INVALID when revoked, TOKEN_EXHAUSTED when used', async () => {
    const csr = await csrOf('d1');
    const first = await tokenOf(fleet);
    const revoked = interrupted(() => revokeToken(fleet, { caller: operator, id: first.id }));
    expect(await codeOf(enroll(revoked, { csr, tokenHash: first.tokenHash }))).toBe(
      'TOKEN_INVALID',
    );
    const second = await tokenOf(fleet);
    const other = await csrOf('d2');
    const used = interrupted(() => enroll(fleet, { csr: other, tokenHash: second.tokenHash }));
    expect(await codeOf(enroll(used, { csr, tokenHash: second.tokenHash }))).toBe(
      'TOKEN_EXHAUSTED',
    );
    expect(await fleet.store.findDevice(d1)).toBeUndefined();
  });

  it('a failure of the disk: the answer is INTERNAL, and the same request is taken afterwards', async () => {
    const { id, tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    const full = interrupted(() => Promise.reject(new KeylineError('INTERNAL', 'no space left')));
    expect(await codeOf(enroll(full, { csr, tokenHash }))).toBe('INTERNAL');
    expect((await enroll(fleet, { csr, tokenHash })).created).toBe(true);
    expect(await fleet.store.listCertificatesOf('d1')).toHaveLength(1);
    expect((await fleet.store.findToken(id))?.uses).toBe(1);
  });

  it('the return of a decommissioned device by another token: DEVICE_EXISTS', async () => {
    await enrolled();
    await change('decommission');
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    const context = interrupted(() => enrolled());
    expect(await codeOf(enroll(context, { csr, tokenHash }))).toBe('DEVICE_EXISTS');
  });

  it('the end of the device that came in between: it is let in after all', async () => {
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    const context = interrupted(async () => {
      await enrolled();
      await change('decommission');
    });
    expect((await enroll(context, { csr, tokenHash })).device).toMatchObject({ version: 3 });
  });
});

describe('between the decision to sign a unit and its commit', () => {
  it('the same unit: both are answered alike, also when it was the last one', async () => {
    const batch = await batchOf(fleet, { quota: 1 });
    const unit = { caller: station, batch, csr: await csrOf('d1') };
    const again = await signUnit(
      interrupted(() => signUnit(fleet, unit)),
      unit,
    );
    expect(again.created).toBe(false);
    expect((await fleet.store.findBatch(batch.id))?.issued).toBe(1);
  });

  it('the last of the quota, or the close of the batch', async () => {
    const batch = await batchOf(fleet, { quota: 1 });
    const unit = { caller: station, batch, csr: await csrOf('d1') };
    const other = { ...unit, csr: await csrOf('d2') };
    const last = interrupted(() => signUnit(fleet, other));
    expect(await codeOf(signUnit(last, unit))).toBe('BATCH_QUOTA_EXHAUSTED');
    const open = await batchOf(fleet, { id: 'lot-2' });
    const closed = interrupted(() => closeBatch(fleet, { caller: operator, id: 'lot-2' }));
    expect(await codeOf(signUnit(closed, { ...unit, batch: open }))).toBe('BATCH_CLOSED');
    expect(await fleet.store.findDevice(d1)).toBeUndefined();
  });

  it('the revocation of a certificate that the rework would have ended: reworked all the same', async () => {
    const batch = await batchOf(fleet, { rework: true, quota: 1 });
    const { certificate } = await signUnit(fleet, {
      ...{ caller: station, batch, csr: await csrOf('d1') },
    });
    const { serial } = certificate;
    const context = interrupted(() => revokeCertificate(fleet, { caller: operator, serial }));
    const csr = await csrOf('d1');
    expect((await signUnit(context, { caller: station, batch, csr })).created).toBe(true);
    expect((await fleet.store.findCertificate(serial))?.reason).toBe('unspecified');
  });
});

describe('between the decision to renew and its commit', () => {
  let first: Certificate;
  beforeEach(async () => {
    first = await enrolled();
    fleet.clock.advance(Duration.days(60));
  });
  const issuedTo = async (): Promise<number> => (await fleet.store.listCertificatesOf('d1')).length;

  it('the revocation of the certificate it renews by: CERTIFICATE_NOT_ACCEPTED, and nothing is issued', async () => {
    const { serial } = first;
    for (const csr of [undefined, await csrOf('d1')]) {
      const context = interrupted(() => revokeCertificate(fleet, { caller: operator, serial }));
      const renewal = renew(context, { caller: deviceWith(first), csr });
      expect(await codeOf(renewal)).toBe('CERTIFICATE_NOT_ACCEPTED');
    }
    expect(await issuedTo()).toBe(1);
  });

  it.each(['suspend', 'revoke', 'decommission'] as const)(
    'a %s of the device: DEVICE_STATE_FORBIDS',
    async (what) => {
      const context = interrupted(() => change(what));
      const renewal = renew(context, { caller: deviceWith(first) });
      expect(await codeOf(renewal)).toBe('DEVICE_STATE_FORBIDS');
      expect(await issuedTo()).toBe(1);
    },
  );

  it('another life of the device: CERTIFICATE_NOT_ACCEPTED', async () => {
    const context = interrupted(async () => {
      await change('decommission');
      await enrolled();
    });
    const renewal = renew(context, { caller: deviceWith(first) });
    expect(await codeOf(renewal)).toBe('CERTIFICATE_NOT_ACCEPTED');
    expect(await issuedTo()).toBe(2);
  });

  it('the first use of the successor, for whoever has the old key: CERTIFICATE_NOT_ACCEPTED, and an alert', async () => {
    const { certificate } = await renew(fleet, {
      ...{ caller: deviceWith(first), csr: await csrOf('d1') },
    });
    const context = interrupted(() => noteUse(fleet, deviceWith(certificate)));
    const renewal = renew(context, { caller: deviceWith(first), csr: await csrOf('d1') });
    expect(await codeOf(renewal)).toBe('CERTIFICATE_NOT_ACCEPTED');
    expect((await fleet.store.findCertificate(certificate.serial))?.state).toBe('active');
    expect(await fleet.store.listAlerts({ includeResolved: false })).toHaveLength(1);
  });

  it('a change each time: DEVICE_CHANGED after three tries, with what to do', async () => {
    let changes = 0;
    const context = interrupted(async () => {
      changes++;
      await change('suspend');
      await change('resume');
    }, 99);
    await expect(renew(context, { caller: deviceWith(first) })).rejects.toMatchObject({
      code: 'DEVICE_CHANGED',
      detail: expect.stringContaining('try again in a second'),
    });
    expect(changes).toBe(3);
    expect(await issuedTo()).toBe(1);
  });
});

describe('a hundred at once', () => {
  const hundred = <T>(make: (n: number) => T): T[] =>
    Array.from({ length: 100 }, (_, n) => make(n));
  const tally = (codes: readonly string[]): Record<string, number> =>
    Object.fromEntries(
      Object.entries(Object.groupBy(codes, (code) => code)).map(([code, all]) => [
        code,
        all?.length ?? 0,
      ]),
    );
  const created = async (work: Promise<{ created: boolean }>): Promise<string> => {
    try {
      return (await work).created ? 'created' : 'answered';
    } catch (error) {
      if (isKeylineError(error)) return error.code;
      throw error;
    }
  };

  it('of one request to enroll, to sign and to renew are one certificate each', async () => {
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    const enrollments = hundred(() => created(enroll(fleet, { csr, tokenHash })));
    expect(tally(await Promise.all(enrollments))).toEqual({ created: 1, answered: 99 });
    const batch = await batchOf(fleet, { quota: 1 });
    const unit = { caller: station, batch, csr: await csrOf('u1') };
    const units = hundred(() => created(signUnit(fleet, unit)));
    expect(tally(await Promise.all(units))).toEqual({ created: 1, answered: 99 });
    fleet.clock.advance(Duration.days(60));
    const [certificate] = await fleet.store.listCertificatesOf('d1');
    const renewals = hundred(() => created(renew(fleet, { caller: deviceWith(certificate!) })));
    expect(tally(await Promise.all(renewals))).toEqual({ created: 1, answered: 99 });
    expect(await fleet.store.listCertificatesOf('d1')).toHaveLength(2);
  });

  it('of one key under a hundred ids, and of a hundred keys under one id, are one device each', async () => {
    const token = await tokenOf(fleet, { maxUses: 200 });
    const key = newKey();
    const ids = await Promise.all(hundred((n) => csrOf(`n${String(n)}`, key)));
    const keys = await Promise.all(hundred(() => csrOf('d1')));
    const answers = await Promise.all(
      [...ids, ...keys].map((csr) => created(enroll(fleet, { csr, tokenHash: token.tokenHash }))),
    );
    expect(tally(answers)).toEqual({ created: 2, CSR_KEY_IN_USE: 99, DEVICE_EXISTS: 99 });
    expect((await fleet.store.findToken(token.id))?.uses).toBe(2);
  });

  it('of different devices with the last use of a token, or the last of a quota, are one device each', async () => {
    const token = await tokenOf(fleet, { maxUses: 1 });
    const batch = await batchOf(fleet, { quota: 1 });
    const csrs = await Promise.all(hundred((n) => csrOf(`n${String(n)}`)));
    const units = await Promise.all(hundred((n) => csrOf(`u${String(n)}`)));
    const answers = await Promise.all([
      ...csrs.map((csr) => created(enroll(fleet, { csr, tokenHash: token.tokenHash }))),
      ...units.map((csr) => created(signUnit(fleet, { caller: station, batch, csr }))),
    ]);
    expect(tally(answers)).toEqual({
      ...{ created: 2, TOKEN_EXHAUSTED: 99, BATCH_QUOTA_EXHAUSTED: 99 },
    });
  });
});
