// Enrollment: a CSR and a token become a device with a certificate, in one unit of work.
import type { Role } from '@keyline/access';
import { KeylineError, parseDeviceId, type DeviceId } from '@keyline/kernel';
import { parseCsr, type Csr, type IssuedCertificate } from '@keyline/pki';
import {
  assertNotInOtherCase,
  getEntry,
  getTypeDetails,
  idRuleOf,
  type FailedCommit,
  type FleetContext,
} from './context.ts';
import { matchesGlob } from './glob.ts';
import type { LedgerEntry } from '@keyline/ledger';
import type { Certificate, Device, EnrollmentToken, NewCertificate, NewDevice } from './model.ts';
import type { Write } from './ports.ts';

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

export interface Enrolled {
  readonly device: Device;
  readonly certificate: Certificate;
  readonly role: Role;
  /** The entry the answer stands on. */
  readonly entry: Pick<LedgerEntry, 'seq' | 'at'>;
  /** False when an earlier enrollment was answered again. */
  readonly created: boolean;
}

/**
 * The id a CSR is for: the one asked for, which the CSR's CN must not contradict, else the CN.
 * @throws {KeylineError} DEVICE_ID_INVALID, CSR_SUBJECT_MISMATCH
 */
export function resolveDeviceId(asked: string | undefined, csr: Csr): DeviceId {
  if (asked === undefined) {
    if (csr.commonName === undefined) {
      throw new KeylineError(
        'DEVICE_ID_INVALID',
        'There is no device id: send "id", or a CSR whose subject has a CN.',
      );
    }
    return parseDeviceId(csr.commonName);
  }
  if (csr.commonName !== undefined && csr.commonName !== asked) {
    throw new KeylineError(
      'CSR_SUBJECT_MISMATCH',
      `The request is for "${asked}" but the CSR's CN is "${csr.commonName.slice(0, 80)}". Make them equal, or leave the CN out of the CSR.`,
    );
  }
  return parseDeviceId(asked);
}

/** The rows of a certificate issued to a device or service. */
export function certificateRow(
  issued: IssuedCertificate,
  holder: { owner: string; profile: string; kind: Certificate['kind'] },
): NewCertificate {
  return {
    serial: issued.serial,
    kind: holder.kind,
    owner: holder.owner,
    profile: holder.profile,
    authority: issued.authority,
    notBefore: issued.notBefore,
    notAfter: issued.notAfter,
    spkiSha256: issued.spkiSha256,
    der: issued.der,
    crlShard: issued.crlShard ?? null,
    state: 'active',
    revokedAt: null,
    reason: null,
  };
}

/**
 * @throws {KeylineError} CSR_*, TOKEN_*, DEVICE_ID_INVALID, DEVICE_EXISTS, DEVICE_STATE_FORBIDS, CSR_KEY_IN_USE, VALIDITY_NOT_ALLOWED
 */
export async function enroll(context: FleetContext, command: EnrollCommand): Promise<Enrolled> {
  const now = context.clock.now();
  const token = await context.store.findTokenByHash(command.tokenHash);
  if (token === undefined || token.revokedAt !== null) throw tokenInvalid();
  const csr = parseCsr(command.csr);
  const id = resolveDeviceId(command.id, csr);
  assertTokenAdmits(token, id, now);
  const { type, role, profile } = getTypeDetails(context, token.type);

  const earlier = await context.store.findDevice(id);
  const orphaned = earlier && (await findOrphaned(context, earlier, csr));
  if (
    earlier !== undefined &&
    orphaned === undefined &&
    earlier.state !== 'decommissioned' &&
    earlier.state !== 'registered'
  ) {
    return answerAgain(context, { device: earlier, csr, token, role });
  }
  if (token.uses >= token.maxUses) throw tokenExhausted(token);
  if (earlier !== undefined && orphaned === undefined) await assertKeyIsNew(context, earlier, csr);

  const issued = await context.issuer.issue({
    profile: profile.name,
    id,
    type: type.name,
    labels: token.labels,
    spkiDer: csr.spkiDer,
    algorithm: csr.algorithm,
    now,
    validity: command.validity,
  });
  const certificate = certificateRow(issued, {
    owner: id,
    profile: profile.name,
    kind: 'device',
  });
  const device: NewDevice = {
    id,
    type: type.name,
    batch: null,
    labels: token.labels,
    state: 'active',
    version: earlier === undefined ? 1 : earlier.version + 1,
    createdAt: earlier?.createdAt ?? now,
    updatedAt: now,
    serial: issued.serial,
    notAfter: issued.notAfter,
    predecessor: null,
  };
  const deviceWrite: Write =
    earlier === undefined
      ? { op: 'insert-device', device, ...idRuleOf(context) }
      : {
          op: 'update-device',
          id,
          expectVersion: earlier.version,
          at: now,
          state: 'active',
          serial: issued.serial,
          notAfter: issued.notAfter,
          admits: true,
          type: type.name,
          batch: null,
          labels: token.labels,
        };
  const result = await context.store.commit({
    writes: [
      // The device first: when the same request comes twice at once, the second meets the device, not a token that is used up.
      deviceWrite,
      { op: 'use-token', id: token.id, at: now },
      { op: 'claim-key', spkiSha256: issued.spkiSha256, owner: id },
      { op: 'insert-certificate', certificate },
      ...(orphaned === undefined
        ? []
        : [{ op: 'supersede-certificate', serial: orphaned.serial } as const]),
    ],
    entries: [
      {
        at: now,
        actor: `token:${token.id}`,
        address: command.address,
        data: {
          kind: earlier === undefined ? 'device-enrolled' : 'device-reissued',
          device: id,
          type: type.name,
          state: 'active',
          role: role.name,
          serial: issued.serial,
          notAfter: issued.notAfter,
          token: token.id,
        },
      },
    ],
  });
  if (result.ok) {
    const [entry] = result.entries;
    if (entry === undefined)
      throw new KeylineError('INTERNAL', 'An enrollment had no ledger entry.');
    return {
      device: { ...device, entry: entry.seq, admission: entry.seq },
      certificate: { ...certificate, entry: entry.seq },
      role,
      entry,
      created: true,
    };
  }
  assertNotInOtherCase(result, id);
  // Lost a race against the same request: what stands now decides.
  if (result.code === 'DEVICE_EXISTS' || result.code === 'DEVICE_CHANGED') {
    const device = await context.store.findDevice(id);
    if (device !== undefined) return answerAgain(context, { device, csr, token, role });
  }
  throw enrollFailure(result, id, token);
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

/**
 * A retry of an enrollment that was answered but whose answer was lost: the same key and the same token give the same certificate.
 * Anything else meets a device that exists.
 */
async function answerAgain(
  context: FleetContext,
  given: { device: Device; csr: Csr; token: EnrollmentToken; role: Role },
): Promise<Enrolled> {
  const { device, csr, token, role } = given;
  if (device.state === 'active' && device.serial !== null && device.admission !== null) {
    const [admission] = await context.store.readEntries(device.admission - 1, 1);
    const isSame =
      admission !== undefined && 'token' in admission.data && admission.data.token === token.id;
    const certificate = await context.store.findCertificate(device.serial);
    if (isSame && certificate?.state === 'active' && certificate.spkiSha256 === csr.spkiSha256) {
      const entry = await getEntry(context.store, { name: device.id, entry: certificate.entry });
      return { device, certificate, role, entry, created: false };
    }
  }
  if (device.state === 'revoked' || device.state === 'suspended') {
    throw new KeylineError(
      'DEVICE_STATE_FORBIDS',
      `The device "${device.id}" is ${device.state}. An operator can ${
        device.state === 'suspended'
          ? 'resume it'
          : 'decommission it, then it may enroll with a new key'
      }.`,
    );
  }
  throw new KeylineError(
    'DEVICE_EXISTS',
    `The device "${device.id}" is enrolled already. Renew with its certificate (POST /v1/renew); if its key is lost, an operator can revoke and decommission it first.`,
  );
}

/**
 * The certificate of an active device whose authority the root revoked: it is good for nothing, and can't renew. With the key it has and a
 * token the device enrolls anew, without anybody's help; with another key it is DEVICE_EXISTS like any other.
 */
export async function findOrphaned(
  { store }: FleetContext,
  { state, serial }: Device,
  csr: Csr,
): Promise<Certificate | undefined> {
  if (state !== 'active' || serial === null) return undefined;
  const certificate = await store.findCertificate(serial);
  if (certificate?.state !== 'active' || certificate.spkiSha256 !== csr.spkiSha256) {
    return undefined;
  }
  const authorities = await store.listAuthorities();
  const issuer = authorities.find(({ id }) => id === certificate.authority);
  return issuer?.state === 'revoked' ? certificate : undefined;
}

/** A decommissioned device comes back only with a key it never had. */
async function assertKeyIsNew(context: FleetContext, device: Device, csr: Csr): Promise<void> {
  const earlier = await context.store.listCertificatesOf(device.id);
  if (earlier.some(({ spkiSha256 }) => spkiSha256 === csr.spkiSha256)) {
    throw new KeylineError(
      'CSR_KEY_IN_USE',
      `The key was used before by "${device.id}", which was decommissioned since. Make a new key pair.`,
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

function enrollFailure(failure: FailedCommit, id: DeviceId, token: EnrollmentToken): KeylineError {
  switch (failure.code) {
    case 'TOKEN_EXHAUSTED':
      return tokenExhausted(token);
    case 'TOKEN_INVALID':
      return tokenInvalid();
    case 'CSR_KEY_IN_USE':
      return keyInUse(id);
    default:
      return new KeylineError(
        failure.code,
        `"${id}" could not be enrolled just now; send the same request again.`,
        { context: failure.context },
      );
  }
}

/** Says nothing of the other device: the caller may not know its name. */
export function keyInUse(id: string): KeylineError {
  return new KeylineError(
    'CSR_KEY_IN_USE',
    `The key in the CSR for "${id}" belongs to another identity already. Every device needs a key pair of its own; operators find the owner in the log.`,
  );
}
