// What is answered about identities, devices and services alike: one, a page of them, and one that was given a certificate.
import type { DeviceList, DeviceView, EnrollResponse } from '@keyline/api';
import { identityKindOf, type IdentityKind } from '@keyline/access';
import type {
  Caller,
  Device,
  DeviceFilter,
  Enrolled,
  FleetContext,
  Presence,
} from '@keyline/fleet';
import { formatInstant, KeylineError, parseDeviceId } from '@keyline/kernel';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { pageOf } from './page-of.ts';
import { viewPresence } from './presence-views.ts';
import type { RouteInput } from './routes/register.ts';
import type { ServiceContext } from './service-context.ts';
import { sendCertificate } from './certificate-form.ts';
import { certificatePem, optionalInstant } from './views.ts';

type DeviceQuery = RouteInput<'listDevices'>['query'];

export interface IdentityAnswers {
  readonly one: (device: Device) => Promise<DeviceView>;
  readonly page: (query: DeviceQuery, kind: IdentityKind) => Promise<DeviceList>;
  readonly enrolled: (
    enrolled: Enrolled,
    request: FastifyRequest,
    reply: FastifyReply,
    /** The broker that the request names. */
    broker?: string,
  ) => Promise<EnrollResponse | FastifyReply>;
}

export function createIdentityAnswers(service: ServiceContext): IdentityAnswers {
  const { fleet, effects, limits, presence } = service;

  async function one(device: Device): Promise<DeviceView> {
    return viewDevice(device, (await presence.of([device.id]))(device.id));
  }

  function viewDevice(device: Device, seen: Presence): DeviceView {
    return {
      id: device.id,
      kind: identityKindOf(device.type),
      type: device.type,
      role: fleet.types.get(device.type)?.role ?? null,
      batch: device.batch,
      labels: { ...device.labels },
      state: device.state,
      serial: device.serial,
      notAfter: optionalInstant(device.notAfter),
      createdAt: formatInstant(device.createdAt),
      updatedAt: formatInstant(device.updatedAt),
      presence: viewPresence(seen),
    };
  }

  async function seenAs(query: DeviceQuery): Promise<Pick<DeviceFilter, 'onlineBy' | 'notSeen'>> {
    if (query.online === undefined && query.notSeenSince === undefined) return {};
    const onlineBy = await presence.onlineBy();
    return {
      ...(query.online === undefined ? {} : { onlineBy }),
      ...(query.notSeenSince === undefined
        ? {}
        : { notSeen: { since: instantOf(query.notSeenSince), onlineBy } }),
    };
  }

  return {
    one,
    async page(query, kind) {
      const page = await fleet.store.listDevices({
        kind,
        state: query.state,
        type: query.type,
        batch: query.batch,
        label: query.label,
        q: query.q,
        expiresBefore:
          query.expiresBefore === undefined ? undefined : instantOf(query.expiresBefore),
        ...(await seenAs(query)),
        ...pageOf(query, limits),
      });
      const presenceOf = await presence.of(page.items.map(({ id }) => id));
      return {
        items: page.items.map((device) => viewDevice(device, presenceOf(device.id))),
        nextCursor: page.nextCursor,
      };
    },
    async enrolled(enrolled, request, reply, broker) {
      const { device, certificate, role, entry } = enrolled;
      if (!enrolled.created) void reply.status(200);
      const provisioned = await effects.waitForTargets(entry.seq, limits.provisionWait);
      const issued = {
        certificate: certificatePem(certificate.der),
        chain: [service.authorities.get(certificate.authority).pem],
      };
      const sent = sendCertificate({ request, reply }, issued);
      if (sent !== undefined) return sent;
      return {
        device: await one(device),
        serial: certificate.serial,
        ...issued,
        broker: service.brokers.accessOf({ device, role, named: broker }),
        provisioned,
        evidence: await effects.evidence({ entry, device: device.id }),
      };
    },
  };
}

/**
 * @param kind only of this kind; absent: of either
 * @throws {KeylineError} DEVICE_ID_INVALID, DEVICE_NOT_FOUND
 */
export async function getIdentity(
  { store }: Pick<FleetContext, 'store'>,
  text: string,
  kind?: IdentityKind,
): Promise<Device> {
  const id = parseDeviceId(text);
  const found = await store.findDevice(id);
  if (found !== undefined && (kind === undefined || identityKindOf(found.type) === kind)) {
    return found;
  }
  const what = found === undefined ? '' : ` It is the name of a ${identityKindOf(found.type)}.`;
  throw new KeylineError(
    'DEVICE_NOT_FOUND',
    `There is no ${kind ?? 'device or service'} "${id}".${what}`,
  );
}

/** Devices and services may only look at themselves. @throws {KeylineError} FORBIDDEN */
export function assertSelf(caller: Caller, id: string): void {
  if ((caller.role === 'device' || caller.role === 'service') && caller.name !== id) {
    throw new KeylineError(
      'FORBIDDEN',
      `The ${caller.role} "${caller.name}" may only read itself.`,
    );
  }
}

/** @throws {KeylineError} REQUEST_INVALID for what has the form of a time and is none here: a leap second */
export function instantOf(text: string): number {
  const instant = Date.parse(text);
  if (!Number.isNaN(instant)) return instant;
  throw new KeylineError('REQUEST_INVALID', `"${text}" is not a time that is known here.`);
}
