// Let in by an enrollment token: whoever has it may make devices of its type, with ids of its pattern, so many times.
import { KeylineError, type DeviceId } from '@keyline/kernel';
import { parseCsr, type Csr } from '@keyline/pki';
import { getTypeDetails, idRuleOf, type FailedCommit, type FleetContext } from '../../context.ts';
import { matchesGlob } from '../../glob.ts';
import type { Device, EnrollmentToken } from '../../model.ts';
import type { StoreReader } from '../../ports.ts';
import type { Admission, DeviceCase, DeviceHolder, Enrolled, Words } from '../admission.ts';
import { decide } from '../decide.ts';
import { keyInUse, resolveDeviceId } from '../device-id.ts';
import { issue } from '../issue.ts';
import { nothingStands, readStanding } from '../standing.ts';

export interface EnrollCommand {
  /** Absent: the CSR's CN. */
  readonly id?: string | undefined;
  /** PEM text or DER bytes, untrusted. */
  readonly csr: string | Uint8Array;
  /** SHA-256 of the token's secret, lower-case hex. */
  readonly tokenHash: string;
  /** Asked-for validity in milliseconds. */
  readonly validity?: number | undefined;
  /** IP address it was asked for from. */
  readonly address?: string | undefined;
}

/**
 * @throws {KeylineError} CSR_*, TOKEN_*, DEVICE_ID_INVALID, DEVICE_EXISTS, DEVICE_STATE_FORBIDS, CSR_KEY_IN_USE, VALIDITY_NOT_ALLOWED
 */
export function enroll(context: FleetContext, command: EnrollCommand): Promise<Enrolled> {
  return issue(context, admitByToken(context, command));
}

function admitByToken(
  context: FleetContext,
  command: EnrollCommand,
): Admission<DeviceCase, DeviceHolder> {
  const { validity, address } = command;
  const { distinctIgnoringCase } = idRuleOf(context);
  let csr: Csr | undefined;
  return {
    async read(store, now) {
      const token = await store.findTokenByHash(command.tokenHash);
      if (token === undefined || token.revokedAt !== null) throw tokenInvalid();
      // After the token, so that whoever has none can't have signatures verified.
      csr ??= parseCsr(command.csr, { maxBytes: context.csrBytes });
      const id = resolveDeviceId(command.id, csr);
      assertTokenAdmits(token, id, now);
      const details = getTypeDetails(context, token.type);
      const device = await store.findDevice(id);
      const { spkiSha256 } = csr;
      return {
        admitted: {
          id,
          key: csr,
          validity,
          details,
          batch: null,
          labels: token.labels,
          by: { actor: `token:${token.id}`, address },
          noted: { token: token.id },
          knows: device !== undefined && (await cameByToken(store, device, token)),
          refusal:
            token.uses < token.maxUses
              ? undefined
              : { verdict: 'refused', error: tokenExhausted(token) },
          otherKey: 'refuse',
          before: 'supersede',
          conditions: [{ op: 'use-token', id: token.id, at: now }],
          words: wordsOf(id, token),
        },
        standing:
          device === undefined
            ? nothingStands
            : await readStanding(store, device, { spkiSha256, rescues: true }),
        distinctIgnoringCase,
      };
    },
    decide,
  };
}

/** Whether a device was let in by this very token: a retry of it, whose answer was lost, gets the same certificate. */
async function cameByToken(
  store: Pick<StoreReader, 'readEntries'>,
  { state, admission }: Device,
  token: EnrollmentToken,
): Promise<boolean> {
  if (state !== 'active' || admission === null) return false;
  const [entry] = await store.readEntries(admission - 1, 1);
  return entry !== undefined && 'token' in entry.data && entry.data.token === token.id;
}

function assertTokenAdmits(token: EnrollmentToken, id: DeviceId, now: number): void {
  if (now >= token.expiresAt) {
    throw new KeylineError(
      'TOKEN_EXPIRED',
      `The enrollment token ${token.id} has expired. Ask an operator for a new one (keyline token create).`,
    );
  }
  if (token.idPattern !== null && !matchesGlob(token.idPattern, id)) {
    throw new KeylineError(
      'TOKEN_PATTERN_MISMATCH',
      `The enrollment token ${token.id} is for device ids like "${token.idPattern}", not for "${id}".`,
    );
  }
}

function tokenInvalid(): KeylineError {
  return new KeylineError(
    'TOKEN_INVALID',
    'The enrollment token is not known here, or was revoked. Check that it was copied whole; an operator can make a new one (keyline token create).',
  );
}

function tokenExhausted(token: EnrollmentToken): KeylineError {
  return new KeylineError(
    'TOKEN_EXHAUSTED',
    `The enrollment token ${token.id} was good for ${String(token.maxUses)} ${token.maxUses === 1 ? 'device' : 'devices'} and is used up. Ask an operator for a new one.`,
  );
}

function wordsOf(id: DeviceId, token: EnrollmentToken): Words {
  return {
    exists: () =>
      new KeylineError(
        'DEVICE_EXISTS',
        `The device "${id}" is enrolled already. Renew with its certificate (POST /v1/renew); if its key is lost, an operator can revoke and decommission it first.`,
      ),
    stateForbids: ({ state }) =>
      new KeylineError(
        'DEVICE_STATE_FORBIDS',
        `The device "${id}" is ${state}. An operator can ${
          state === 'suspended' ? 'resume it' : 'decommission it, then it may enroll with a new key'
        }.`,
      ),
    keyWasHeld: () =>
      new KeylineError(
        'CSR_KEY_IN_USE',
        `The key was used before by "${id}", which was decommissioned since. Make a new key pair.`,
      ),
    explain: (failure) => explain(failure, id, token),
  };
}

function explain(failure: FailedCommit, id: DeviceId, token: EnrollmentToken): KeylineError {
  switch (failure.code) {
    case 'TOKEN_EXHAUSTED':
      return tokenExhausted(token);
    case 'TOKEN_INVALID':
      return tokenInvalid();
    case 'CSR_KEY_IN_USE':
      return keyInUse(id, failure.context['owner']);
    default:
      return new KeylineError(
        failure.code,
        `"${id}" could not be enrolled just now; send the same request again.`,
        { context: failure.context },
      );
  }
}
