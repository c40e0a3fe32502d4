// Certificates that are not on record: looked at, adopted, revoked.
import type { QuarantinedView } from '@keyline/api';
import { adoptQuarantined, revokeQuarantined, type QuarantinedCertificate } from '@keyline/fleet';
import { formatInstant, KeylineError, messageOf, parseSerialHex } from '@keyline/kernel';
import { decodePem } from '@keyline/x509';
import { pageOf } from '../page-of.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import { certificatePem, optionalInstant } from '../views.ts';
import type { Register } from './register.ts';

export function registerQuarantine(register: Register, service: ServiceContext): void {
  const { fleet } = service;

  register('listQuarantine', async ({ query }) => {
    const page = await fleet.store.listQuarantined({
      ...pageOf(query, service.limits),
      includeDecided: query.all ?? false,
    });
    return { items: page.items.map(viewQuarantined), nextCursor: page.nextCursor };
  });

  register('adoptQuarantined', async ({ params, body, request }) => {
    const { quarantined } = await adoptQuarantined(fleet, {
      caller: requireCaller(request.caller),
      serial: parseSerialHex(params.serial),
      certificate: body.certificate === undefined ? undefined : derOf(body.certificate),
      type: body.type,
    });
    return viewQuarantined(quarantined);
  });

  register('revokeQuarantined', async ({ params, body, request }) => {
    const { quarantined } = await revokeQuarantined(fleet, {
      caller: requireCaller(request.caller),
      serial: parseSerialHex(params.serial),
      ...body,
    });
    return viewQuarantined(quarantined);
  });
}

function derOf(pem: string): Uint8Array {
  try {
    return decodePem(pem, 'CERTIFICATE');
  } catch (error) {
    throw new KeylineError('REQUEST_INVALID', `This is no certificate in PEM: ${messageOf(error)}`);
  }
}

function viewQuarantined(one: QuarantinedCertificate): QuarantinedView {
  return {
    serial: one.serial,
    identity: one.identity,
    authority: one.authority,
    seenBy: one.seenBy,
    address: one.address,
    firstAt: formatInstant(one.firstAt),
    lastAt: formatInstant(one.lastAt),
    state: one.state,
    decidedBy: one.decidedBy,
    decidedAt: optionalInstant(one.decidedAt),
    certificate: one.der === null ? null : certificatePem(one.der),
  };
}
