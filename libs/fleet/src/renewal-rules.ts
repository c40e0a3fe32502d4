// When a device may renew: in its window, before it only with a new key or an operator's word, and so many times a day.
import { identityKindOf } from '@keyline/access';
import {
  Duration,
  formatInstant,
  KeylineError,
  parseDeviceId,
  type DeviceId,
} from '@keyline/kernel';
import { renewalWindowOf, type Profile } from '@keyline/pki';
import { entryBy, type Caller } from './caller.ts';
import { commitOrThrow, conflict, type FleetContext } from './context.ts';
import type { Certificate, Device } from './model.ts';
import type { StoreReader, Write } from './ports.ts';

const longestAllowance = Duration.days(30);

/** @returns why it may not renew now, or what goes with the renewal: an operator's word is used up by it */
export async function readRenewalRules(
  { renewals }: Pick<FleetContext, 'renewals'>,
  store: Pick<StoreReader, 'countIssued' | 'findAllowance'>,
  renewal: {
    readonly id: DeviceId;
    readonly profile: Profile;
    readonly asked: Certificate;
    /** Whether it asks for another key than it has. */
    readonly changesKey: boolean;
    readonly now: number;
  },
): Promise<{ readonly refusal?: KeylineError; readonly conditions: readonly Write[] }> {
  const { id, profile, asked, changesKey, now } = renewal;
  const recent = await store.countIssued(id, now - Duration.days(1));
  if (recent >= renewals.perDay) {
    const refusal = new KeylineError(
      'RENEWAL_LIMIT',
      `"${id}" was given ${String(recent)} certificates in 24 hours, and may get ${String(renewals.perDay)} (renewal.perDay in ca-config/service.yaml). Keep the one it has: GET /v1/renewal-info says when to renew.`,
      { context: { retryAfterSeconds: 3600 } },
    );
    return { refusal, conditions: [] };
  }
  const { start } = renewalWindowOf(profile, asked);
  if (now >= start || changesKey || renewals.earlyWithSameKey) return { conditions: [] };
  const until = await store.findAllowance(id);
  if (until !== undefined && now < until) {
    return { conditions: [{ op: 'end-allowance', device: id }] };
  }
  const refusal = new KeylineError(
    'RENEWAL_TOO_EARLY',
    `"${id}" may renew from ${formatInstant(start)} on (GET /v1/renewal-info). Before that only with a new key (--new-key; over the API a CSR), or when an operator allows it (keyline device allow-renewal ${id}).`,
  );
  return { refusal, conditions: [] };
}

/** @throws {KeylineError} DEVICE_NOT_FOUND, DEVICE_STATE_FORBIDS */
export async function getRenewable(
  store: Pick<StoreReader, 'findDevice'>,
  id: DeviceId,
): Promise<Device> {
  const device = await store.findDevice(id);
  if (device === undefined) {
    throw new KeylineError('DEVICE_NOT_FOUND', `There is no device or service "${id}".`);
  }
  if (device.state !== 'active') {
    throw new KeylineError(
      'DEVICE_STATE_FORBIDS',
      `The ${identityKindOf(device.type)} "${id}" is ${device.state} and can't renew.`,
    );
  }
  return device;
}

/**
 * An operator's word that a device may renew once before its window with the key it has.
 * @param command.lifetime milliseconds it holds
 * @throws {KeylineError} DEVICE_NOT_FOUND, DEVICE_STATE_FORBIDS, VALIDITY_NOT_ALLOWED
 */
export async function allowRenewal(
  context: FleetContext,
  command: { readonly caller: Caller; readonly id: string; readonly lifetime: number },
): Promise<{ readonly until: number }> {
  const id = parseDeviceId(command.id);
  // Said so that NaN is refused, too.
  if (!(command.lifetime >= Duration.seconds(1) && command.lifetime <= longestAllowance)) {
    throw new KeylineError('VALIDITY_NOT_ALLOWED', 'It may hold from 1 second to 30 days.');
  }
  await getRenewable(context.store, id);
  const now = context.clock.now();
  const until = now + command.lifetime;
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'allow-renewal', device: id, until }],
      entries: [
        {
          at: now,
          ...entryBy(command.caller),
          data: { kind: 'renewal-allowed', identity: id, until },
        },
      ],
    },
    conflict,
  );
  return { until };
}
