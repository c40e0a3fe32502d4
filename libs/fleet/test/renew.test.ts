import { Duration, parseDeviceId } from '@keyline/kernel';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  allowRenewal,
  changeDeviceState,
  enroll,
  noteUse,
  renew,
  signUnit,
  type Certificate,
  type Enrolled,
} from '../src/index.ts';
import {
  batchOf,
  codeOf,
  csrOf,
  kinds,
  newKey,
  openTestFleet,
  operator,
  tokenOf,
  type Key,
  type TestFleet,
} from './test-fleet.ts';

const d1 = parseDeviceId('d1');
let fleet: TestFleet;
let key: Key;
let first: Certificate;
beforeEach(async () => {
  fleet = await openTestFleet();
  key = newKey();
  const { tokenHash } = await tokenOf(fleet, { labels: { site: 'a' } });
  first = (await enroll(fleet, { csr: await csrOf('d1', key), tokenHash })).certificate;
  fleet.clock.advance(Duration.days(60));
});
afterEach(() => fleet.close());

const renewed = (certificate: Certificate, csr?: string): Promise<Enrolled> =>
  renew(fleet, {
    caller: { role: 'device', name: certificate.owner, via: 'certificate', certificate },
    csr,
  });
const issued = async (): Promise<number> => (await fleet.store.listCertificatesOf('d1')).length;
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

describe('renewing', () => {
  it('keeps the key when no CSR comes, and leaves the old certificate good until it ends', async () => {
    const { certificate, device, created } = await renewed(first);
    expect(created).toBe(true);
    expect(certificate.spkiSha256).toBe(first.spkiSha256);
    expect(certificate.serial).not.toBe(first.serial);
    expect(certificate.notAfter).toBe(fleet.clock.now() + Duration.days(90));
    expect(await fleet.store.findDevice(d1)).toEqual(device);
    expect(device).toMatchObject({ version: 2, serial: certificate.serial, labels: { site: 'a' } });
    expect((await fleet.store.findCertificate(first.serial))?.state).toBe('superseded');
    expect(kinds(await fleet.store.listEntriesOf('d1', 9))).toEqual([
      'device-renewed',
      'device-enrolled',
    ]);
  });

  it('takes a new key, which is the device’s from then on, as is the old one', async () => {
    const next = newKey('ed25519');
    const { certificate } = await renewed(first, await csrOf('d1', next));
    expect(await fleet.store.findKeyOwner(certificate.spkiSha256)).toBe('d1');
    expect(await fleet.store.findKeyOwner(first.spkiSha256)).toBe('d1');
    expect(certificate.spkiSha256).not.toBe(first.spkiSha256);
  });

  it('goes on from a certificate that ended: whether it may is the edge’s to say', async () => {
    fleet.clock.advance(Duration.days(40));
    expect((await renewed(first)).certificate.notBefore).toBeGreaterThan(first.notAfter);
  });

  it('refuses another’s key, another’s name, and what is no CSR', async () => {
    const other = newKey();
    const { tokenHash } = await tokenOf(fleet);
    await enroll(fleet, { csr: await csrOf('d2', other), tokenHash });
    expect(await codeOf(renewed(first, await csrOf('d1', other)))).toBe('CSR_KEY_IN_USE');
    expect(await codeOf(renewed(first, await csrOf('d2')))).toBe('CSR_SUBJECT_MISMATCH');
    expect(await codeOf(renewed(first, 'nonsense'))).toBe('CSR_MALFORMED');
    expect(await issued()).toBe(1);
  });

  it.each(['suspend', 'revoke', 'decommission'] as const)(
    'is DEVICE_STATE_FORBIDS after a %s',
    async (change) => {
      await changeDeviceState(fleet, { caller: operator, id: 'd1', change });
      expect(await codeOf(renewed(first))).toBe('DEVICE_STATE_FORBIDS');
      expect(await issued()).toBe(1);
    },
  );

  it('does not outlive its device: one that ended before the device was let go of ends with it', async () => {
    fleet.clock.advance(Duration.days(40));
    await changeDeviceState(fleet, { caller: operator, id: 'd1', change: 'decommission' });
    const { tokenHash } = await tokenOf(fleet);
    await enroll(fleet, { csr: await csrOf('d1'), tokenHash });
    // The edge refuses revoked ones, also in their grace.
    expect((await fleet.store.findCertificate(first.serial))?.state).toBe('revoked');
  });

  it('refuses a certificate that was revoked after its holder was let in', async () => {
    await changeDeviceState(fleet, { caller: operator, id: 'd1', change: 'decommission' });
    const { tokenHash } = await tokenOf(fleet);
    await enroll(fleet, { csr: await csrOf('d1'), tokenHash });
    expect(await codeOf(renewed(first))).toBe('CERTIFICATE_NOT_ACCEPTED');
  });

  it.each(['decommission', 'rework'] as const)(
    'refuses a certificate that had ended for good before a %s, also when the clock goes back',
    async (what) => {
      const batch = await batchOf(fleet, { rework: true, lifetime: Duration.days(300) });
      const unit = { caller: operator, batch };
      const { certificate } = await signUnit(fleet, { ...unit, csr: await csrOf('u1') });
      fleet.clock.advance(Duration.days(200));
      if (what === 'decommission') {
        await changeDeviceState(fleet, { caller: operator, id: 'u1', change: what });
      }
      await signUnit(fleet, { ...unit, csr: await csrOf('u1') });
      expect(await fleet.store.findCertificate(certificate.serial)).toMatchObject({
        state: 'active',
      });
      fleet.clock.advance(-Duration.days(150));
      for (const csr of [undefined, await csrOf('u1')]) {
        expect(await codeOf(renewed(certificate, csr))).toBe('CERTIFICATE_NOT_ACCEPTED');
      }
      expect(await fleet.store.listCertificatesOf('u1')).toHaveLength(2);
    },
  );

  it('is DEVICE_NOT_FOUND for a certificate of nobody', async () => {
    expect(await codeOf(renewed({ ...first, owner: 'nobody' }))).toBe('DEVICE_NOT_FOUND');
  });
});

describe('a renewal whose answer was lost', () => {
  it('is answered with the certificate it got, however often it is asked for', async () => {
    const { certificate, entry } = await renewed(first);
    for (let n = 0; n < 5; n++) {
      fleet.clock.advance(Duration.minutes(1));
      const again = await renewed(first);
      expect(again.created).toBe(false);
      expect(again.certificate.serial).toBe(certificate.serial);
      expect(again.entry.seq).toBe(entry.seq);
    }
    expect(await issued()).toBe(2);
  });

  it('is answered also for a new key, by a CSR over the same key', async () => {
    const next = newKey();
    const { certificate } = await renewed(first, await csrOf('d1', next));
    const again = await renewed(first, await csrOf('d1', next));
    expect(again.certificate.serial).toBe(certificate.serial);
    expect(await issued()).toBe(2);
  });

  it('gets a new one when the successor was revoked since', async () => {
    const { certificate } = await renewed(first);
    await fleet.store.commit({
      writes: [
        { op: 'revoke-certificate', serial: certificate.serial, at: 1, reason: 'superseded' },
      ],
      entries: [],
    });
    expect((await renewed(first)).created).toBe(true);
  });
});

describe('twenty renewals at once', () => {
  it('with the same key are one certificate and twenty equal answers', async () => {
    const answers = await Promise.all(times(20, () => renewed(first)));
    expect(new Set(answers.map(({ certificate }) => certificate.serial)).size).toBe(1);
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(await issued()).toBe(2);
    expect((await fleet.store.findDevice(d1))?.version).toBe(2);
  });

  it('with the same new key are one certificate, too', async () => {
    const csr = await csrOf('d1');
    const answers = await Promise.all(times(20, () => renewed(first, csr)));
    expect(new Set(answers.map(({ certificate }) => certificate.serial)).size).toBe(1);
    expect(await issued()).toBe(2);
  });

  it('with different keys leave one newest certificate; who lost too often is told DEVICE_CHANGED', async () => {
    const csrs = await Promise.all(times(20, () => csrOf('d1')));
    const codes = await Promise.all(csrs.map((csr) => codeOf(renewed(first, csr))));
    const done = codes.filter((code) => code === 'done').length;
    expect(codes.filter((code) => code !== 'done' && code !== 'DEVICE_CHANGED')).toEqual([]);
    expect(done).toBeGreaterThanOrEqual(1);
    const certificates = await fleet.store.listCertificatesOf('d1');
    expect(certificates).toHaveLength(done + 1);
    const active = certificates.filter(({ state }) => state === 'active');
    expect(active.map(({ serial }) => serial)).toEqual([
      (await fleet.store.findDevice(d1))?.serial,
    ]);
  });

  it('beside a revocation leave no good certificate', async () => {
    await Promise.all([
      ...times(10, async () => codeOf(renewed(first, await csrOf('d1')))),
      changeDeviceState(fleet, { caller: operator, id: 'd1', change: 'revoke' }),
      ...times(10, () => codeOf(renewed(first))),
    ]);
    const states = (await fleet.store.listCertificatesOf('d1')).map(({ state }) => state);
    expect(new Set(states)).toEqual(new Set(['revoked']));
    expect((await fleet.store.findDevice(d1))?.state).toBe('revoked');
  });
});

describe('a certificate that was superseded', () => {
  const use = (certificate: Certificate): Promise<void> =>
    noteUse(fleet, { role: 'device', name: certificate.owner, via: 'certificate', certificate });
  const fresh = async ({ serial }: Certificate): Promise<Certificate> => {
    const found = await fleet.store.findCertificate(serial);
    if (found === undefined) throw new Error(`no ${serial}`);
    return found;
  };
  const openAlerts = async (): Promise<string[]> =>
    (await fleet.store.listAlerts({ includeResolved: false })).map((alert) => alert.key);
  const conflictOfD1 = 'identity:d1:two-holders';
  const entriesOf = async (kind: string) =>
    (await fleet.store.listEntriesOf('d1', 99)).filter(({ data }) => data.kind === kind);

  it('is as good as ever until its successor is used, and then good for nothing but to fetch that', async () => {
    const next = newKey();
    const csr = await csrOf('d1', next);
    const { certificate } = await renewed(first, csr);
    await use(await fresh(first));
    await use(certificate);
    expect((await entriesOf('certificate-used')).map(({ data }) => data)).toEqual([
      expect.objectContaining({ serial: certificate.serial, predecessor: first.serial }),
    ]);
    await use(certificate);
    expect(await entriesOf('certificate-used')).toHaveLength(1);
    expect(await codeOf(use(await fresh(first)))).toBe('CERTIFICATE_NOT_ACCEPTED');
    expect((await renewed(first, csr)).certificate.serial).toBe(certificate.serial);
    expect(await issued()).toBe(2);
  });

  it('with a third key, whose successor nobody used, takes its place: that ends, and an alert says so', async () => {
    const { certificate } = await renewed(first, await csrOf('d1'));
    const other = await renewed(first, await csrOf('d1'));
    expect(other.created).toBe(true);
    expect(await fresh(certificate)).toMatchObject({ state: 'revoked', reason: 'superseded' });
    expect(await openAlerts()).toEqual([conflictOfD1]);
    expect((await entriesOf('identity-conflict'))[0]?.data).toMatchObject({
      old: first.serial,
      current: certificate.serial,
      answered: true,
    });
    expect((await entriesOf('certificate-revoked'))[0]?.data).toMatchObject({
      serial: certificate.serial,
    });
  });

  it('without a CSR, after a new key was asked for, is the same: two keys in turn', async () => {
    const { certificate } = await renewed(first, await csrOf('d1'));
    const other = await renewed(first);
    expect(other.certificate.spkiSha256).toBe(first.spkiSha256);
    expect((await fresh(certificate)).state).toBe('revoked');
    expect(await openAlerts()).toEqual([conflictOfD1]);
  });

  it.each([
    ['its own key', undefined],
    ['a third key', 'third'],
  ])('with %s, after its successor was used, is refused with one alert', async (_what, key) => {
    const { certificate } = await renewed(first, await csrOf('d1'));
    await use(certificate);
    const csr = key === undefined ? undefined : await csrOf('d1');
    for (let n = 0; n < 5; n++) {
      expect(await codeOf(renewed(first, csr))).toBe('CERTIFICATE_NOT_ACCEPTED');
    }
    expect(await issued()).toBe(2);
    expect(await openAlerts()).toEqual([conflictOfD1]);
    expect(await entriesOf('identity-conflict')).toHaveLength(1);
    expect((await fresh(certificate)).state).toBe('active');
  });

  it('and its successor, used at the same time, are never both good: one comes first, and the ledger says which', async () => {
    for (let round = 0; round < 20; round++) {
      const device = await fleet.store.findDevice(d1);
      const old = await fleet.store.findCertificate(device!.serial!);
      const next = (await renewed(old!, await csrOf('d1'))).certificate;
      const third = await csrOf('d1');
      const outcomes = [codeOf(renewed(old!, third)), ...times(3, () => codeOf(use(next)))];
      const [replaced] = await Promise.all(round % 2 === 0 ? outcomes : outcomes.reverse()).then(
        (codes) => (round % 2 === 0 ? codes : codes.reverse()),
      );
      const uses = (await entriesOf('certificate-used')).filter(
        ({ data }) => 'serial' in data && data.serial === next.serial,
      );
      const state = (await fresh(next)).state;
      if (replaced === 'done') {
        expect(state).toBe('revoked');
        expect(uses).toEqual([]);
      } else {
        expect(replaced).toBe('CERTIFICATE_NOT_ACCEPTED');
        expect(state).toBe('active');
        expect(uses).toHaveLength(1);
      }
      fleet.clock.advance(Duration.days(1));
    }
  });

  it('stays good with a successor that was suspended and resumed before its first use, and no longer', async () => {
    const { certificate } = await renewed(first, await csrOf('d1'));
    for (const change of ['suspend', 'resume'] as const) {
      await changeDeviceState(fleet, { caller: operator, id: 'd1', change });
    }
    expect((await fleet.store.findDevice(d1))?.predecessor).toBe(first.serial);
    await use(await fresh(first));
    await use(await fresh(certificate));
    expect(await codeOf(use(await fresh(first)))).toBe('CERTIFICATE_NOT_ACCEPTED');
  });

  it('whose successor has renewed is refused, too: that was a use', async () => {
    const { certificate } = await renewed(first, await csrOf('d1'));
    await renewed(certificate, await csrOf('d1'));
    expect(await codeOf(renewed(first, await csrOf('d1')))).toBe('CERTIFICATE_NOT_ACCEPTED');
    expect(await openAlerts()).toEqual([conflictOfD1]);
  });

  it('over the key that its successor has too is one holder: no alert', async () => {
    const { certificate } = await renewed(first);
    await use(certificate);
    expect(await codeOf(use(await fresh(first)))).toBe('CERTIFICATE_NOT_ACCEPTED');
    expect((await renewed(first)).certificate.serial).toBe(certificate.serial);
    expect(await openAlerts()).toEqual([]);
  });

  it.each(['suspend', 'revoke', 'decommission'] as const)(
    'leaves an alert that a %s resolves, and that fires anew when it comes again',
    async (change) => {
      await renewed(first, await csrOf('d1'));
      await renewed(first, await csrOf('d1'));
      await changeDeviceState(fleet, { caller: operator, id: 'd1', change });
      expect(await openAlerts()).toEqual([]);
    },
  );
});

describe('renewing before the window (RFC 9773)', () => {
  let young: Certificate;
  beforeEach(async () => {
    young = (await renewed(first)).certificate;
  });

  it('is RENEWAL_TOO_EARLY with the key it has, to the millisecond', async () => {
    const opens = young.notAfter - Math.floor((young.notAfter - young.notBefore) * 0.4);
    fleet.clock.advance(opens - fleet.clock.now() - 1);
    expect(await codeOf(renewed(young))).toBe('RENEWAL_TOO_EARLY');
    fleet.clock.advance(1);
    expect(await codeOf(renewed(young))).toBe('done');
  });

  it('is done with a new key', async () => {
    expect(await codeOf(renewed(young, await csrOf('d1')))).toBe('done');
  });

  it('is done once on an operator’s word, for as long as that holds', async () => {
    const allow = (lifetime: number, id = 'd1') =>
      allowRenewal(fleet, { caller: operator, id, lifetime });
    await allow(Duration.hours(1));
    fleet.clock.advance(Duration.hours(1));
    expect(await codeOf(renewed(young))).toBe('RENEWAL_TOO_EARLY');
    await allow(Duration.hours(1));
    const { certificate } = await renewed(young);
    expect(await codeOf(renewed(certificate))).toBe('RENEWAL_TOO_EARLY');
    const [, entry] = await fleet.store.listEntriesOf('d1', 9);
    expect(entry).toMatchObject({
      actor: 'operator:operator@works',
      data: { kind: 'renewal-allowed', identity: 'd1' },
    });
    expect(await codeOf(allow(Number.NaN))).toBe('VALIDITY_NOT_ALLOWED');
    expect(await codeOf(allow(Duration.hours(1), 'nobody'))).toBe('DEVICE_NOT_FOUND');
  });

  it('is RENEWAL_LIMIT after as many in a day as the configuration says, and goes on the day after', async () => {
    let current = young;
    for (let n = 1; n < 24; n++) current = (await renewed(current, await csrOf('d1'))).certificate;
    expect(await codeOf(renewed(current, await csrOf('d1')))).toBe('RENEWAL_LIMIT');
    fleet.clock.advance(Duration.days(1));
    expect(await codeOf(renewed(current, await csrOf('d1')))).toBe('done');
  });
});
