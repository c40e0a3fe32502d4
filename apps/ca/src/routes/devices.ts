// Devices: enroll, renew, search, and the changes of state, of which services have the same.
import {
  allowRenewal,
  changeDeviceState,
  enroll,
  hashToken,
  labelDevice,
  renew,
  type StateChange,
} from '@keyline/fleet';
import { identityKindOf } from '@keyline/access';
import { formatInstant, isKeylineError, KeylineError, parseDuration } from '@keyline/kernel';
import { bearerOf } from '../authenticate.ts';
import { assertSelf, createIdentityAnswers, getIdentity } from '../identity-answers.ts';
import type { RateLimits } from '../rate-limits.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { validityOf } from '../validity-of.ts';
import { viewRefusal } from '../presence-views.ts';
import { viewCertificate } from './certificates.ts';
import { viewEntry } from './ledger.ts';
import type { Register } from './register.ts';

export function registerDevices(
  register: Register,
  service: ServiceContext,
  rateLimits: RateLimits,
): void {
  const { fleet, effects, limits } = service;
  const answers = createIdentityAnswers(service);

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
    const broker = 'broker' in input ? input.broker : undefined;
    service.brokers.assertKnown(broker);
    try {
      const enrolled = await enroll(fleet, {
        id: 'id' in input ? input.id : undefined,
        csr: input.csr,
        tokenHash,
        validity: validityOf('validity' in input ? input.validity : undefined),
        address: request.ip,
      });
      rateLimits.proved(tokenHash);
      return await answers.enrolled(enrolled, request, reply, broker);
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
    return answers.enrolled(renewed, request, reply);
  });

  register('allowRenewal', async ({ params, body, request }) => {
    const { until } = await allowRenewal(fleet, {
      caller: requireCaller(request.caller),
      id: params.id,
      lifetime: parseDuration(body.for ?? '1d'),
    });
    return { device: params.id, until: formatInstant(until) };
  });

  register('listDevices', ({ query }) => answers.page(query, 'device'));

  register('getDevice', async ({ params, request }) => {
    const caller = requireCaller(request.caller);
    assertSelf(caller, params.id);
    return answers.one(await getIdentity(fleet, params.id));
  });

  register('getConnection', async ({ params, query, request }) => {
    const caller = requireCaller(request.caller);
    assertSelf(caller, params.id);
    const device = await getIdentity(fleet, params.id);
    const role = fleet.roles.get(fleet.types.get(device.type)?.role ?? '');
    if (role === undefined) {
      throw new KeylineError(
        'ROLE_UNKNOWN',
        `The type of "${device.id}", "${device.type}", is not configured any more (ca-config/types.yaml), so it has no rights on any broker.`,
      );
    }
    return {
      id: device.id,
      kind: identityKindOf(device.type),
      broker: service.brokers.accessOf({ device, role, named: query.broker }),
    };
  });

  register('getDeviceHistory', async ({ params }) => {
    const device = await getIdentity(fleet, params.id);
    const [entries, certificates] = await Promise.all([
      fleet.store.listEntriesOf(device.id, 500),
      fleet.store.listCertificatesOf(device.id),
    ]);
    return {
      items: entries.map(viewEntry),
      certificates: certificates.map(viewCertificate),
    };
  });

  register('listDeviceRefusals', async ({ params }) => {
    const device = await getIdentity(fleet, params.id);
    const refusals = await fleet.store.listRefusalsOf(device.id);
    return { items: refusals.map(viewRefusal), nextCursor: null };
  });

  register('labelDevice', async ({ params, body, request }) => {
    const { device, entry } = await labelDevice(fleet, {
      caller: requireCaller(request.caller),
      id: params.id,
      change: { set: body.set ?? {}, remove: body.remove ?? [] },
    });
    await (body.wait === true
      ? effects.waitForAll(entry.seq, limits.effectWait)
      : effects.waitForHealthy(entry.seq, limits.provisionWait));
    return {
      device: await answers.one(device),
      evidence: await effects.evidence({ entry, device: device.id }),
    };
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
        device: await answers.one(device),
        evidence: await effects.evidence({ entry, device: device.id, serial: device.serial }),
      };
    });
  }
}
