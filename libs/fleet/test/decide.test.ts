// The table of docs/decisions/0014-one-way-in.md as data: one row, one decision.
import { KeylineError, parseDeviceId, type ErrorCode } from '@keyline/kernel';
import type { IssuedCertificate } from '@keyline/pki';
import { describe, expect, it } from 'vitest';
import { certificate, device, serial, sha } from '../../store/test/contract/rows.ts';
import { deviceProfile } from '../../pki/test/hierarchy.ts';
import type { Device, DeviceState, Write } from '../src/index.ts';
import type { Admitted, Refusal, Standing } from '../src/issuance/admission.ts';
import { decide } from '../src/issuance/decide.ts';

const now = 1000;
const id = parseDeviceId('d1');
const current = certificate(1, { owner: 'd1', spkiSha256: sha('current') });
const older = certificate(2, { owner: 'd1', spkiSha256: sha('earlier'), state: 'superseded' });
const error = (code: ErrorCode): KeylineError => new KeylineError(code, 'in the words of the test');
const refusal = (code: ErrorCode): Refusal => ({ verdict: 'refused', error: error(code) });

const words: Admitted['words'] = {
  exists: () => error('DEVICE_EXISTS'),
  stateForbids: () => error('DEVICE_STATE_FORBIDS'),
  keyWasHeld: () => error('CSR_KEY_IN_USE'),
  explain: ({ code }) => error(code),
};
const admission = {
  id,
  details: {
    type: { name: 'sensor', description: '', profile: deviceProfile.name, role: 'sensor' },
    role: { name: 'sensor', description: '', publish: [], subscribe: [] },
    profile: deviceProfile,
  },
  labels: {},
  by: { actor: 'keyline' },
  words,
} as const;

/** What each admission says of itself; the key is what a row adds. */
const admissions = {
  token: {
    ...{ ...admission, batch: null, noted: { token: 'tok_1' }, knows: true, otherKey: 'refuse' },
    ...{ before: 'supersede', conditions: [{ op: 'use-token', id: 'tok_1', at: now }] },
  },
  batch: {
    ...{ ...admission, batch: 'lot-1', noted: { batch: 'lot-1' }, knows: true, otherKey: 'refuse' },
    ...{ before: 'end', conditions: [{ op: 'take-quota', id: 'lot-1', at: now, units: 1 }] },
  },
  certificate: {
    ...{ ...admission, batch: null, noted: {}, knows: false, otherKey: 'replace' },
    ...{ before: 'supersede', conditions: [], asked: current },
  },
} as const satisfies Record<string, Omit<Admitted, 'key'>>;
const rework = { ...admissions.batch, otherKey: 'replace' } as const;
const ofOther = { knows: false } as const;
const superseded = { ...admissions.certificate, asked: older } as const;

type Key = 'current' | 'earlier' | 'free' | 'another’s';
const keyOwner: Record<Key, string | undefined> = {
  current: 'd1',
  earlier: 'd1',
  free: undefined,
  'another’s': 'd2',
};

function decideRow(row: Row) {
  const { state, key, by, stands = {} } = row;
  const before: Device | undefined =
    state === 'unknown'
      ? undefined
      : device('d1', {
          state,
          version: 4,
          serial: current.serial,
          admission: 9,
          labels: { a: 'b' },
        });
  return decide(
    {
      admitted: {
        ...by,
        key: { spkiDer: new Uint8Array(), algorithm: 'ec-p256', spkiSha256: sha(key) },
      },
      standing: {
        device: before,
        current: state === 'active' ? current : undefined,
        isOrphaned: false,
        keyOwner: keyOwner[key],
        ending: [],
        ...stands,
      },
      distinctIgnoringCase: true,
    },
    now,
  );
}

interface Row {
  readonly state: DeviceState | 'unknown';
  readonly key: Key;
  readonly by: Omit<Admitted, 'key'>;
  readonly stands?: Partial<Standing>;
  /** The writes of what is issued, `answered`, or the code of a refusal. */
  readonly then: readonly string[] | 'answered' | ErrorCode;
}

const { token, batch } = admissions;
const renewal = admissions.certificate;
const inserted = ['insert-device', 'use-token', 'claim-key', 'insert-certificate'];
const letInAnew = ['update-device admits', 'use-token', 'claim-key', 'insert-certificate'];
const signed = ['insert-device', 'take-quota', 'claim-key', 'insert-certificate'];
const signedAnew = ['update-device admits', 'take-quota', 'claim-key', 'insert-certificate'];
const exhausted = { ...token, refusal: refusal('TOKEN_EXHAUSTED') };
const tooOften = { refusal: refusal('RENEWAL_LIMIT') };
const revokedAlone = { current: { ...current, state: 'revoked' } } as const;

const table: Record<string, readonly Row[]> = {
  'an unknown id': [
    { state: 'unknown', key: 'free', by: token, then: inserted },
    { state: 'unknown', key: 'free', by: exhausted, then: 'TOKEN_EXHAUSTED' },
    { state: 'unknown', key: 'free', by: batch, then: signed },
  ],
  'a registered or decommissioned device': (['registered', 'decommissioned'] as const).flatMap(
    (state): Row[] => [
      { state, key: 'free', by: token, then: letInAnew },
      { state, key: 'another’s', by: token, then: 'CSR_KEY_IN_USE' },
      { state, key: 'earlier', by: token, then: 'CSR_KEY_IN_USE' },
      { state, key: 'free', by: exhausted, then: 'TOKEN_EXHAUSTED' },
      { state, key: 'free', by: batch, then: signedAnew },
      { state, key: 'earlier', by: batch, then: 'CSR_KEY_IN_USE' },
      { state, key: 'free', by: { ...batch, ...ofOther }, then: signedAnew },
    ],
  ),
  'a suspended or revoked device': (['suspended', 'revoked'] as const).flatMap((state): Row[] =>
    [token, exhausted, batch, rework, renewal].flatMap((by): Row[] =>
      (['current', 'earlier', 'free', 'another’s'] as const).map((key) => ({
        ...{ state, key, by, then: 'DEVICE_STATE_FORBIDS' },
      })),
    ),
  ),
  'an active device, by a token': [
    { state: 'active', key: 'current', by: token, then: 'answered' },
    { state: 'active', key: 'current', by: exhausted, then: 'answered' },
    { state: 'active', key: 'current', by: { ...token, ...ofOther }, then: 'DEVICE_EXISTS' },
    { state: 'active', key: 'current', by: token, stands: revokedAlone, then: 'DEVICE_EXISTS' },
    { state: 'active', key: 'free', by: token, then: 'DEVICE_EXISTS' },
    { state: 'active', key: 'earlier', by: token, then: 'DEVICE_EXISTS' },
    { state: 'active', key: 'another’s', by: token, then: 'DEVICE_EXISTS' },
  ],
  'an active device, by a batch': [
    { state: 'active', key: 'current', by: batch, then: 'answered' },
    { state: 'active', key: 'free', by: batch, then: 'DEVICE_EXISTS' },
    { state: 'active', key: 'current', by: { ...batch, ...ofOther }, then: 'DEVICE_EXISTS' },
    { state: 'active', key: 'current', by: rework, then: 'answered' },
    { state: 'active', key: 'earlier', by: rework, then: 'CSR_KEY_IN_USE' },
    { state: 'active', key: 'another’s', by: rework, then: 'CSR_KEY_IN_USE' },
    { state: 'active', key: 'current', by: rework, stands: revokedAlone, then: 'CSR_KEY_IN_USE' },
    {
      ...{ state: 'active', key: 'free', by: rework, stands: { ending: [current, older] } },
      then: [...signedAnew, 'revoke-certificate 1', 'revoke-certificate 2'],
    },
  ],
  'an active device whose authority the root revoked, with the key it has': [
    {
      ...{ state: 'active', key: 'current', by: token, stands: { isOrphaned: true } },
      then: [...letInAnew, 'supersede-certificate'],
    },
    {
      ...{ state: 'active', key: 'current', by: exhausted, stands: { isOrphaned: true } },
      then: 'TOKEN_EXHAUSTED',
    },
    {
      ...{ state: 'active', key: 'current', by: batch },
      stands: { isOrphaned: true, ending: [current] },
      then: [...signedAnew, 'revoke-certificate 1'],
    },
  ],
  'an active device, by its newest certificate': [
    {
      ...{ state: 'active', key: 'current', by: renewal },
      then: ['update-device', 'insert-certificate', 'supersede-certificate unless revoked'],
    },
    ...(['free', 'earlier'] as const).map((key): Row => ({
      ...{ state: 'active', key, by: renewal },
      then: [
        ...['update-device', 'claim-key', 'insert-certificate'],
        'supersede-certificate unless revoked',
      ],
    })),
    { state: 'active', key: 'free', by: { ...renewal, ...tooOften }, then: 'RENEWAL_LIMIT' },
  ],
  'an active device, by a certificate that was superseded': [
    // Its answer was lost: the successor has the key that is asked for.
    { state: 'active', key: 'current', by: { ...superseded, knows: true }, then: 'answered' },
    {
      ...{ state: 'active', key: 'current', by: { ...superseded, ...tooOften, knows: true } },
      then: 'answered',
    },
    // The successor was used.
    {
      ...{ state: 'active', key: 'free' },
      by: { ...superseded, knows: true, refusal: refusal('CERTIFICATE_NOT_ACCEPTED') },
      then: 'CERTIFICATE_NOT_ACCEPTED',
    },
    // Nobody used the successor, which ends.
    {
      ...{ state: 'active', key: 'free' },
      by: {
        ...{ ...superseded, knows: true },
        besides: {
          writes: [
            {
              op: 'revoke-certificate',
              serial: current.serial,
              at: now,
              reason: 'superseded',
              entry: 1,
            },
          ],
          entries: [],
        },
      },
      then: [
        ...['update-device', 'claim-key', 'insert-certificate'],
        ...['supersede-certificate unless revoked', 'supersede-certificate'],
        'revoke-certificate 1',
      ],
    },
    // It was revoked by itself.
    {
      ...{ state: 'active', key: 'free', by: { ...superseded, knows: true }, stands: revokedAlone },
      then: [
        ...['update-device', 'claim-key', 'insert-certificate'],
        ...['supersede-certificate unless revoked', 'supersede-certificate'],
      ],
    },
  ],
};

const issued = (key: Key): IssuedCertificate => ({
  ...{ authority: 'issuing-1', serial: serial(7), der: new Uint8Array([7]) },
  ...{ notBefore: now, notAfter: 9000, spkiSha256: sha(key) },
});

/** A write in a word or two: what tells it from another of its kind. */
function wordOf(write: Write): string {
  const more =
    write.op === 'update-device' && write.admits === true
      ? ' admits'
      : write.op === 'supersede-certificate' && write.unlessRevoked === true
        ? ' unless revoked'
        : write.op === 'revoke-certificate'
          ? ` ${String(write.entry)}`
          : '';
  return `${write.op}${more}`;
}

const nameOf = ({ by }: Row): string =>
  [
    by.asked === undefined ? Object.keys(by.noted)[0] : 'certificate',
    ...(by.refusal === undefined ? [] : [by.refusal.error.code]),
    ...(by.knows ? ['known'] : []),
    by.otherKey,
  ].join(', ');

describe.each(Object.entries(table))('%s', (_title, rows) => {
  it.each(rows.map((row) => [row.state, row.key, nameOf(row), String(row.then), row] as const))(
    '%s, with the key %s, by %s: %s',
    (_state, key, _by, _then, row) => {
      const decision = decideRow(row);
      if (decision.verdict === 'refused') {
        expect(decision.error.code).toBe(row.then);
        return;
      }
      if (decision.verdict === 'answered') {
        expect(row.then).toBe('answered');
        expect(decision.certificate).toBe(current);
        return;
      }
      const work = decision.work(issued(key));
      const { unit } = work;
      expect(unit.writes.map(wordOf)).toEqual(row.then);
      // Each certificate that ends names the entry that says so.
      for (const write of unit.writes) {
        if (write.op !== 'revoke-certificate' || row.by.asked !== undefined) continue;
        expect(unit.entries[write.entry ?? 0]?.data).toMatchObject({
          kind: 'certificate-revoked',
          serial: write.serial,
        });
      }
      const renews = row.by.asked !== undefined;
      expect(unit.entries[0]?.data).toMatchObject({
        kind:
          row.state === 'unknown'
            ? 'device-enrolled'
            : renews
              ? 'device-renewed'
              : 'device-reissued',
        ...{ device: 'd1', state: 'active', serial: serial(7), ...row.by.noted },
      });
      expect(work.holderAfter(77).device).toMatchObject({
        ...{ id: 'd1', state: 'active', serial: serial(7), notAfter: 9000, entry: 77 },
        admission: renews ? 9 : 77,
        version: row.state === 'unknown' ? 1 : 5,
        predecessor: row.by.asked?.serial ?? null,
      });
      expect(decision.request).toMatchObject({ id: 'd1', profile: deviceProfile.name, now });
    },
  );
});

it('says of an id that differs in case alone what whoever asked may do', () => {
  const decision = decideRow({ state: 'unknown', key: 'free', by: token, then: [] });
  if (decision.verdict !== 'issue') throw new Error('refused');
  const failure = { ok: false, code: 'DEVICE_EXISTS', writeIndex: 0 } as const;
  expect(decision.explain({ ...failure, context: { inOtherCase: 'D1' } }).detail).toMatch(
    /capital and small letters/,
  );
  expect(decision.explain({ ...failure, context: {} }).detail).toBe('in the words of the test');
});
