// A broker that identities are pushed to, running: its place in the ledger, a comparison with the fleet whenever the connection comes up,
// every hour and on demand, what it reports, and why it is not healthy.
import type { DeviceTypes, Roles } from '@keyline/access';
import { Duration, isKeylineError, KeylineError, messageOf, type Clock } from '@keyline/kernel';
import type { LeasedFollower, LedgerWrite, RunningLeasedFollower } from '@keyline/ledger';
import type { FleetReader } from './desired-identity.ts';
import type { Reconciliation } from './reconcile.ts';
import { createTargetFollower, type TargetFollower } from './target-follower.ts';
import { followPresence, type PresenceRecord } from './follow-presence.ts';
import type { CertificateReport, ConnectedTarget, ConnectionEvents } from './target.ts';

export interface RunningTarget extends RunningLeasedFollower {
  /** Why what is asked of it now would not be done in time. */
  lastError(): string | undefined;
  /** Whether this service is connected to it; `elsewhere`: another service that shares the database follows for it. */
  connection(): 'connected' | 'disconnected' | 'elsewhere';
  /** Milliseconds for which it has not taken something that it should have, or is away; 0 when it keeps up. */
  behindFor(): number;
  /** Whether the broker refuses certificates by serial, or needs a CRL for that; undefined before it was first spoken to. */
  refusesSerials(): boolean | undefined;
  /** When the broker acknowledged what the entry asked of it, if that is still remembered. */
  acknowledgedAt(device: string, seq: number): number | undefined;
  /** The last comparison with the fleet. */
  compared(): Reconciliation | undefined;
  /** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED, LEASE_LOST when another service follows */
  compare(): Promise<Reconciliation>;
  /**
   * Roles are others now: pushes them, and compares everybody with them; at the next connection where there is none.
   * @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED, LEASE_LOST when another service follows
   */
  rolesChanged(): Promise<void>;
  /** Whether the broker puts names in the place of `%u` by itself; undefined before it was first spoken to. */
  fillsNames(): boolean | undefined;
  /** Compares now if it is time for it; at least every few seconds, so that `behindFor` is exact. */
  tick(): Promise<void>;
  /** With credentials asked for anew. */
  reconnect(): Promise<void>;
  close(): Promise<void>;
}

interface TargetLog {
  info(context: Readonly<Record<string, unknown>>, message: string): void;
  warn(context: Readonly<Record<string, unknown>>, message: string): void;
}

export interface RunTargetOptions {
  /** Begins to connect. */
  readonly open: (events: ConnectionEvents) => ConnectedTarget;
  readonly roles: Roles;
  readonly types: DeviceTypes;
  readonly fleet: FleetReader;
  readonly exclusive: boolean;
  readonly clock: Clock;
  /** Starts to follow the ledger; ending it is the caller's. */
  readonly follow: (follower: LeasedFollower) => Promise<RunningLeasedFollower>;
  /**
   * Judges what the broker has seen of certificates.
   * @returns uses of successors that are on record now
   */
  readonly judge: (
    reports: readonly CertificateReport[],
    target: Pick<TargetFollower, 'name' | 'admit'>,
    onFailure: (error: unknown) => void,
  ) => Promise<readonly CertificateReport[]>;
  /** Where it is kept who is on the broker. */
  readonly presence: PresenceRecord;
  readonly log: TargetLog;
  /** Milliseconds since some moment, never set back. Default `performance.now`. */
  readonly elapsed?: () => number;
}

const compareEvery = Duration.hours(1);
/** A broker that comes and goes is compared at each coming, but not all the time: a comparison reads the whole fleet. */
const shortestRest = Duration.seconds(1);
const mostShare = 0.25;
/** A broker that restarts is back within it; one that is started together with this service takes longer. */
const disconnectedGrace = Duration.seconds(2);
const startGrace = Duration.seconds(10);
/** Payloads are made for some 25 ms. */
const silenceGrace = Duration.seconds(2);

export async function runTarget(options: RunTargetOptions): Promise<RunningTarget> {
  const { open, fleet, clock, log, elapsed = () => performance.now() } = options;
  // It may connect before the follower runs, and before this function has what was opened.
  const begun: { running?: RunningLeasedFollower; follower?: TargetFollower } = {};
  let due = true;
  let restUntil = -Infinity;
  let connections = 0;
  let isTaking = false;
  /** Another service follows. */
  let isResting = false;
  let disconnectedAt: number | undefined = elapsed();
  let lastReason = '';
  /** The head of the ledger at a time: what has not come that far since is behind for so long. */
  let mark = { seq: 0, at: elapsed() };
  const connection = open({
    onConnect: () => {
      connections++;
      disconnectedAt = undefined;
      begun.running?.wake();
      due = true;
      if (begun.follower !== undefined) void compareIfDue(begun.follower);
    },
    onDisconnect: (reason) => {
      disconnectedAt ??= elapsed();
      lastReason = reason;
    },
  });
  const { name, url } = connection;
  const target = createTargetFollower({
    ...{ target: connection, fleet, clock },
    ...{ roles: options.roles, types: options.types, exclusive: options.exclusive },
  });
  begun.follower = target;

  async function compare(): Promise<Reconciliation> {
    const began = elapsed();
    const during = connections;
    restUntil = began + shortestRest;
    const rest = (): void => {
      restUntil = began + Math.max(shortestRest, (elapsed() - began) / mostShare);
    };
    let found;
    try {
      found = await target.reconcile();
    } catch (error) {
      // One that waited in vain cost nothing, and whoever comes back must be compared at once; one that is refused, again and again
      // for one client perhaps, has read the whole fleet.
      if (!isKeylineError(error) || error.code !== 'TARGET_UNREACHABLE') rest();
      throw error;
    }
    rest();
    if (found.untyped > 0) {
      log.warn(
        { target: name, devices: found.untyped },
        `${String(found.untyped)} active devices are of types that ca-config/types.yaml has no more; on the broker "${name}" they were left as they are. Bring the types back, or decommission the devices.`,
      );
    }
    // Whoever connected meanwhile may have another past than the one that was listed.
    if (during === connections) due = false;
    const drift = found.missing + found.changed + found.stale + found.foreign + found.roles;
    log[drift === 0 ? 'info' : 'warn'](
      { target: name, ...found },
      drift === 0
        ? `The broker "${name}" has what it should have.`
        : `The broker "${name}" differed from the fleet in ${String(drift)} places, and was repaired.`,
    );
    return found;
  }

  /** Of the services that share a database one acts: the others would repair what it is just doing. */
  function mayAct(): boolean {
    return connection.isConnected && begun.running?.hold()?.isHeld() === true;
  }

  async function compareIfDue(follower: TargetFollower): Promise<void> {
    const last = follower.lastReconciliation();
    const old = last !== undefined && clock.now() - last.at >= compareEvery;
    if ((!due && !old) || elapsed() < restUntil || !mayAct()) return;
    try {
      await compare();
    } catch (error) {
      // The follower meets the same and shows it; the next tick tries again.
      log.warn({ target: name }, `The broker "${name}" was not compared: ${messageOf(error)}`);
    }
  }

  function notJudged(error: unknown): void {
    log.warn(
      { target: name },
      `What the broker "${name}" reported was not judged: ${messageOf(error)}`,
    );
  }

  /** Again and again: a device that renewed waits for a moment at the broker, if it came before the news of its certificate. */
  async function takeReports(): Promise<void> {
    if (isTaking || !mayAct()) return;
    isTaking = true;
    try {
      const reports = await target.takeReports();
      if (reports.length > 0) {
        await target.settleUses(await options.judge(reports, target, notJudged));
      }
    } catch (error) {
      notJudged(error);
    }
    isTaking = false;
  }

  const presence = followPresence({
    ...{ name, target, record: options.presence, elapsed },
    hold: (): LedgerWrite | undefined =>
      mayAct() ? begun.running?.hold()?.condition() : undefined,
    onFailure: (error) => {
      log.warn(
        { target: name },
        `Who is on the broker "${name}" was not recorded, and is asked again: ${messageOf(error)}`,
      );
    },
  });

  /** One session at a time: a broker that knows sessions by name ends the one of a service that lost its turn and did not notice. */
  async function rest(): Promise<void> {
    isResting = true;
    await connection.disconnect();
  }

  function problem(): string | undefined {
    const error = running.lastError();
    if (error !== undefined || isResting) return error;
    const now = elapsed();
    const grace = connections === 0 ? startGrace : disconnectedGrace;
    if (disconnectedAt !== undefined && now - disconnectedAt > grace) {
      return `The broker "${name}" (${url}) is not connected since ${seconds(now - disconnectedAt)}${lastReason === '' ? '' : ` (${lastReason.replace(/\.$/, '')})`}. It is tried again until it answers.`;
    }
    const silence = target.unansweredFor();
    if (silence > silenceGrace) {
      return `The broker "${name}" (${url}) has not answered for ${seconds(silence)}.`;
    }
    return undefined;
  }

  const running = await options.follow({
    ...target,
    async begin() {
      // What another service pushed late, before it noticed that it had lost its turn, is put right.
      due = true;
      if (!isResting) return;
      isResting = false;
      disconnectedAt = elapsed();
      await connection.reconnect();
    },
    end: rest,
  });
  if (running.hold() === undefined) await rest();
  begun.running = running;
  const moveMark = (): void => {
    if (running.position() < mark.seq) return;
    mark = { seq: running.position() + running.lag(), at: elapsed() };
  };
  moveMark();
  return {
    ...running,
    behindFor() {
      moveMark();
      const now = elapsed();
      const away = disconnectedAt === undefined || isResting ? 0 : now - disconnectedAt;
      return Math.max(running.position() < mark.seq ? now - mark.at : 0, away);
    },
    lastError: problem,
    connection() {
      if (isResting) return 'elsewhere';
      return connection.isConnected ? 'connected' : 'disconnected';
    },
    refusesSerials: () => target.refusesSerials(),
    acknowledgedAt: (device, seq) => target.acknowledgedAt(device, seq),
    compared: () => target.lastReconciliation(),
    compare() {
      if (running.hold() !== undefined) return compare();
      throw new KeylineError(
        'LEASE_LOST',
        `Another service that shares this database follows for the broker "${name}": ask there for a comparison.`,
      );
    },
    async rolesChanged() {
      due = true;
      if (running.hold() === undefined) {
        throw new KeylineError(
          'LEASE_LOST',
          `Another service that shares this database follows for the broker "${name}", and hears of it.`,
        );
      }
      await compare();
    },
    fillsNames: () => connection.capabilities()?.fillsNames,
    async tick() {
      moveMark();
      // A comparison may take long; what is reported waits for none.
      await Promise.all([compareIfDue(target), takeReports(), presence.tick()]);
    },
    async reconnect() {
      if (!isResting) await connection.reconnect();
    },
    close: () => connection.close(),
  };
}

const seconds = (milliseconds: number): string => `${String(Math.round(milliseconds / 1000))} s`;
