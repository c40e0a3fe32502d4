// Enrollment and renewal on the device's side, as they are stopped, repeated, raced and misled: real HTTPS, real files.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { KeylineError } from '@keyline/kernel';
import type { EnrolledDevice } from '../src/enroll.ts';
import {
  deviceFilesOf,
  enrollDevice,
  renewDevice,
  settleRenewal,
  takeUpOrCreateKey,
} from '../src/index.ts';
import type { RenewedDevice } from '../src/renew.ts';
import { enrolled } from './support/documents.ts';
import {
  startFakeService,
  WithStatus,
  type Call,
  type FakeService,
} from './support/fake-service.ts';
import { createTestAuthority, type TestAuthority } from './support/test-authority.ts';

const id = 'd1';
let folder: string;
let authority: TestAuthority;
let fake: FakeService;
let now: number;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-client-'));
  authority = createTestAuthority();
  now = Date.now();
  fake = await startFakeService({
    caPem: authority.certificatePem,
    caKeyPem: authority.keyPem,
    path: (name) => join(folder, name),
  });
  fake.answers = { enroll: sign, renew: sign, getDevice: () => enrolled(id, '').device };
});
afterEach(async () => {
  await fake.close();
  rmSync(folder, { recursive: true, force: true });
});

let lastCsr = '';
/** A certificate for the key of the CSR, or of the one before when there is none: each ends a day later. */
function sign({ body }: Call): unknown {
  const { csr = lastCsr } = body as { csr?: string };
  lastCsr = csr;
  return enrolled(id, authority.sign(csr));
}
const lose = (): unknown => {
  throw new KeylineError('INTERNAL', 'the answer is lost');
};

const at = (name: string): string => join(folder, 'd1', name);
const files = () => deviceFilesOf(join(folder, 'd1'), id);
const service = () => ({ api: fake.url, caPem: authority.certificatePem });
const enroll = (): Promise<EnrolledDevice> =>
  enrollDevice({
    ...{ service: service(), id, folder: join(folder, 'd1'), token: 'secret' },
    ...{ algorithm: 'ec-p256', clock: { now: () => now } },
  });
const renew = (withNewKey = true): Promise<RenewedDevice> =>
  renewDevice({
    ...{ service: service(), id, folder: join(folder, 'd1') },
    ...{ withNewKey, clock: { now: () => now } },
  });
const read = (name: string): string => readFileSync(at(name), 'utf8');
const leaf = (name = 'd1.crt'): X509Certificate => new X509Certificate(read(name));

/** Key and certificate in force fit, and nothing half done is left. */
function expectWholePair(): void {
  expect(leaf().checkPrivateKey(createPrivateKey(read('d1.key')))).toBe(true);
  expect(statSync(at('d1.key')).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(folder, 'd1')).sort()).toEqual([
    'broker.json',
    'ca.pem',
    'd1.crt',
    'd1.key',
  ]);
}

describe('an enrollment', () => {
  it('leaves key, certificate, trust anchors and what the broker is', async () => {
    const { isAgain, clock, answer } = await enroll();
    expect({ isAgain, clock }).toEqual({ isAgain: false, clock: 'right' });
    expect(answer.device.id).toBe(id);
    expectWholePair();
  });

  it('goes on with the same key when the answer was lost', async () => {
    fake.answers.enroll = lose;
    await expect(enroll()).rejects.toMatchObject({ code: 'INTERNAL' });
    const key = read('d1.key');
    fake.answers.enroll = (call) => new WithStatus(200, sign(call));
    expect((await enroll()).isAgain).toBe(true);
    expect(read('d1.key')).toBe(key);
    expectWholePair();
  });

  it('goes on when it was stopped between key and certificate, with whatever had been written', async () => {
    await takeUpOrCreateKey(files().key, 'ec-p256').catch(() => mkdirSync(join(folder, 'd1')));
    await takeUpOrCreateKey(files().key, 'ec-p256');
    const key = read('d1.key');
    writeFileSync(at('ca.pem'), 'half');
    await enroll();
    expect(read('d1.key')).toBe(key);
    expect(read('ca.pem')).toBe(authority.certificatePem);
    expectWholePair();
  });

  it('takes an empty key file, as an old version left it when it was stopped, for none', async () => {
    mkdirSync(join(folder, 'd1'));
    writeFileSync(at('d1.key'), '', { mode: 0o600 });
    await enroll();
    expectWholePair();
  });

  it('that is refused, or never reached the service, leaves neither a key nor a folder of its own', async () => {
    fake.answers = {
      ...fake.answers,
      enroll: () => new WithStatus(403, { code: 'TOKEN_INVALID', detail: 'no such token' }),
    };
    await expect(enroll()).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    expect(existsSync(join(folder, 'd1'))).toBe(false);
    await fake.close();
    await expect(enroll()).rejects.toMatchObject({ code: 'SERVICE_UNREACHABLE' });
    expect(existsSync(join(folder, 'd1'))).toBe(false);
  });

  it('that is refused leaves a key that was there before, and what else is in the folder', async () => {
    const key = await takeUpOrCreateKey(join(folder, 'd1.key'), 'ec-p256');
    mkdirSync(join(folder, 'd1'));
    writeFileSync(at('notes.txt'), 'mine');
    renameSync(join(folder, 'd1.key'), at('d1.key'));
    fake.answers = {
      ...fake.answers,
      enroll: () => new WithStatus(403, { code: 'TOKEN_INVALID', detail: 'no such token' }),
    };
    await expect(enroll()).rejects.toMatchObject({ code: 'TOKEN_INVALID' });
    expect(createPrivateKey(read('d1.key')).equals(key)).toBe(true);
    expect(read('notes.txt')).toBe('mine');
  });

  it('is refused when it is complete, and nothing is asked', async () => {
    await enroll();
    await expect(enroll()).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(fake.calls.filter(({ name }) => name === 'enroll')).toHaveLength(1);
    expectWholePair();
  });

  it('of two at once ends with one key, whoever is first', async () => {
    await Promise.allSettled([enroll(), enroll(), enroll()]);
    const csrs = fake.calls.map(({ call }) => (call.body as { csr?: string } | undefined)?.csr);
    expect(csrs.filter((csr) => csr !== undefined).length).toBeGreaterThan(0);
    expectWholePair();
  });

  it('writes no certificate that is for another key', async () => {
    const other = join(folder, 'other');
    mkdirSync(other);
    await enrollDevice({
      ...{ service: service(), id: 'd1', folder: other, token: 'secret' },
      ...{ algorithm: 'ec-p256', clock: { now: () => now } },
    });
    const foreign = lastCsr;
    fake.answers.enroll = () => enrolled(id, authority.sign(foreign));
    await expect(enroll()).rejects.toMatchObject({ code: 'PATH_INVALID' });
    expect(existsSync(at('d1.crt'))).toBe(false);
  });

  it.each([
    ['behind', -10 * 365 * 86_400_000],
    ['ahead', 10 * 365 * 86_400_000],
  ] as const)(
    'says that the clock of the device is %s, and is complete all the same',
    async (clock, off) => {
      now += off;
      expect((await enroll()).clock).toBe(clock);
      expectWholePair();
    },
  );

  it.each(['', '../d1', '.d1', 'a/b', 'a\0b'])(
    'does not let the id %j lead out of the folder',
    (bad) => {
      expect(() => deviceFilesOf(folder, bad)).toThrow(/can't be a device id/);
    },
  );
});

describe('a renewal', () => {
  beforeEach(async () => {
    await enroll();
  });

  it('replaces key and certificate together, shows the new one at once, and leaves nothing beside', async () => {
    const key = read('d1.key');
    const { notShown, clock, hasFinishedEarlier } = await renew();
    expect({ notShown, clock, hasFinishedEarlier }).toEqual({
      ...{ notShown: undefined, clock: 'right', hasFinishedEarlier: false },
    });
    expect(read('d1.key')).not.toBe(key);
    expect(fake.calls.map(({ name }) => name)).toEqual(['enroll', 'renew', 'getDevice']);
    expectWholePair();
  });

  it('keeps the key when told so, and can be repeated', async () => {
    const key = read('d1.key');
    for (let round = 0; round < 3; round += 1) await renew(false);
    expect(read('d1.key')).toBe(key);
    expect(leaf().serialNumber).toBe('04');
    expectWholePair();
  });

  it('says when the new certificate could not be shown, and keeps it', async () => {
    fake.answers.getDevice = lose;
    expect((await renew()).notShown).toContain('the answer is lost');
    expectWholePair();
  });

  it('asks with the same new key again when the answer was lost', async () => {
    fake.answers.renew = lose;
    await expect(renew()).rejects.toMatchObject({ code: 'INTERNAL' });
    const next = read('d1.key.new');
    fake.answers.renew = sign;
    await renew();
    expect(read('d1.key')).toBe(next);
    expectWholePair();
  });

  it('makes another key when the one that was left over is used up: a renewal without it came in between', async () => {
    fake.answers.renew = lose;
    await expect(renew()).rejects.toMatchObject({ code: 'INTERNAL' });
    const spent = read('d1.key.new');
    let asked = 0;
    fake.answers.renew = (call) => {
      asked += 1;
      if (asked === 1) throw new KeylineError('CSR_KEY_IN_USE', 'This key was used.');
      return sign(call);
    };
    await renew();
    expect(asked).toBe(2);
    expect(read('d1.key')).not.toBe(spent);
    expectWholePair();
    // A fresh one that is refused is no left-over: that is an error for a person to see.
    fake.answers.renew = () => {
      throw new KeylineError('CSR_KEY_IN_USE', 'This key was used.');
    };
    await expect(renew()).rejects.toMatchObject({ code: 'CSR_KEY_IN_USE' });
  });

  it.each([
    ['before any rename', 'ends later'],
    ['between the two renames', 'ends later'],
    ['before any rename', 'ends sooner'],
    ['between the two renames', 'ends sooner'],
  ])(
    'is finished later when it was stopped %s, also when the new certificate %s',
    async (when, end) => {
      // As where the authority that takes over gives shorter ones.
      if (end === 'ends sooner') authority.daysOf = () => 0.5;
      const [key, certificate] = [read('d1.key'), read('d1.crt')];
      await renew();
      // As a stop leaves it: the next pair beside the present one.
      renameSync(at('d1.crt'), at('d1.crt.new'));
      writeFileSync(at('d1.crt'), certificate);
      if (when === 'before any rename') {
        renameSync(at('d1.key'), at('d1.key.new'));
        writeFileSync(at('d1.key'), key, { mode: 0o600 });
      }
      expect(await settleRenewal(files())).toBe(true);
      expect(leaf().serialNumber).toBe('02');
      expectWholePair();
      expect(await settleRenewal(files())).toBe(false);
    },
  );

  it('does not put back an older certificate that a stop left beside', async () => {
    const older = read('d1.crt');
    await renew(false);
    writeFileSync(at('d1.crt.new'), older);
    expect(await settleRenewal(files())).toBe(false);
    expect(leaf().serialNumber).toBe('02');
    expectWholePair();
  });

  it('puts a certificate in place that ends sooner than the one before', async () => {
    authority.daysOf = () => 0.5;
    await renew(false);
    expect(leaf().serialNumber).toBe('02');
    expectWholePair();
  });

  it('throws away a certificate that fits no key here', async () => {
    await renew();
    const next = read('d1.crt');
    const other = join(folder, 'other');
    mkdirSync(other);
    await enrollDevice({
      ...{ service: service(), id: 'd1', folder: other, token: 'secret' },
      ...{ algorithm: 'ec-p256', clock: { now: () => now } },
    });
    writeFileSync(at('d1.crt.new'), readFileSync(join(other, 'd1.crt')));
    expect(await settleRenewal(files())).toBe(false);
    expect(read('d1.crt')).toBe(next);
    expectWholePair();
  });

  it('of several at once ends with a pair that fits', async () => {
    for (let round = 0; round < 5; round += 1) {
      await Promise.allSettled([renew(), renew(), renew()]);
      await settleRenewal(files());
      expect(leaf().checkPrivateKey(createPrivateKey(read('d1.key')))).toBe(true);
    }
    await renew();
    expectWholePair();
  });

  it('leaves everything as it was when the service refuses, is away, or answers for another key', async () => {
    const [key, certificate] = [read('d1.key'), read('d1.crt')];
    const foreign = authority.certificatePem;
    fake.answers.renew = () => enrolled(id, foreign);
    await expect(renew(false)).rejects.toMatchObject({ code: 'PATH_INVALID' });
    fake.answers.renew = () => {
      throw new KeylineError('RENEWAL_TOO_EARLY', 'Later.');
    };
    await expect(renew(false)).rejects.toMatchObject({ code: 'RENEWAL_TOO_EARLY' });
    await fake.close();
    await expect(renew(false)).rejects.toMatchObject({ code: 'SERVICE_UNREACHABLE' });
    expect([read('d1.key'), read('d1.crt')]).toEqual([key, certificate]);
    expectWholePair();
  });

  it('needs a device that was enrolled from here', async () => {
    await expect(
      renewDevice({
        ...{ service: service(), id: 'unknown', folder: join(folder, 'd1'), withNewKey: false },
        clock: { now: () => now },
      }),
    ).rejects.toMatchObject({ code: 'FILE_NOT_FOUND' });
  });
});
