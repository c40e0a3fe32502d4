// A broker that speaks dynamic security, as a follower of the ledger: devices become its clients. How messages reach it is the
// sender's; when to try again is the follower loop's.
import type { DeviceTypes, Roles } from '@keyline/access';
import type { LedgerEntry } from '@keyline/ledger';
import { systemClock, type Clock, type DeviceId, type KeylineError } from '@keyline/kernel';
import { createCertificateLists } from './certificate-lists.ts';
import type { CertificateReport } from './certificate-reports.ts';
import { createAcknowledgements } from './acknowledgements.ts';
import { openBrokerLine } from './broker-line.ts';
import { commandsFor, correctionsFor, readClient, readPassedOver } from './client-commands.ts';
import type { Dialect } from './dialect.ts';
import {
  isMissing,
  isThereAlready,
  isUnknownCommand,
  readObject,
  type DynsecSender,
} from './dynsec-messages.ts';
import { foldEntries, type DeviceChange } from './fold-entries.ts';
import { prepareBroker } from './prepare-broker.ts';
import {
  listOf,
  reconcile,
  type FleetReader,
  type Progress,
  type Reconciliation,
} from './reconcile.ts';

const serialsPerPayload = 1000;
/** Entries. */
const farBehind = 1000;

export interface DynsecTarget {
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
  /** Milliseconds that the payload under way has waited for its answers; 0 when there is none. */
  unansweredFor(): number;
  /**
   * What the broker has seen of its clients' certificates: uses of successors until they are settled, everything else once. Nothing from
   * one that keeps no list.
   * @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED
   */
  takeReports(): Promise<readonly CertificateReport[]>;
  /** Uses of successors that are on record now: the broker need not tell of them again. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  settleUses(reports: readonly CertificateReport[]): Promise<void>;
  /** Brings a device's list to what the fleet says. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  admit(device: string): Promise<void>;
  /** Whether it refuses certificates by serial, or needs a CRL for that; undefined before it was first spoken to. */
  refusesSerials(): boolean | undefined;
}

export interface DynsecTargetOptions {
  readonly name: string;
  readonly client: DynsecSender;
  readonly roles: Roles;
  readonly types: DeviceTypes;
  readonly fleet: FleetReader;
  /** The broker is Keyline's alone: clients named like devices that the fleet does not know are removed. Default false. */
  readonly exclusive?: boolean;
  readonly clock?: Clock;
}

export function createDynsecTarget(options: DynsecTargetOptions): DynsecTarget {
  const { name, client, roles, types, fleet, exclusive = false, clock = systemClock } = options;
  const acknowledgements = createAcknowledgements();
  let prepared = false;
  let dialect: Dialect = {
    fillsNames: true,
    knowsSerials: true,
    limitsRates: true,
    inlineRoles: true,
  };
  let isKnown = false;
  let repairedRoles = 0;
  let last: Reconciliation | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  /** Entries that came during a comparison; it lets them through between its payloads. */
  let passing: (() => Promise<void>)[] = [];
  /** Devices of such entries. */
  let touched: Set<string> | undefined;
  /** How far the comparison has come. */
  let progress: Progress = { seq: 0, done: new Set() };

  const line = openBrokerLine({
    name,
    client,
    onUnreachable: () => {
      // Whoever comes back may be another broker, or the same one with less in its memory.
      prepared = false;
    },
  });

  const lists = createCertificateLists({ line, fleet });

  /** Following and comparing must not cross: each sees the broker as the other left it. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  }

  /** In turn, or between two payloads of the comparison that is under way. */
  function betweenPayloads(work: () => Promise<void>): Promise<void> {
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

  async function prepare(): Promise<void> {
    prepared = false;
    const [details, serials] = await line.ask(
      [{ command: 'getDetails' }, { command: 'revokeCertificates', serials: [] }],
      () => true,
    );
    // Mosquitto has getDetails from 2.1; only Keyline's broker knows serials.
    const isOurs = serials !== undefined && !isUnknownCommand(serials);
    dialect = {
      fillsNames: isOurs,
      knowsSerials: isOurs,
      limitsRates: isOurs,
      inlineRoles: details?.error === undefined,
    };
    isKnown = true;
    repairedRoles += await prepareBroker(line.ask, roles, dialect);
    prepared = true;
  }

  /**
   * One payload for some devices. Serials go first, so that a device that is let go of does not come back in between with the
   * certificate that ended. Returns the first refusal, after every device had its turn.
   */
  async function push(
    serials: readonly string[],
    changes: readonly DeviceChange[],
  ): Promise<KeylineError | undefined> {
    const revocation =
      serials.length > 0 && dialect.knowsSerials
        ? [{ command: 'revokeCertificates', serials }]
        : [];
    const steps = changes.map((change) => ({
      change,
      commands: commandsFor(change, dialect),
    }));
    const commands = [...revocation, ...steps.flatMap((step) => step.commands)];
    if (commands.length === 0) return undefined;
    const answers = await line.sendAll(commands);
    const at = clock.now();
    let failure: KeylineError | undefined;
    let next = revocation.length;
    const [revoked] = answers;
    if (next > 0 && revoked?.error !== undefined) {
      failure = line.refused(commands[0], revoked);
    }
    const known: DeviceChange[] = [];
    for (const { change, commands: asked } of steps) {
      const own = answers.slice(next, next + asked.length);
      next += asked.length;
      if (own.some(isThereAlready)) {
        known.push(change);
        continue;
      }
      // A client that is gone was to be let go of; a role that is missing is a fault.
      const fault = own.findIndex((answer, position) => {
        const command = asked[position];
        const givesRole = command?.command === 'addClientRole' || command?.['roles'] !== undefined;
        return answer.error !== undefined && !(isMissing(answer) && !givesRole);
      });
      const answer = own[fault];
      // Disabling one that is not there, then emptying it: both say it is missing, and that is as good.
      const gone = change.state === 'suspended' && own.every(isMissing);
      if (answer === undefined || gone) {
        acknowledgements.record(change.device, change.seq, at);
      } else {
        failure ??= line.refused(asked[fault], answer);
      }
    }
    return (known.length === 0 ? undefined : await correct(known)) ?? failure;
  }

  /** Lists of devices that get one, or may have to: whoever comes back may be made anew on the broker, and not without a list. */
  function withLists(
    changes: readonly DeviceChange[],
    which: 'unknown' | 'all',
  ): Promise<DeviceChange[]> {
    return Promise.all(
      changes.map(async (change) => {
        if (change.state !== 'active') return change;
        if (which === 'unknown' && change.serials !== undefined) return change;
        const device = await fleet.findDevice(change.device as DeviceId);
        return { ...change, serials: device && listOf(device) };
      }),
    );
  }

  /** Clients the broker knows already: changed only where they differ, because a change ends the client's session. */
  async function correct(changes: readonly DeviceChange[]): Promise<KeylineError | undefined> {
    const clients = await line.ask(
      changes.map(({ device }) => ({ command: 'getClient', username: device })),
    );
    const current = dialect.knowsSerials ? await withLists(changes, 'all') : changes;
    const steps = current.map((change, position) => ({
      change,
      commands: correctionsFor(
        change,
        readClient(readObject(clients[position]?.data, 'client')),
        dialect,
      ),
    }));
    const commands = steps.flatMap((step) => step.commands);
    const answers = commands.length === 0 ? [] : await line.sendAll(commands);
    await lists.judgePassedOver(answers.flatMap(readPassedOver));
    const at = clock.now();
    let failure: KeylineError | undefined;
    let next = 0;
    for (const step of steps) {
      const own = answers.slice(next, next + step.commands.length);
      next += step.commands.length;
      const fault = own.findIndex((answer) => answer.error !== undefined);
      const answer = own[fault];
      if (answer === undefined) {
        acknowledgements.record(step.change.device, step.change.seq, at);
      } else {
        failure ??= line.refused(step.commands[fault], answer);
      }
    }
    return failure;
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
      if (state !== 'active' || roles.has(change.role)) {
        current.push({ ...change, state });
        continue;
      }
      // Without a role it is left as it is; the comparison says so.
      const role = types.get(change.type)?.role;
      if (role !== undefined) current.push({ ...change, role });
    }
    return current;
  }

  /**
   * A device that was let go of and is back, by the time of a comparison, looked to it as if nothing had happened. But whoever is
   * connected under its name may hold the old key, and only Keyline's broker has that cut by its serial.
   */
  async function whoCameBack(change: DeviceChange): Promise<DeviceChange | undefined> {
    if (!change.restarts || dialect.knowsSerials) return undefined;
    const device = await fleet.findDevice(change.device as DeviceId);
    if (device?.state !== 'active') return undefined;
    const role = types.get(device.type)?.role ?? change.role;
    return { ...change, state: device.state, role };
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
    const changes = await withLists(await asItIsNow(asked, entries.at(-1)?.seq ?? 0), 'unknown');
    const renewed = devices.filter(
      ({ device, seq, touches, state }) =>
        !touches && state === 'active' && acknowledgements.find(device, seq) === undefined,
    );
    const isAsked = changes.length > 0 || endedSerials.length > 0 || renewed.length > 0;
    if (!prepared && isAsked) await prepare();
    // Each is on its list before the device comes with it, if all goes well.
    if (dialect.knowsSerials) await lists.admit(renewed.map(({ device }) => device));
    let failure: KeylineError | undefined;
    for (let device = 0, serial = 0; device < changes.length || serial < endedSerials.length;) {
      // A device takes three commands at most; its payload must not hold the broker for long.
      const some = changes.slice(device, device + Math.max(1, Math.floor(line.payloadSize() / 3)));
      const ended = endedSerials.slice(serial, serial + serialsPerPayload);
      const refusal = await push(ended, some);
      failure ??= refusal;
      device += some.length;
      serial += ended.length;
    }
    if (failure !== undefined) {
      // A missing role or right is what preparing puts right.
      prepared = false;
      throw failure;
    }
    const at = clock.now();
    for (const { device, seq } of devices) acknowledgements.record(device, seq, at);
    for (const { owner, seq } of certificates) acknowledgements.record(owner, seq, at);
  }

  return {
    name,
    prepare: () => inTurn(prepare),
    acknowledgedAt: (device, seq) => acknowledgements.find(device, seq),
    lastReconciliation: () => last,
    unansweredFor: () => line.unansweredFor(),
    takeReports: async () => (isKnown && dialect.knowsSerials ? lists.takeReports() : []),
    settleUses: (reports) => lists.settleUses(reports),
    admit: (device) => betweenPayloads(() => lists.admit([device])),
    refusesSerials: () => (isKnown ? dialect.knowsSerials : undefined),
    apply: (entries) => betweenPayloads(() => apply(entries)),
    reconcile: () =>
      inTurn(async () => {
        const dealtWith = new Set<string>();
        touched = dealtWith;
        progress = { seq: 0, done: new Set() };
        try {
          await prepare();
          const found = await reconcile({
            line,
            fleet,
            types,
            clock,
            dialect,
            exclusive,
            giveTurn: letPass,
            isTouched: (device) => dealtWith.has(device),
            progress,
            judgePassedOver: (some) => lists.judgePassedOver(some),
          });
          last = { ...found, roles: repairedRoles };
          repairedRoles = 0;
          return last;
        } finally {
          touched = undefined;
          progress = { seq: 0, done: new Set() };
          await letPass();
        }
      }),
  };
}
