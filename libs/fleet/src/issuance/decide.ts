// The table by which a device gets a certificate; docs/decisions/0014-one-way-in.md shows it. Pure: everything was read before.
import { identityKindOf } from '@keyline/access';
import { KeylineError } from '@keyline/kernel';
import type { IssuedCertificate } from '@keyline/pki';
import { inOtherCase, type FailedCommit } from '../context.ts';
import type { Device, NewDevice } from '../model.ts';
import type { UnitOfWork, Write } from '../ports.ts';
import type {
  Admitted,
  Decision,
  DeviceCase,
  DeviceHolder,
  ProvedKey,
  Refusal,
  Standing,
  Work,
} from './admission.ts';
import { certificateRow } from './certificate-row.ts';
import { keyInUse } from './device-id.ts';

/** @param now epoch milliseconds */
export function decide(given: DeviceCase, now: number): Decision<DeviceHolder> {
  const { admitted, standing } = given;
  const { words, key } = admitted;
  const { device, current } = standing;
  if (device === undefined) return admitted.refusal ?? issue(given, now);
  const kind = identityKindOf(device.type);
  if (kind !== identityKindOf(admitted.details.type.name)) return refuse(isOfAnotherKind(device));
  switch (device.state) {
    case 'suspended':
    case 'revoked':
      return refuse(words.stateForbids(device));
    case 'registered':
    case 'decommissioned':
      return issueUnlessHeld(given, device, now);
    case 'active':
      if (standing.isOrphaned) return admitted.refusal ?? issue(given, now);
      if (current !== undefined && isAnsweredAgain(admitted, standing, key)) {
        return {
          verdict: 'answered',
          holder: { device, role: admitted.details.role },
          certificate: current,
        };
      }
      if (admitted.otherKey === 'refuse') return refuse(words.exists(device));
      return issueUnlessHeld(given, device, now);
  }
}

/** Devices and services share their names, so that a broker takes none for another; what a name is it stays, whatever becomes of it. */
function isOfAnotherKind({ id, type }: Device): KeylineError {
  const kind = identityKindOf(type);
  return new KeylineError(
    'DEVICE_EXISTS',
    `"${id}" is the name of a ${kind} already, and a name stays what it is. Choose another.`,
  );
}

function issueUnlessHeld(given: DeviceCase, device: Device, now: number): Decision<DeviceHolder> {
  const { admitted, standing } = given;
  const { keyOwner } = standing;
  if (admitted.refusal !== undefined) return admitted.refusal;
  // The commit asks again; where it is known already, nothing is signed for it.
  if (keyOwner !== undefined && keyOwner !== device.id)
    return refuse(keyInUse(device.id, keyOwner));
  // Whoever renews may go on with any key of its own; whoever is let in anew needs one that it never had.
  const hadKey = keyOwner === device.id && admitted.asked === undefined;
  return hadKey ? refuse(admitted.words.keyWasHeld(device)) : issue(given, now);
}

/** Whether nothing new is issued, because the certificate that stands is the one that was asked for. */
export function isAnsweredAgain(
  { knows }: Pick<Admitted, 'knows'>,
  { device, current, isOrphaned }: Standing,
  key: Pick<ProvedKey, 'spkiSha256'>,
): boolean {
  return (
    knows &&
    !isOrphaned &&
    device?.state === 'active' &&
    current?.state === 'active' &&
    current.spkiSha256 === key.spkiSha256
  );
}

function refuse(error: Refusal['error']): Refusal {
  return { verdict: 'refused', error };
}

function issue(given: DeviceCase, now: number): Decision<DeviceHolder> {
  const { id, key, validity, details, batch, labels, words } = given.admitted;
  return {
    verdict: 'issue',
    request: {
      profile: details.profile.name,
      id,
      type: details.type.name,
      batch: batch ?? undefined,
      labels,
      spkiDer: key.spkiDer,
      algorithm: key.algorithm,
      now,
      validity,
    },
    work: (issued) => workOf(given, issued, now),
    explain: (failure: FailedCommit) => inOtherCase(failure, id) ?? words.explain(failure),
  };
}

function workOf(
  { admitted, standing, distinctIgnoringCase }: DeviceCase,
  issued: IssuedCertificate,
  now: number,
): Work<DeviceHolder> {
  const { id, details, by, besides, conditions } = admitted;
  const { role } = details;
  const before = standing.device;
  const certificate = certificateRow(issued, {
    owner: id,
    profile: details.profile.name,
    kind: details.profile.kind,
  });
  const device = deviceAfter(admitted, before, issued, now);
  const ended = endOf(admitted, standing, now);
  const unit: UnitOfWork = {
    writes: [
      // The device first: when the same request comes twice at once, the second meets the device, not a token or quota that is used up.
      before === undefined
        ? { op: 'insert-device', device, distinctIgnoringCase }
        : updateOf(admitted, before, device),
      ...conditions,
      // A key it renews by is its own already.
      ...(admitted.asked?.spkiSha256 === issued.spkiSha256
        ? []
        : [{ op: 'claim-key', spkiSha256: issued.spkiSha256, owner: id } as const]),
      { op: 'insert-certificate', certificate },
      ...ended.writes,
      ...(besides?.writes ?? []),
    ],
    entries: [
      {
        at: now,
        ...by,
        data: {
          kind:
            before === undefined
              ? 'device-enrolled'
              : admitted.asked === undefined
                ? 'device-reissued'
                : 'device-renewed',
          device: id,
          type: details.type.name,
          state: 'active',
          role: role.name,
          serial: issued.serial,
          notAfter: issued.notAfter,
          ...admitted.noted,
        },
      },
      ...ended.entries,
      ...(besides?.entries ?? []),
    ],
  };
  return {
    unit,
    certificate,
    holderAfter(entry) {
      const admission = admitted.asked === undefined ? entry : (before?.admission ?? null);
      return { device: { ...device, entry, admission }, role };
    },
  };
}

function deviceAfter(
  { id, details, batch, labels, asked }: Admitted,
  before: Device | undefined,
  { serial, notAfter }: IssuedCertificate,
  now: number,
): NewDevice {
  return {
    id,
    type: details.type.name,
    batch,
    labels,
    state: 'active',
    version: before === undefined ? 1 : before.version + 1,
    createdAt: before?.createdAt ?? now,
    updatedAt: now,
    serial,
    notAfter,
    // The one the device has for certain.
    predecessor: asked?.serial ?? null,
  };
}

function updateOf({ asked }: Admitted, before: Device, device: NewDevice): Write {
  const { id, state, serial, notAfter, type, batch, labels, updatedAt } = device;
  return {
    op: 'update-device',
    id,
    expectVersion: before.version,
    at: updatedAt,
    state,
    serial,
    notAfter,
    // One that renews stays what it is.
    ...(asked === undefined
      ? { admits: true, type, batch, labels }
      : { predecessor: asked.serial }),
  };
}

/** What becomes of the certificates that the device had. */
function endOf({ id, asked, before, by }: Admitted, standing: Standing, now: number): UnitOfWork {
  const { device, ending } = standing;
  if (before === 'end') {
    return {
      writes: ending.map(
        ({ serial }, n) =>
          ({
            op: 'revoke-certificate',
            serial,
            at: now,
            reason: 'superseded',
            entry: 1 + n,
          }) as const,
      ),
      entries: ending.map(({ serial }) => ({
        at: now,
        ...by,
        data: { kind: 'certificate-revoked', owner: id, serial, reason: 'superseded' } as const,
      })),
    };
  }
  // The old one stays valid until it ends, or its successor is used: a device that loses this answer is not stranded.
  const writes: Write[] = [];
  if (asked !== undefined) {
    writes.push({ op: 'supersede-certificate', serial: asked.serial, unlessRevoked: true });
  }
  if (device?.state === 'active' && device.serial !== null && device.serial !== asked?.serial) {
    writes.push({ op: 'supersede-certificate', serial: device.serial });
  }
  return { writes, entries: [] };
}
