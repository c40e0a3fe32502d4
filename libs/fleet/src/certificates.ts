// Revocation of one certificate, whoever holds it.
import { KeylineError, type SerialHex } from '@keyline/kernel';
import type { RevocationReason } from '@keyline/pki';
import { entryBy, type Caller } from './caller.ts';
import { getEntry, type FleetContext } from './context.ts';
import { brokerAdminName } from './issuance/admissions/name.ts';
import type { Certificate } from './model.ts';

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
