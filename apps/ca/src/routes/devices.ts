// Devices: enroll, renew, search, and the changes of state.
import type { DeviceView, EnrollResponse } from '@keyline/api';
import { topicsFor } from '@keyline/access';
import {
  allowRenewal,
  changeDeviceState,
  enroll,
  hashToken,
  renew,
  type Caller,
  type Device,
  type DeviceFilter,
  type Enrolled,
  type Presence,
  type StateChange,
} from '@keyline/fleet';
import {
  formatInstant,
  isKeylineError,
  KeylineError,
  parseDeviceId,
  parseDuration,
} from '@keyline/kernel';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { bearerOf } from '../authenticate.ts';
import type { RateLimits } from '../rate-limits.ts';
import { pageOf } from '../page-of.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { validityOf } from '../validity-of.ts';
import { viewPresence, viewRefusal } from '../presence-views.ts';
import { certificatePem, optionalInstant } from '../views.ts';
import { viewCertificate } from './certificates.ts';
import type { Register } from './register.ts';

export function registerDevices(
  register: Register,
  service: ServiceContext,
  rateLimits: RateLimits,
): void {
  const { fleet, effects, limits, presence } = service;
  const viewOne = async (device: Device): Promise<DeviceView> =>
    viewDevice(device, (await presence.of([device.id]))(device.id));

  async function seenAs(query: {
    readonly online?: 'true';
    readonly notSeenSince?: string;
  }): Promise<Pick<DeviceFilter, 'onlineBy' | 'notSeen'>> {
    if (query.online === undefined && query.notSeenSince === undefined) return {};
    const onlineBy = await presence.onlineBy();
    return {
      ...(query.online === undefined ? {} : { onlineBy }),
      ...(query.notSeenSince === undefined
        ? {}
        : { notSeen: { since: instantOf(query.notSeenSince), onlineBy } }),
    };
  }

  async function answerEnrolled(
    enrolled: Enrolled,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<EnrollResponse | FastifyReply> {
    const { device, certificate, role, entry } = enrolled;
    if (!enrolled.created) void reply.status(200);
    const provisioned = await effects.waitForTargets(entry.seq, limits.provisionWait);
    const accept = request.headers.accept ?? '';
    if (accept.includes('application/pkix-cert')) {
      return reply
        .header('content-type', 'application/pkix-cert')
        .send(Buffer.from(certificate.der));
    }
    return {
      device: await viewOne(device),
      serial: certificate.serial,
      certificate: certificatePem(certificate.der),
      chain: [service.authorities.get(certificate.authority).pem],
      broker: {
        url: service.brokerUrl,
        clientId: device.id,
        topics: topicsFor(role, device.id),
      },
      provisioned,
      evidence: await effects.evidence({ entry, device: device.id }),
    };
  }

  register('enroll', async ({ body, request, reply }) => {
    const input = Buffer.isBuffer(body) ? { csr: body as Buffer } : body;
    const secret = ('token' in input ? input.token : undefined) ?? bearerOf(request);
    if (secret === undefined) {
      throw new KeylineError(
        'TOKEN_INVALID',
        'There is no enrollment token: send "token" in the body, or Authorization: Bearer.',
      );
    }
    rateLimits.assertMayGuess(request, secret);
    const tokenHash = hashToken(secret);
    rateLimits.countEnrollment(tokenHash);
    try {
      const enrolled = await enroll(fleet, {
        id: 'id' in input ? input.id : undefined,
        csr: input.csr,
        tokenHash,
        validity: validityOf('validity' in input ? input.validity : undefined),
        address: request.ip,
      });
      rateLimits.proved(tokenHash);
      return await answerEnrolled(enrolled, request, reply);
    } catch (error) {
      if (isKeylineError(error) && error.code === 'TOKEN_INVALID') rateLimits.countFailure(request);
      throw error;
    }
  });

  register('renew', async ({ body, request, reply }) => {
    const caller = requireCaller(request.caller);
    const { certificate } = caller;
    if (certificate === undefined) {
      throw new KeylineError('UNAUTHENTICATED', 'Renewing takes the device certificate in TLS.');
    }
    const input = Buffer.isBuffer(body) ? { csr: body as Buffer } : body;
    const renewed = await renew(fleet, {
      caller: { ...caller, certificate },
      csr: input.csr,
      validity: validityOf('validity' in input ? input.validity : undefined),
    });
    return answerEnrolled(renewed, request, reply);
  });

  register('allowRenewal', async ({ params, body, request }) => {
    const { until } = await allowRenewal(fleet, {
      caller: requireCaller(request.caller),
      id: params.id,
      lifetime: parseDuration(body.for ?? '1d'),
    });
    return { device: params.id, until: formatInstant(until) };
  });

  register('listDevices', async ({ query }) => {
    const page = await fleet.store.listDevices({
      state: query.state,
      type: query.type,
      batch: query.batch,
      label: query.label,
      q: query.q,
      expiresBefore: query.expiresBefore === undefined ? undefined : instantOf(query.expiresBefore),
      ...(await seenAs(query)),
      ...pageOf(query, limits),
    });
    const presenceOf = await presence.of(page.items.map(({ id }) => id));
    return {
      items: page.items.map((device) => viewDevice(device, presenceOf(device.id))),
      nextCursor: page.nextCursor,
    };
  });

  register('getDevice', async ({ params, request }) => {
    const caller = requireCaller(request.caller);
    assertSelf(caller, params.id);
    return viewOne(await getDevice(params.id));
  });

  register('getDeviceHistory', async ({ params }) => {
    const device = await getDevice(params.id);
    const [entries, certificates] = await Promise.all([
      fleet.store.listEntriesOf(device.id, 500),
      fleet.store.listCertificatesOf(device.id),
    ]);
    return {
      items: entries.map(({ seq, at, actor, address, data }) => {
        const { kind, ...rest } = data;
        return {
          seq,
          at: formatInstant(at),
          actor,
          address: address ?? null,
          kind,
          data: { ...rest },
        };
      }),
      certificates: certificates.map(viewCertificate),
    };
  });

  register('listDeviceRefusals', async ({ params }) => {
    const device = await getDevice(params.id);
    const refusals = await fleet.store.listRefusalsOf(device.id);
    return { items: refusals.map(viewRefusal), nextCursor: null };
  });

  for (const [name, change] of [
    ['revokeDevice', 'revoke'],
    ['suspendDevice', 'suspend'],
    ['resumeDevice', 'resume'],
    ['decommissionDevice', 'decommission'],
  ] as const satisfies readonly (readonly [string, StateChange])[]) {
    register(name, async ({ params, body, request }) => {
      const { device, entry } = await changeDeviceState(fleet, {
        caller: requireCaller(request.caller),
        id: params.id,
        change,
        reason: body.reason,
      });
      await (body.wait === true
        ? effects.waitForAll(entry.seq, limits.effectWait, device.serial)
        : effects.waitForHealthy(entry.seq, limits.provisionWait));
      return {
        device: await viewOne(device),
        evidence: await effects.evidence({ entry, device: device.id, serial: device.serial }),
      };
    });
  }

  async function getDevice(text: string): Promise<Device> {
    const id = parseDeviceId(text);
    const device = await fleet.store.findDevice(id);
    if (device === undefined) {
      throw new KeylineError('DEVICE_NOT_FOUND', `There is no device "${id}".`);
    }
    return device;
  }
}

/** @throws {KeylineError} REQUEST_INVALID for what has the form of a time and is none here: a leap second */
function instantOf(text: string): number {
  const instant = Date.parse(text);
  if (!Number.isNaN(instant)) return instant;
  throw new KeylineError('REQUEST_INVALID', `"${text}" is not a time that is known here.`);
}

/** A device may only look at itself. */
function assertSelf(caller: Caller, id: string): void {
  if (caller.role === 'device' && caller.name !== id) {
    throw new KeylineError('FORBIDDEN', `The device "${caller.name}" may only read itself.`);
  }
}

function viewDevice(device: Device, presence: Presence): DeviceView {
  return {
    id: device.id,
    type: device.type,
    batch: device.batch,
    labels: { ...device.labels },
    state: device.state,
    serial: device.serial,
    notAfter: optionalInstant(device.notAfter),
    createdAt: formatInstant(device.createdAt),
    updatedAt: formatInstant(device.updatedAt),
    presence: viewPresence(presence),
  };
}
