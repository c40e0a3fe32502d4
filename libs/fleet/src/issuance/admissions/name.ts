// Let in by an operator's word under a name that is not a device's: servers, services, operators, stations, and the service itself.
import { KeylineError } from '@keyline/kernel';
import { parseCsr, type Profile } from '@keyline/pki';
import { entryBy, type Caller } from '../../caller.ts';
import type { FleetContext } from '../../context.ts';
import type { Certificate } from '../../model.ts';
import type { Admission, Decision, ProvedKey } from '../admission.ts';
import { certificateRow } from '../certificate-row.ts';
import { keyInUse, nameOwner } from '../device-id.ts';
import { issue } from '../issue.ts';

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
export function isReserved(given: string): boolean {
  // RFC 5280 §7.1: names that differ in case alone are one name.
  const name = given.toLowerCase();
  return name === brokerAdminName || name === 'api@keyline' || /^ocsp\..*@keyline$/.test(name);
}

/** @throws {KeylineError} PROFILE_UNKNOWN, PROFILE_VIOLATION (also for a name without an "@"), CSR_*, VALIDITY_NOT_ALLOWED */
export async function issueCertificate(
  context: FleetContext,
  command: IssueCertificateCommand,
): Promise<Certificate> {
  const profile = getProfile(context, command);
  const key = parseCsr(command.csr, { maxBytes: context.csrBytes });
  try {
    const { certificate } = await issue(context, admitByName({ command, profile, key }));
    return certificate;
  } catch (error) {
    throw nameOwner(error, command.caller);
  }
}

interface NameCase {
  readonly command: IssueCertificateCommand;
  readonly profile: Profile;
  readonly key: ProvedKey;
}

/** A name may have any number of certificates, so nothing that stands decides; the commit asks whose the key is. */
function admitByName(given: NameCase): Admission<NameCase, object> {
  return { read: () => Promise.resolve(given), decide };
}

function decide({ command, profile, key }: NameCase, now: number): Decision<object> {
  const { name, caller, evenIfRevoked } = command;
  return {
    verdict: 'issue',
    request: {
      profile: profile.name,
      id: name,
      dnsNames: command.dnsNames,
      ipAddresses: command.ipAddresses,
      spkiDer: key.spkiDer,
      algorithm: key.algorithm,
      now,
      validity: command.validity,
    },
    work(issued) {
      const { serial, notAfter, spkiSha256 } = issued;
      const { kind } = profile;
      const certificate = certificateRow(issued, { owner: name, profile: profile.name, kind });
      return {
        certificate,
        unit: {
          writes: [
            { op: 'claim-key', spkiSha256, owner: name },
            { op: 'insert-certificate', certificate, evenIfRevoked: evenIfRevoked === true },
          ],
          entries: [
            {
              at: now,
              ...entryBy(caller),
              data: {
                kind: 'certificate-issued',
                owner: name,
                profile: profile.name,
                serial,
                notAfter,
              },
            },
          ],
        },
        holderAfter: () => ({}),
      };
    },
    explain: ({ code, context }) =>
      code === 'CSR_KEY_IN_USE'
        ? keyInUse(name, context['owner'])
        : new KeylineError(code, `"${name}" could not be issued; send it again.`),
  };
}

/** The profile under which the name may have a certificate. @throws {KeylineError} PROFILE_UNKNOWN, PROFILE_VIOLATION */
function getProfile(
  { profiles }: Pick<FleetContext, 'profiles'>,
  { profile: wanted, name, caller }: IssueCertificateCommand,
): Profile {
  const profile = profiles.get(wanted);
  if (profile === undefined) {
    throw new KeylineError(
      'PROFILE_UNKNOWN',
      `There is no profile "${wanted}". Known: ${[...profiles.keys()].join(', ')}.`,
    );
  }
  if (profile.kind === 'device') {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${wanted}" is a profile for devices. Devices enroll with a token (POST /v1/enroll) or are signed in a batch.`,
    );
  }
  // No device id has one, so nothing that is not a device can ever be taken for one, by a broker or in a search.
  if (!name.includes('@')) {
    if (profile.kind === 'service') {
      throw new KeylineError(
        'PROFILE_VIOLATION',
        `"${name}" is no name for a certificate alone. A service that brokers let in is made with its role: keyline service create ${name} --role ROLE (POST /v1/services).`,
      );
    }
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${name}" could be the id of a device. Names of servers, services, operators and stations carry an "@", for instance ${name}@factory.`,
    );
  }
  if (caller !== 'keyline' && isReserved(name)) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `"${name}" is a name of the service itself, which makes its own certificates. Choose another.`,
    );
  }
  return profile;
}
