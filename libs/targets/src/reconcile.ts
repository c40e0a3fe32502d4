// Desired state against actual state: what a broker has is listed, compared with what the fleet says, and repaired. It also fills an
// empty broker, faster than the ledger could be told again.
import type { DeviceTypes, Role, Roles } from '@keyline/access';
import { isRestoredUnseen, revokedPages } from '@keyline/fleet';
import { isDeviceId, type Clock, type KeylineError } from '@keyline/kernel';
import {
  compare,
  desiredOf,
  devicePages,
  isOverFor,
  roleOfType,
  type FleetReader,
} from './desired-identity.ts';
import type { ActualIdentity, Capabilities, PassedOver, Step, Target } from './target.ts';

/** What a comparison found, all of it repaired but `foreign`. */
export interface Reconciliation {
  /** Epoch milliseconds, when it ended. */
  readonly at: number;
  readonly milliseconds: number;
  /** Everything up to this ledger position is on the broker. */
  readonly seq: number;
  readonly devices: number;
  /** Known to the fleet and not to the broker. */
  readonly missing: number;
  /** Other role, groups or state than the fleet says. */
  readonly changed: number;
  /** Revoked or decommissioned, and still there. */
  readonly stale: number;
  /** Named like a device and unknown to the fleet; removed from a broker that is Keyline's alone. */
  readonly foreign: number;
  /** Roles and default rights that were not as ca-config has them, since the comparison before. */
  readonly roles: number;
  /** Active, and of a type that ca-config has no more: left as they are, because what they may is not known. */
  readonly untyped: number;
  /** Active by a database that was brought back, and denied or not known here: not given back until somebody acknowledges that alert. */
  readonly withheld: number;
}

/** How far a comparison has come; what it has done already need not be done again for an entry that it includes. */
export interface Progress {
  /** Ledger position that it includes. */
  seq: number;
  /** Devices that are as they should be. */
  readonly done: Set<string>;
}

export interface ReconcileOptions {
  readonly target: Target;
  readonly capabilities: Capabilities;
  readonly fleet: FleetReader;
  readonly types: DeviceTypes;
  readonly roles: Roles;
  readonly clock: Clock;
  /** Whether clients that the fleet does not know may be removed. */
  readonly exclusive: boolean;
  /** Between calls: what the ledger brought meanwhile must not wait for the end of a comparison, least of all a revocation. */
  readonly giveTurn: () => Promise<void>;
  /** Whether a device was dealt with in such a turn: what was read of it before is out of date. */
  readonly isTouched: (device: string) => boolean;
  readonly progress: Progress;
  /** Lists that are of another past than the fleet's. */
  readonly judgePassedOver: (lists: readonly PassedOver[]) => Promise<void>;
}

/** Steps that give something, gathered before the first is taken. */
const mostHeldBack = 2500;

/** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED; then some of it is repaired, and the next time does the rest */
export async function reconcile(options: ReconcileOptions): Promise<Reconciliation> {
  const { target, capabilities, fleet, clock, types, roles, giveTurn, isTouched } = options;
  const begun = performance.now();
  // First: what is read afterwards holds at least this much.
  const seq = await fleet.lastSeq();
  options.progress.seq = seq;
  if (capabilities.refusesSerials) await sendSerials(options);
  const actual = await listAll(target);
  // Of a fleet that was brought back from an older day the broker may know better: what it denies, or was told to forget, it is not given
  // back until a person has seen to it. An empty broker remembers nothing, and is filled.
  const knowsBetter = [...actual.keys()].some(isDeviceId) && (await isRestoredUnseen(fleet));
  const rules = { types, roles, fillsNames: capabilities.fillsNames };
  const counts = {
    devices: 0,
    missing: 0,
    changed: 0,
    stale: 0,
    foreign: 0,
    untyped: 0,
    withheld: 0,
    roles: 0,
  };
  const queue = createQueue(options);

  for await (const devices of devicePages(fleet)) {
    const filled: Role[] = [];
    for (const device of devices) {
      counts.devices++;
      const identity = actual.get(device.id);
      actual.delete(device.id);
      if (isTouched(device.id)) continue;
      if (knowsBetter && device.state === 'active' && (identity?.access ?? 'denied') === 'denied') {
        counts.withheld++;
        continue;
      }
      if (device.state === 'active' && roleOfType(rules, device.type) === undefined) {
        counts.untyped++;
        continue;
      }
      const isOver = !capabilities.deniesUnknown && (await isOverFor(fleet, device, clock.now()));
      const desired = { ...desiredOf(device, rules), isOver };
      if (desired.state === 'active' && desired.rights !== undefined) filled.push(desired.rights);
      const { kind, isRight } = compare(desired, identity, capabilities);
      if (kind !== 'same') counts[kind]++;
      if (isRight) options.progress.done.add(device.id);
      else await queue.add({ desired, actual: identity });
    }
    // Also those of identities that are right: somebody may have changed what their role gives.
    counts.roles += await target.giveRoles(filled);
    await giveTurn();
  }
  const others = new Set<string>();
  for (const [device, identity] of actual) {
    if (identity.role !== undefined) others.add(identity.role);
    // Names with an "@" are of services, and brokers have admins of their own.
    if (!isDeviceId(device) || isTouched(device)) continue;
    counts.foreign++;
    // Somebody made it there with a certificate, and it is not on record: a person has to hear of it before it is forgotten.
    if (options.exclusive && identity.serials.length > 0) {
      await options.judgePassedOver([{ device, serials: identity.serials }]);
    }
    const desired = { device, state: 'decommissioned', role: '', restarts: false } as const;
    if (options.exclusive)
      await queue.add({ desired: { ...desired, isOver: true }, actual: identity });
  }
  await queue.flush();
  await target.dropRoles(options.exclusive ? new Set() : others);
  await options.judgePassedOver(queue.passedOver());
  const failure = queue.failure();
  if (failure !== undefined) throw failure;
  return { at: clock.now(), milliseconds: Math.round(performance.now() - begun), seq, ...counts };
}

async function listAll(target: Target): Promise<Map<string, ActualIdentity>> {
  const all = new Map<string, ActualIdentity>();
  for await (const page of target.list()) {
    for (const identity of page) all.set(identity.device, identity);
  }
  return all;
}

/** Certificates that ended for good. A hold is no such: the device is refused by its name. */
async function sendSerials({ target, fleet, clock, giveTurn }: ReconcileOptions): Promise<void> {
  for (const { id: authority } of await fleet.listAuthorities()) {
    for await (const page of revokedPages(fleet, { authority, endsFrom: clock.now() })) {
      const serials = page.flatMap(({ serial, reason }) =>
        reason === 'certificateHold' ? [] : [serial],
      );
      if (serials.length > 0) {
        const { refusal } = await target.deny([], serials);
        if (refusal !== undefined) throw refusal;
      }
      await giveTurn();
    }
  }
}

/**
 * Steps gathered into calls of the size that suits the broker. What takes rights away goes first: a broker that came back from an older
 * backup lets in who was revoked since.
 */
function createQueue({
  target,
  giveTurn,
  isTouched,
  progress,
}: Pick<ReconcileOptions, 'target' | 'giveTurn' | 'isTouched' | 'progress'>): {
  add(step: Step): Promise<void>;
  flush(): Promise<void>;
  passedOver(): readonly PassedOver[];
  /** What the broker refused first. One refusal keeps nothing from the others. */
  failure(): KeylineError | undefined;
} {
  const passedOver: PassedOver[] = [];
  let failure: KeylineError | undefined;
  const waiting: Record<'put' | 'deny', Step[]> = { put: [], deny: [] };
  async function send(what: 'put' | 'deny'): Promise<void> {
    while (waiting[what].length > 0) {
      const steps = waiting[what]
        .splice(0, target.batchSize(what))
        .filter(({ desired }) => !isTouched(desired.device));
      if (steps.length === 0) continue;
      const outcome = await (what === 'put' ? target.put(steps) : target.deny(steps, []));
      passedOver.push(...outcome.passedOver);
      for (const { desired } of steps) {
        const refusal = outcome.refusals.get(desired.device);
        failure ??= refusal;
        if (refusal === undefined) progress.done.add(desired.device);
      }
      await giveTurn();
    }
  }
  async function flush(): Promise<void> {
    await send('deny');
    await send('put');
  }
  return {
    flush,
    passedOver: () => passedOver,
    failure: () => failure,
    async add(step) {
      const what = step.desired.state === 'active' ? 'put' : 'deny';
      waiting[what].push(step);
      if (waiting.deny.length >= target.batchSize('deny')) await send('deny');
      if (waiting.put.length >= mostHeldBack) await flush();
    },
  };
}
