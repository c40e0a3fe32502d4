// A broker as a follower of the ledger: entries become the last word on each identity, in the order that is safe, with evidence; and
// all that it has is compared with the fleet. What kind of broker it is lies below the port; when to try again is the follower loop's.
import { hasTemplates, type DeviceTypes, type Role, type Roles } from '@keyline/access';
import type { LedgerEntry } from '@keyline/ledger';
import { KeylineError, systemClock, type Clock, type DeviceId } from '@keyline/kernel';
import { createAcknowledgements } from './acknowledgements.ts';
import { createCertificateLists } from './certificate-lists.ts';
import { listOf, rightsOf, roleOfType, type FleetReader } from './desired-identity.ts';
import { foldEntries, type DeviceChange } from './fold-entries.ts';
import { reconcile, type Progress, type Reconciliation } from './reconcile.ts';
import type {
  Capabilities,
  CertificateReport,
  DesiredIdentity,
  Outcome,
  PresencePage,
  PresenceQuestion,
  Target,
} from './target.ts';

const serialsPerCall = 1000;
/** Entries. */
const farBehind = 1000;

export interface TargetFollower {
  readonly name: string;
  /** Idempotent. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  apply(entries: readonly LedgerEntry[]): Promise<void>;
  /** Roles and default rights as ca-config has them. `apply` does it by itself when it was not done since the last failure. */
  prepare(): Promise<void>;
  /** Compares all that the broker has with all that it should have, and repairs it. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  reconcile(): Promise<Reconciliation>;
  /** The last comparison that came to its end. */
  lastReconciliation(): Reconciliation | undefined;
  /** When the broker acknowledged what an entry asked of it for a device (or the owner of a certificate), if still remembered. */
  acknowledgedAt(device: string, seq: number): number | undefined;
  /** Milliseconds that what is under way has waited for its answer; 0 when there is nothing. */
  unansweredFor(): number;
  /**
   * What the broker has seen of its clients' certificates: uses of successors until they are settled, everything else once. Nothing from
   * one that keeps no list.
   * @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED
   */
  takeReports(): Promise<readonly CertificateReport[]>;
  /** Uses of successors that are on record now: the broker need not tell of them again. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  settleUses(reports: readonly CertificateReport[]): Promise<void>;
  /**
   * Who came and went since what is on record; undefined from one that tells no such thing.
   * @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED
   */
  takePresence(onRecord: PresenceQuestion): Promise<PresencePage | undefined>;
  /** Brings a device's list to what the fleet says. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  admit(device: string): Promise<void>;
  /** Whether it refuses certificates by serial, or needs a CRL for that; undefined before it was first spoken to. */
  refusesSerials(): boolean | undefined;
}

export interface TargetFollowerOptions {
  readonly target: Target;
  readonly roles: Roles;
  readonly types: DeviceTypes;
  readonly fleet: FleetReader;
  /** The broker is Keyline's alone: clients named like devices that the fleet does not know are removed. Default false. */
  readonly exclusive?: boolean;
  readonly clock?: Clock;
}

export function createTargetFollower(options: TargetFollowerOptions): TargetFollower {
  const { target, roles, types, fleet, exclusive = false, clock = systemClock } = options;
  const acknowledgements = createAcknowledgements();
  const lists = createCertificateLists({ target, fleet });
  let prepared = false;
  let repairedRoles = 0;
  let last: Reconciliation | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  /** Entries that came during a comparison; it lets them through between its calls. */
  let passing: (() => Promise<void>)[] = [];
  /** Devices of such entries. */
  let touched: Set<string> | undefined;
  /** How far the comparison has come. */
  let progress: Progress = { seq: 0, done: new Set() };

  /** Following and comparing must not cross: each sees the broker as the other left it. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  }

  /** In turn, or between two calls of the comparison that is under way. */
  function betweenCalls(work: () => Promise<void>): Promise<void> {
    if (touched === undefined) return inTurn(work);
    return new Promise((resolve, reject) => {
      passing.push(() => work().then(resolve, reject));
    });
  }

  async function letPass(): Promise<void> {
    while (passing.length > 0) {
      const works = passing;
      passing = [];
      for (const work of works) await work();
    }
  }

  /** Whoever comes back after a failure may be another broker, or the same one with less in its memory; or lacks a role. */
  async function watched<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      prepared = false;
      throw error;
    }
  }

  async function prepare(): Promise<Capabilities> {
    prepared = false;
    repairedRoles += await target.prepare(roles);
    const capabilities = target.capabilities();
    if (capabilities === undefined) {
      throw new KeylineError(
        'INTERNAL',
        `The broker "${target.name}" was prepared and not probed.`,
      );
    }
    prepared = true;
    return capabilities;
  }

  const keepsLists = (): boolean => target.capabilities()?.refusesSerials ?? true;

  /** Who comes back may be made anew on the broker: not without a list. */
  function withLists(changes: readonly DeviceChange[]): Promise<DeviceChange[]> {
    return Promise.all(
      changes.map(async (change) => {
        if (change.state !== 'active' || change.serials !== undefined) return change;
        const device = await fleet.findDevice(change.device as DeviceId);
        return { ...change, serials: device && listOf(device) };
      }),
    );
  }

  /** What a role gives by type, batch and labels is filled from the device as it is now: a changed label is an entry like others. */
  async function rightsNow(
    role: Role,
    { device: id, type }: Pick<DeviceChange, 'device' | 'type'>,
  ): Promise<Pick<DesiredIdentity, 'role' | 'rights'>> {
    if (!hasTemplates(role)) return { role: role.name };
    const device = await fleet.findDevice(id as DeviceId);
    const fillsNames = target.capabilities()?.fillsNames ?? true;
    return rightsOf(role, device ?? { id, type, batch: null, labels: {} }, { fillsNames });
  }

  /**
   * An old entry is not the last word: a device that was revoked since must not have rights until that entry's turn comes. And a role
   * may have been taken out of ca-config since.
   */
  async function asItIsNow(changes: readonly DeviceChange[], seq: number): Promise<DeviceChange[]> {
    const isFarBehind = (await fleet.lastSeq()) - seq > farBehind;
    const current: DeviceChange[] = [];
    for (const change of changes) {
      const device =
        isFarBehind && change.state === 'active'
          ? await fleet.findDevice(change.device as DeviceId)
          : undefined;
      const state = device?.state ?? change.state;
      if (state !== 'active') {
        current.push({ ...change, state });
        continue;
      }
      // Without a role it is left as it is; the comparison says so.
      const role = roles.get(change.role) ?? roleOfType({ types, roles }, change.type);
      if (role !== undefined) current.push({ ...change, ...(await rightsNow(role, change)) });
    }
    return current;
  }

  /**
   * A device that was let go of and is back, by the time of a comparison, looked to it as if nothing had happened. But whoever is
   * connected under its name may hold the old key, and only a broker that refuses serials has that cut by its serial.
   */
  async function whoCameBack(change: DeviceChange): Promise<DeviceChange | undefined> {
    if (!change.restarts || keepsLists()) return undefined;
    const device = await fleet.findDevice(change.device as DeviceId);
    if (device?.state !== 'active') return undefined;
    const role = roleOfType({ types, roles }, device.type);
    return { ...change, state: device.state, ...(role && (await rightsNow(role, change))) };
  }

  /** Evidence for each identity that the broker did not refuse. @returns the first refusal */
  async function settle(
    changes: readonly DeviceChange[],
    { refusals, refusal, passedOver }: Outcome,
  ): Promise<KeylineError | undefined> {
    await lists.judgePassedOver(passedOver);
    const at = clock.now();
    let failure = refusal;
    for (const { device, seq } of changes) {
      const own = refusals.get(device);
      if (own === undefined) acknowledgements.record(device, seq, at);
      failure ??= own;
    }
    return failure;
  }

  /** Denials first, and with them the certificates that ended. @returns the first refusal, after every identity had its turn */
  async function push(
    changes: readonly DeviceChange[],
    endedSerials: readonly string[],
  ): Promise<KeylineError | undefined> {
    let failure: KeylineError | undefined;
    const denied = changes.filter(({ state }) => state !== 'active');
    for (let device = 0, serial = 0; device < denied.length || serial < endedSerials.length;) {
      const some = denied.slice(device, device + target.batchSize('deny'));
      const ended = endedSerials.slice(serial, serial + serialsPerCall);
      const outcome = await target.deny(
        some.map((desired) => ({ desired })),
        ended,
      );
      const refusal = await settle(some, outcome);
      failure ??= refusal;
      device += some.length;
      serial += ended.length;
    }
    const granted = changes.filter(({ state }) => state === 'active');
    for (let start = 0; start < granted.length;) {
      const some = granted.slice(start, start + target.batchSize('put'));
      const refusal = await settle(some, await target.put(some.map((desired) => ({ desired }))));
      failure ??= refusal;
      start += some.length;
    }
    return failure;
  }

  async function apply(entries: readonly LedgerEntry[]): Promise<void> {
    const { devices, endedSerials, certificates } = foldEntries(entries);
    const returned = new Map<string, DeviceChange>();
    for (const change of devices) {
      const { device, seq } = change;
      if (last === undefined || seq > last.seq) continue;
      const back = await whoCameBack(change);
      // The comparison brought it there already, with whatever came before it.
      if (back === undefined) acknowledgements.record(device, seq, last.at);
      else returned.set(device, back);
    }
    for (const { device, seq, restarts } of devices) {
      // So has one that is under way, as far as it has come.
      const isDone = seq <= progress.seq && !restarts && progress.done.has(device);
      if (touched !== undefined && isDone) acknowledgements.record(device, seq, clock.now());
    }
    // From here on they are this function's, also when it has to try again.
    for (const { device, touches } of devices) if (touches) touched?.add(device);
    // What was acknowledged before another device's refusal is not sent again with the retry.
    const asked = devices
      .filter(
        ({ device, seq, touches }) => touches && acknowledgements.find(device, seq) === undefined,
      )
      .map((change) => returned.get(change.device) ?? change);
    // What it fills in is known once it was probed.
    if (!prepared && asked.length > 0) await prepare();
    const changes = await withLists(await asItIsNow(asked, entries.at(-1)?.seq ?? 0));
    const renewed = devices.filter(
      ({ device, seq, touches, state }) =>
        !touches && state === 'active' && acknowledgements.find(device, seq) === undefined,
    );
    const isAsked = changes.length > 0 || endedSerials.length > 0 || renewed.length > 0;
    if (!prepared && isAsked) await prepare();
    const failure = await push(changes, endedSerials);
    // Each is on its list before the device comes with it, if all goes well.
    if (keepsLists()) await lists.admit(renewed.map(({ device }) => device));
    // A missing role or right is what preparing puts right.
    if (failure !== undefined) throw failure;
    const at = clock.now();
    for (const { device, seq } of devices) acknowledgements.record(device, seq, at);
    for (const { owner, seq } of certificates) acknowledgements.record(owner, seq, at);
  }

  async function compareAll(): Promise<Reconciliation> {
    const dealtWith = new Set<string>();
    touched = dealtWith;
    progress = { seq: 0, done: new Set() };
    try {
      const capabilities = await prepare();
      const found = await reconcile({
        ...{ target, capabilities, fleet, types, roles, clock, exclusive, progress },
        giveTurn: letPass,
        isTouched: (device) => dealtWith.has(device),
        judgePassedOver: (some) => lists.judgePassedOver(some),
      });
      last = { ...found, roles: found.roles + repairedRoles };
      repairedRoles = 0;
      return last;
    } finally {
      touched = undefined;
      progress = { seq: 0, done: new Set() };
      await letPass();
    }
  }

  return {
    name: target.name,
    prepare: async () => {
      await inTurn(() => watched(prepare));
    },
    acknowledgedAt: (device, seq) => acknowledgements.find(device, seq),
    lastReconciliation: () => last,
    unansweredFor: () => target.unansweredFor(),
    takeReports: async () =>
      target.capabilities()?.refusesSerials === true ? watched(() => lists.takeReports()) : [],
    settleUses: (reports) => watched(() => target.settleUses(reports)),
    takePresence: async (onRecord) =>
      target.capabilities() === undefined
        ? undefined
        : watched(() => target.takePresence(onRecord)),
    admit: (device) => betweenCalls(() => watched(() => lists.admit([device]))),
    refusesSerials: () => target.capabilities()?.refusesSerials,
    apply: (entries) => betweenCalls(() => watched(() => apply(entries))),
    reconcile: () => inTurn(() => watched(compareAll)),
  };
}
