// Certificates that are not a device's (servers, services, operators, stations), and revocation of one certificate.
import { KeylineError, type SerialHex } from '@keyline/kernel';
import { parseCsr, type RevocationReason } from '@keyline/pki';
import { entryBy, type Caller } from './caller.ts';
import { commitOrThrow, getEntry, type FleetContext } from './context.ts';
import { certificateRow, keyInUse } from './enroll.ts';
import type { Certificate } from './model.ts';

export interface IssueCertificateCommand {
  /** `keyline` for the service's own certificates. */
  readonly caller: Caller | 'keyline';
  readonly profile: string;
  readonly name: string;
  readonly csr: string | Uint8Array;
  readonly dnsNames?: readonly string[] | undefined;
  readonly ipAddresses?: readonly string[] | undefined;
  readonly validity?: number | undefined;
  /** For what the service itself needs of a revoked authority. */
  readonly evenIfRevoked?: boolean;
}

/** CN of the certificate with which the service administers brokers. */
export const brokerAdminName = 'keyline@service';

/** Names under which the service alone gets certificates: a second holder could be taken for it. */
function isReserved(name: string): boolean {
  return name === brokerAdminName || name === 'api@keyline' || /^ocsp\..*@keyline$/.test(name);
}

/** @throws {KeylineError} PROFILE_UNKNOWN, PROFILE_VIOLATION (also for a name without an "@"), CSR_*, VALIDITY_NOT_ALLOWED */
export async function issueCertificate(
  context: FleetContext,
  command: IssueCertificateCommand,
): Promise<Certificate> {
  const profile = context.profiles.get(command.profile);
  if (profile === undefined) {
    throw new KeylineError(
      'PROFILE_UNKNOWN',
      `There is no profile "${command.profile}". Known: ${[...context.profiles.keys()].join(', ')}.`,
    );
  }
  if (profile.kind === 'device') {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${command.profile}" is a profile for devices. Devices enroll with a token (POST /v1/enroll) or are signed in a batch.`,
    );
  }
  // No device id has one, so nothing that is not a device can ever be taken for one, by a broker or in a search.
  if (!command.name.includes('@')) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${command.name}" could be the id of a device. Names of servers, services, operators and stations carry an "@", for instance ${command.name}@factory.`,
    );
  }
  if (command.caller !== 'keyline' && isReserved(command.name)) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${command.name}" is a name of the service itself, which makes its own certificates. Choose another.`,
    );
  }
  const now = context.clock.now();
  const csr = parseCsr(command.csr);
  const issued = await context.issuer.issue({
    profile: profile.name,
    id: command.name,
    dnsNames: command.dnsNames,
    ipAddresses: command.ipAddresses,
    spkiDer: csr.spkiDer,
    algorithm: csr.algorithm,
    now,
    validity: command.validity,
  });
  const certificate = certificateRow(issued, {
    owner: command.name,
    profile: profile.name,
    kind: profile.kind,
  });
  const { seq } = await commitOrThrow(
    context,
    {
      writes: [
        { op: 'claim-key', spkiSha256: issued.spkiSha256, owner: command.name },
        {
          op: 'insert-certificate',
          certificate,
          evenIfRevoked: command.evenIfRevoked === true,
        },
      ],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: {
            kind: 'certificate-issued',
            owner: command.name,
            profile: profile.name,
            serial: issued.serial,
            notAfter: issued.notAfter,
          },
        },
      ],
    },
    (failure) =>
      failure.code === 'CSR_KEY_IN_USE'
        ? keyInUse(command.name)
        : new KeylineError(failure.code, `"${command.name}" could not be issued; send it again.`),
  );
  return { ...certificate, entry: seq };
}

export interface CertificateRevoked {
  readonly certificate: Certificate;
  readonly entry: { readonly seq: number; readonly at: number };
}

/** Kinds whose certificates an operator may revoke; all others, and Keyline's own, take an administrator. */
const revokedByOperators: readonly Certificate['kind'][] = ['device', 'service', 'station'];

/** Whoever revokes these stops the service, the broker, or those who could undo it. */
function isOfKeyline(owner: string): boolean {
  return owner === brokerAdminName || owner.endsWith('@keyline');
}

function assertMayRevoke({ role, name }: Caller, { kind, owner, serial }: Certificate): void {
  if (role === 'admin') return;
  if (role === 'operator' && revokedByOperators.includes(kind) && !isOfKeyline(owner)) return;
  throw new KeylineError(
    'FORBIDDEN',
    `Only an administrator may revoke ${serial}, a certificate of "${owner}" (${kind}); "${name}" is ${role}. Operators revoke those of devices, services and stations.`,
  );
}

/** Idempotent. @throws {KeylineError} CERTIFICATE_NOT_FOUND, FORBIDDEN, REQUEST_INVALID for a hold */
export async function revokeCertificate(
  context: FleetContext,
  command: {
    readonly caller: Caller;
    readonly serial: SerialHex;
    readonly reason?: RevocationReason | undefined;
  },
): Promise<CertificateRevoked> {
  const now = context.clock.now();
  const reason = command.reason ?? 'unspecified';
  const certificate = await getCertificate(context, command.serial);
  const { serial, owner } = certificate;
  assertMayRevoke(command.caller, certificate);
  if (reason === 'certificateHold') {
    // Brokers refuse a serial for good or not at all: said of one, it would be done nowhere but in the CRL.
    throw new KeylineError(
      'REQUEST_INVALID',
      `A hold is for a device, not for one certificate: suspend it (keyline device suspend ${owner}). For good, revoke ${serial} with another reason.`,
    );
  }
  // A hold is not for good: resuming the device would lift it.
  const held = certificate.reason === 'certificateHold';
  if (certificate.state !== 'revoked' || held) {
    const result = await context.store.commit({
      writes: [
        ...(held ? [{ op: 'unhold-certificate', serial } as const] : []),
        { op: 'revoke-certificate', serial, at: now, reason },
      ],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: { kind: 'certificate-revoked', owner, serial, reason },
        },
      ],
    });
    if (result.ok && result.entries[0] !== undefined) {
      return {
        certificate: {
          ...certificate,
          state: 'revoked',
          revokedAt: now,
          reason,
          entry: result.entries[0].seq,
        },
        entry: result.entries[0],
      };
    }
  }
  const current = await getCertificate(context, serial);
  if (current.state !== 'revoked') {
    throw new KeylineError('STORE_CONFLICT', `${serial} could not be revoked; send it again.`);
  }
  const entry = await getEntry(context.store, { name: serial, entry: current.entry });
  return { certificate: current, entry };
}

/** @throws {KeylineError} CERTIFICATE_NOT_FOUND */
export async function getCertificate(
  context: FleetContext,
  serial: SerialHex,
): Promise<Certificate> {
  const certificate = await context.store.findCertificate(serial);
  if (certificate === undefined) {
    throw new KeylineError(
      'CERTIFICATE_NOT_FOUND',
      `No certificate with the serial ${serial} was issued here.`,
    );
  }
  return certificate;
}
