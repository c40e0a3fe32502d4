// The brokers that identities are pushed to: each with its own connection, its own place in the ledger, and a comparison with the
// fleet whenever the connection comes up, every hour, and on demand.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { open } from 'node:fs/promises';
import { platform } from 'node:os';
import type { TargetConfig } from '@keyline/config';
import { createDynsecClient } from '@keyline/dynsec';
import type { FleetContext } from '@keyline/fleet';
import { assertPrivate, Duration, isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import type { Follower, RunningFollower } from '@keyline/ledger';
import { createDynsecTarget, type Reconciliation } from '@keyline/targets';
import type { Logger } from 'pino';
import { judgeReport, judgeReports } from './broker-reports.ts';
import type { TargetView } from './effects.ts';

export interface Credentials {
  /** PEM. */
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface BrokerTargetOptions {
  readonly fleet: FleetContext;
  /** Starts to follow the ledger; ending it is the caller's. */
  readonly follow: (follower: Follower) => Promise<RunningFollower>;
  readonly log: Logger;
}

export interface BrokerTarget extends TargetView {
  /** Compares now if it is time for it; at least every few seconds, so that `behindFor` is exact. */
  tick(): Promise<void>;
  /** With credentials asked for anew. */
  reconnect(): Promise<void>;
  close(): Promise<void>;
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

export async function startBrokerTarget(
  spec: Pick<TargetConfig, 'name' | 'url' | 'exclusive'> & {
    /** Asked for at each connection, so that a renewed certificate is used at the next. */
    readonly credentials: () => Credentials;
  },
  { fleet, follow, log }: BrokerTargetOptions,
): Promise<BrokerTarget> {
  const { name, url, exclusive, credentials } = spec;
  // The client may connect before the follower runs.
  const follower: { running?: RunningFollower } = {};
  let due = true;
  let restUntil = -Infinity;
  let connections = 0;
  let isTaking = false;
  let disconnectedAt: number | undefined = performance.now();
  let lastReason = '';
  /** The head of the ledger at a time: what has not come that far since is behind for so long. */
  let mark = { seq: 0, at: performance.now() };
  const client = createDynsecClient({
    url,
    credentials,
    onConnect: () => {
      connections++;
      disconnectedAt = undefined;
      follower.running?.wake();
      due = true;
      void compareIfDue();
    },
    onDisconnect: (reason) => {
      disconnectedAt ??= performance.now();
      lastReason = reason;
    },
  });
  const target = createDynsecTarget({
    name,
    client,
    roles: fleet.roles,
    types: fleet.types,
    fleet: fleet.store,
    clock: fleet.clock,
    exclusive,
  });

  async function compare(): Promise<Reconciliation> {
    const begun = performance.now();
    const during = connections;
    restUntil = begun + shortestRest;
    const rest = (): void => {
      restUntil = begun + Math.max(shortestRest, (performance.now() - begun) / mostShare);
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

  async function compareIfDue(): Promise<void> {
    const last = target.lastReconciliation();
    const old = last !== undefined && fleet.clock.now() - last.at >= compareEvery;
    if ((!due && !old) || performance.now() < restUntil || !client.isConnected) return;
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
    if (isTaking || !client.isConnected) return;
    isTaking = true;
    try {
      const { store, clock, types } = fleet;
      const settled = await judgeReports(
        await target.takeReports(),
        (report) => judgeReport({ store, clock, types, target }, report),
        notJudged,
      );
      await target.settleUses(settled);
    } catch (error) {
      notJudged(error);
    }
    isTaking = false;
  }

  /** Why what is asked of it now would not be done in time. */
  function problem(): string | undefined {
    const error = running.lastError();
    if (error !== undefined) return error;
    const now = performance.now();
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

  const running = await follow(target);
  follower.running = running;
  const moveMark = (): void => {
    if (running.position() < mark.seq) return;
    mark = { seq: running.position() + running.lag(), at: performance.now() };
  };
  moveMark();
  return {
    ...running,
    behindFor() {
      moveMark();
      const now = performance.now();
      const away = disconnectedAt === undefined ? 0 : now - disconnectedAt;
      return Math.max(running.position() < mark.seq ? now - mark.at : 0, away);
    },
    lastError: problem,
    refusesSerials: () => target.refusesSerials(),
    acknowledgedAt: (device, seq) => target.acknowledgedAt(device, seq),
    compared: () => target.lastReconciliation(),
    compare,
    async tick() {
      moveMark();
      // A comparison may take long; what is reported waits for none.
      await Promise.all([compareIfDue(), takeReports()]);
    },
    reconnect: () => client.reconnect(),
    close: () => client.close(),
  };
}

const seconds = (milliseconds: number): string => `${String(Math.round(milliseconds / 1000))} s`;

/** Said when the service starts, and not by a handshake that fails somewhere else. @throws {KeylineError} CONFIG_INVALID */
function assertPair(
  name: string,
  { cert, key }: { readonly cert: string | undefined; readonly key: string | undefined },
): void {
  if (cert === undefined || key === undefined) return;
  try {
    if (new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return;
  } catch (cause) {
    throw new KeylineError(
      'CONFIG_INVALID',
      `Certificate or key of the target "${name}" (targets.yaml) can't be read as PEM: ${messageOf(cause)}.`,
      { cause },
    );
  }
  throw new KeylineError(
    'CONFIG_INVALID',
    `Certificate and key of the target "${name}" (targets.yaml) do not belong together.`,
  );
}

/** Files of a target in targets.yaml; what is left out is Keyline's own. @throws {KeylineError} FILE_UNREADABLE */
export async function loadCredentials(
  { name, ca, certificate, key }: TargetConfig,
  own: () => Credentials,
): Promise<() => Credentials> {
  const read = async (file: string | undefined, isSecret = false): Promise<string | undefined> => {
    if (file === undefined) return undefined;
    try {
      const handle = await open(file);
      try {
        if (isSecret) {
          const { mode } = await handle.stat();
          const what = `key of the target "${name}"`;
          assertPrivate({ path: file, what, mode, platform: platform() });
        }
        return await handle.readFile('utf8');
      } finally {
        await handle.close();
      }
    } catch (cause) {
      if (isKeylineError(cause)) throw cause;
      throw new KeylineError(
        'FILE_UNREADABLE',
        `The file ${file} of the target "${name}" (targets.yaml) can't be read: ${messageOf(cause)}.`,
        { cause },
      );
    }
  };
  const files = {
    ca: await read(ca),
    cert: await read(certificate),
    key: await read(key, true),
  };
  assertPair(name, files);
  return () => {
    const { ca: ownCa, cert: ownCert, key: ownKey } = own();
    return { ca: files.ca ?? ownCa, cert: files.cert ?? ownCert, key: files.key ?? ownKey };
  };
}
