import { Duration, parseDeviceId } from '@keyline/kernel';
import { parseCertificate } from '@keyline/x509';
import { generateKeyPairSync } from 'node:crypto';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { signerOf } from '../../pki/test/hierarchy.ts';
import {
  changeDeviceState,
  enroll,
  renew,
  revokeToken,
  signUnit,
  type DeviceState,
  type EnrollCommand,
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
  written,
  type TestFleet,
} from './test-fleet.ts';

let fleet: TestFleet;
beforeEach(async () => {
  fleet = await openTestFleet();
});
afterEach(() => fleet.close());

const d1 = parseDeviceId('d1');
const change = (what: 'revoke' | 'suspend' | 'decommission' | 'resume') =>
  changeDeviceState(fleet, { caller: operator, id: 'd1', change: what });
/** An enrollment of d1 with a token of its own, unless said otherwise. */
async function enrolled(changes: Partial<EnrollCommand> = {}) {
  const { tokenHash } = await tokenOf(fleet);
  return enroll(fleet, { csr: await csrOf('d1'), tokenHash, ...changes });
}
/** The code of a refusal that must leave nothing behind. */
async function refusal(command: EnrollCommand): Promise<string> {
  const before = await written(fleet);
  const code = await codeOf(enroll(fleet, command));
  expect(await written(fleet)).toEqual(before);
  return code;
}

describe('enrolling', () => {
  it('makes a device, a certificate and one entry, and uses the token once', async () => {
    const token = await tokenOf(fleet, { labels: { site: 'a' }, type: 'sensor', maxUses: 2 });
    const answer = await enroll(fleet, { csr: await csrOf('d1'), tokenHash: token.tokenHash });
    expect(answer.created).toBe(true);
    expect(answer.role.name).toBe('sensor');
    expect(await fleet.store.findDevice(d1)).toEqual(answer.device);
    expect(answer.device).toMatchObject({
      state: 'active',
      type: 'sensor',
      labels: { site: 'a' },
      version: 1,
      serial: answer.certificate.serial,
      notAfter: answer.certificate.notAfter,
    });
    expect(await fleet.store.findCertificate(answer.certificate.serial)).toMatchObject({
      owner: 'd1',
      kind: 'device',
      authority: 'issuing-1',
      state: 'active',
    });
    expect(answer.certificate.notAfter).toBe(fleet.clock.now() + Duration.days(10));
    expect((await fleet.store.findToken(token.id))?.uses).toBe(1);
    expect((await fleet.store.readEntries(answer.entry.seq - 1, 9))[0]).toMatchObject({
      actor: `token:${token.id}`,
      data: { kind: 'device-enrolled', device: 'd1', role: 'sensor', token: token.id },
    });
  });

  it('takes the id from the request when the CSR has no CN that contradicts it', async () => {
    const key = newKey();
    const { tokenHash } = await tokenOf(fleet);
    expect(await refusal({ id: 'd2', csr: await csrOf('d1', key), tokenHash })).toBe(
      'CSR_SUBJECT_MISMATCH',
    );
    const { device } = await enroll(fleet, { id: 'd1', csr: await csrOf('d1', key), tokenHash });
    expect(device.id).toBe('d1');
  });

  it('gives a shorter certificate when asked, never a longer one: VALIDITY_NOT_ALLOWED', async () => {
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    expect(await refusal({ csr, tokenHash, validity: Duration.days(91) })).toBe(
      'VALIDITY_NOT_ALLOWED',
    );
    expect(await refusal({ csr, tokenHash, validity: -1 })).toBe('VALIDITY_NOT_ALLOWED');
    const { certificate } = await enroll(fleet, { csr, tokenHash, validity: Duration.hours(1) });
    expect(certificate.notAfter).toBe(fleet.clock.now() + Duration.hours(1));
  });

  it.each(['a b', 'service@works', 'a/b', '#', '$SYS'])(
    'refuses the id %j: DEVICE_ID_INVALID',
    async (name) => {
      const { tokenHash } = await tokenOf(fleet);
      expect(await refusal({ csr: await csrOf(name), tokenHash })).toBe('DEVICE_ID_INVALID');
    },
  );
});

describe('a token', () => {
  it('that nobody made, or that was revoked, is TOKEN_INVALID', async () => {
    const csr = await csrOf('d1');
    expect(await refusal({ csr, tokenHash: '00'.repeat(32) })).toBe('TOKEN_INVALID');
    expect(await refusal({ csr, tokenHash: 'no hash' })).toBe('TOKEN_INVALID');
    const { id, tokenHash } = await tokenOf(fleet);
    await revokeToken(fleet, { caller: operator, id });
    expect(await refusal({ csr, tokenHash })).toBe('TOKEN_INVALID');
  });

  it('ends to the millisecond: TOKEN_EXPIRED', async () => {
    const { tokenHash } = await tokenOf(fleet, { lifetime: 5000, maxUses: 2 });
    fleet.clock.advance(4999);
    await enroll(fleet, { csr: await csrOf('d1'), tokenHash });
    fleet.clock.advance(1);
    expect(await refusal({ csr: await csrOf('d2'), tokenHash })).toBe('TOKEN_EXPIRED');
  });

  it('is for ids of its pattern: TOKEN_PATTERN_MISMATCH', async () => {
    const { tokenHash } = await tokenOf(fleet, { idPattern: 'line1-*' });
    expect(await refusal({ csr: await csrOf('line2-7'), tokenHash })).toBe(
      'TOKEN_PATTERN_MISMATCH',
    );
    expect((await enroll(fleet, { csr: await csrOf('line1-7'), tokenHash })).created).toBe(true);
  });

  it('is good for so many devices: TOKEN_EXHAUSTED', async () => {
    const { tokenHash } = await tokenOf(fleet, { maxUses: 2 });
    for (const id of ['d1', 'd2']) await enroll(fleet, { csr: await csrOf(id), tokenHash });
    expect(await refusal({ csr: await csrOf('d3'), tokenHash })).toBe('TOKEN_EXHAUSTED');
  });

  it('of a type that was taken out of the configuration is DEVICE_TYPE_UNKNOWN', async () => {
    const { tokenHash } = await tokenOf(fleet, { type: 'sensor' });
    fleet.types.delete('sensor');
    expect(await refusal({ csr: await csrOf('d1'), tokenHash })).toBe('DEVICE_TYPE_UNKNOWN');
  });
});

describe('a CSR', () => {
  it('that is none, or was changed after signing, costs the token nothing', async () => {
    const { tokenHash } = await tokenOf(fleet);
    const pem = await csrOf('d1');
    const der = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');
    der[der.length - 1]! ^= 1;
    expect(await refusal({ csr: 'hello', tokenHash })).toBe('CSR_MALFORMED');
    expect(await refusal({ csr: der.subarray(0, 50), tokenHash })).toBe('CSR_MALFORMED');
    expect(await refusal({ csr: der, tokenHash })).toBe('CSR_SIGNATURE_INVALID');
    expect(await refusal({ csr: pem.padEnd(40_000), tokenHash })).toBe('CSR_TOO_LARGE');
    expect((await enroll(fleet, { csr: pem, tokenHash })).created).toBe(true);
  });

  it('with a weak key is CSR_KEY_WEAK', async () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1', signerOf(privateKey, 'rsa-2048'));
    expect(await refusal({ csr, tokenHash })).toBe('CSR_KEY_WEAK');
  });

  it('with the key of another device is CSR_KEY_IN_USE, and does not name the other', async () => {
    const key = newKey();
    await enrolled({ csr: await csrOf('d1', key) });
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d2', key);
    expect(await refusal({ csr, tokenHash })).toBe('CSR_KEY_IN_USE');
    await expect(enroll(fleet, { csr, tokenHash })).rejects.not.toThrow(/d1/);
    // Operators find it in the log.
    await expect(enroll(fleet, { csr, tokenHash })).rejects.toMatchObject({
      context: { owner: 'd1' },
    });
  });
});

describe('an enrollment whose answer was lost', () => {
  it('is answered again with the same certificate, though the token is used up', async () => {
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    const first = await enroll(fleet, { csr, tokenHash });
    fleet.clock.advance(60_000);
    const before = await written(fleet);
    const second = await enroll(fleet, { csr, tokenHash });
    expect(second.created).toBe(false);
    expect(second.entry.seq).toBe(first.entry.seq);
    expect(Buffer.from(second.certificate.der).equals(first.certificate.der)).toBe(true);
    expect(await written(fleet)).toEqual(before);
  });

  it('is answered also to a new CSR over the same key', async () => {
    const key = newKey();
    const { tokenHash } = await tokenOf(fleet);
    const first = await enroll(fleet, { csr: await csrOf('d1', key), tokenHash });
    const second = await enroll(fleet, { csr: await csrOf('d1', key), tokenHash });
    expect(second.certificate.serial).toBe(first.certificate.serial);
  });

  it('is DEVICE_EXISTS with another key, or another token', async () => {
    const key = newKey();
    const token = await tokenOf(fleet, { maxUses: 5 });
    await enroll(fleet, { csr: await csrOf('d1', key), tokenHash: token.tokenHash });
    expect(await refusal({ csr: await csrOf('d1'), tokenHash: token.tokenHash })).toBe(
      'DEVICE_EXISTS',
    );
    const other = await tokenOf(fleet);
    expect(await refusal({ csr: await csrOf('d1', key), tokenHash: other.tokenHash })).toBe(
      'DEVICE_EXISTS',
    );
  });

  it.each(['suspend', 'revoke'] as const)('is DEVICE_STATE_FORBIDS after a %s', async (what) => {
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    await enroll(fleet, { csr, tokenHash });
    await change(what);
    expect(await refusal({ csr, tokenHash })).toBe('DEVICE_STATE_FORBIDS');
  });
});

describe('a decommissioned device', () => {
  it('comes back with a new key, as what its new token says, and keeps its history', async () => {
    const first = await enrolled();
    await change('decommission');
    const { tokenHash } = await tokenOf(fleet, { type: 'sensor', labels: { second: 'life' } });
    const second = await enroll(fleet, { csr: await csrOf('d1'), tokenHash });
    expect(second.created).toBe(true);
    expect(await fleet.store.findDevice(d1)).toEqual(second.device);
    expect(second.device).toMatchObject({
      state: 'active',
      type: 'sensor',
      labels: { second: 'life' },
      createdAt: first.device.createdAt,
    });
    const renewal = await renew(fleet, {
      caller: { role: 'device', name: 'd1', via: 'certificate', certificate: second.certificate },
      csr: await csrOf('d1'),
    });
    expect(renewal.role.name).toBe('sensor');
    expect(kinds(await fleet.store.listEntriesOf('d1', 9))).toEqual([
      'device-renewed',
      'device-reissued',
      'device-decommissioned',
      'device-enrolled',
    ]);
    expect((await fleet.store.findCertificate(first.certificate.serial))?.state).toBe('revoked');
  });

  it('does not come back with a key it had: CSR_KEY_IN_USE', async () => {
    const key = newKey();
    await enrolled({ csr: await csrOf('d1', key) });
    await change('decommission');
    const { tokenHash } = await tokenOf(fleet);
    expect(await refusal({ csr: await csrOf('d1', key), tokenHash })).toBe('CSR_KEY_IN_USE');
  });

  it('comes back once when asked for many times at once', async () => {
    await enrolled();
    await change('decommission');
    const { tokenHash } = await tokenOf(fleet, { maxUses: 1 });
    const csr = await csrOf('d1');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => enroll(fleet, { csr, tokenHash })),
    );
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(answers.map(({ certificate }) => certificate.serial)).size).toBe(1);
  });
});

describe('twenty at once', () => {
  it('of the same request are one identity, one use of the token, and twenty equal answers', async () => {
    const { id, tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('d1');
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => enroll(fleet, { csr, tokenHash })),
    );
    expect(answers.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(answers.map(({ certificate }) => certificate.serial)).size).toBe(1);
    expect(await fleet.store.listCertificatesOf('d1')).toHaveLength(1);
    expect((await fleet.store.findToken(id))?.uses).toBe(1);
    expect(kinds(await fleet.store.listEntriesOf('d1', 99))).toEqual(['device-enrolled']);
  });

  it('of the same id with different keys are one identity; the others meet DEVICE_EXISTS', async () => {
    const { tokenHash } = await tokenOf(fleet, { maxUses: 20 });
    const csrs = await Promise.all(Array.from({ length: 20 }, () => csrOf('d1')));
    const codes = await Promise.all(csrs.map((csr) => codeOf(enroll(fleet, { csr, tokenHash }))));
    expect(codes.filter((code) => code === 'done')).toHaveLength(1);
    expect(codes.filter((code) => code === 'DEVICE_EXISTS')).toHaveLength(19);
    const [only, ...others] = await fleet.store.listCertificatesOf('d1');
    expect(others).toEqual([]);
    expect((await fleet.store.findDevice(d1))?.serial).toBe(only?.serial);
    expect(parseCertificate(only!.der).serial).toBe(only!.serial);
  });

  it('of different ids with a token for three are three', async () => {
    const { tokenHash } = await tokenOf(fleet, { maxUses: 3 });
    const csrs = await Promise.all(Array.from({ length: 20 }, (_, n) => csrOf(`n${String(n)}`)));
    const codes = await Promise.all(csrs.map((csr) => codeOf(enroll(fleet, { csr, tokenHash }))));
    expect(codes.filter((code) => code === 'done')).toHaveLength(3);
    expect(codes.filter((code) => code === 'TOKEN_EXHAUSTED')).toHaveLength(17);
    expect((await fleet.store.countDevicesByState()).active).toBe(3);
  });

  it('of different ids with one key are one', async () => {
    const key = newKey();
    const { tokenHash } = await tokenOf(fleet, { maxUses: 20 });
    const csrs = await Promise.all(
      Array.from({ length: 20 }, (_, n) => csrOf(`n${String(n)}`, key)),
    );
    const codes = await Promise.all(csrs.map((csr) => codeOf(enroll(fleet, { csr, tokenHash }))));
    expect(codes.filter((code) => code === 'done')).toHaveLength(1);
    expect(codes.filter((code) => code === 'CSR_KEY_IN_USE')).toHaveLength(19);
  });
});

it('enrolls a device that was registered before, and counts it as active then', async () => {
  await fleet.store.commit({
    writes: [
      {
        op: 'insert-device',
        device: {
          id: d1,
          type: 'default',
          batch: 'lot',
          labels: { old: '1' },
          state: 'registered' satisfies DeviceState,
          version: 1,
          createdAt: 5,
          updatedAt: 5,
          serial: null,
          notAfter: null,
          predecessor: null,
        },
      },
    ],
    entries: [],
  });
  const { device } = await enrolled();
  expect(await fleet.store.findDevice(d1)).toEqual(device);
  expect(await fleet.store.countDevicesByState()).toMatchObject({ registered: 0, active: 1 });
});

describe('an id that differs from another in case alone', () => {
  const strict = (): TestFleet => ({ ...fleet, distinctIgnoringCase: true });
  const enrollAs = async (id: string, context: TestFleet = strict()) =>
    enroll(context, { csr: await csrOf(id), tokenHash: (await tokenOf(fleet)).tokenHash });

  it('is refused where the configuration says so, whichever came first, and nothing is used up', async () => {
    await enrollAs('pump-1');
    await enrollAs('Valve-1');
    for (const id of ['Pump-1', 'PUMP-1', 'valve-1', 'VALVE-1']) {
      const { tokenHash } = await tokenOf(fleet);
      const before = await written(fleet);
      await expect(enroll(strict(), { csr: await csrOf(id), tokenHash })).rejects.toMatchObject({
        code: 'DEVICE_EXISTS',
        detail: expect.stringContaining('in capital and small letters alone'),
      });
      expect(await written(fleet)).toEqual(before);
    }
    expect((await enrollAs('pump-10')).created).toBe(true);
  });

  it('is refused on the line too', async () => {
    await enrollAs('pump-1');
    const batch = await batchOf(fleet);
    const unit = { caller: operator, batch, csr: await csrOf('Pump-1') };
    expect(await codeOf(signUnit(strict(), unit))).toBe('DEVICE_EXISTS');
    expect(await codeOf(signUnit(fleet, unit))).toBe('done');
  });

  it('is taken where it does not, and retries of one that is there are answered as ever', async () => {
    await enrollAs('pump-1', fleet);
    await enrollAs('Pump-1', fleet);
    const { tokenHash } = await tokenOf(fleet);
    const csr = await csrOf('New-1');
    const first = await enroll(strict(), { csr, tokenHash });
    const again = await enroll(strict(), { csr, tokenHash });
    expect([first.created, again.created]).toEqual([true, false]);
  });

  it('is refused once when two come at once', async () => {
    const answers = await Promise.allSettled(['Twin', 'twin', 'TWIN'].map((id) => enrollAs(id)));
    expect(answers.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  });
});
