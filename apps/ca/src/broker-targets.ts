// The brokers that identities are pushed to, of targets.yaml and our own, and what becomes of their reports.
import type { TargetConfig } from '@keyline/config';
import type { FleetContext } from '@keyline/fleet';
import type { LeasedFollower, RunningLeasedFollower } from '@keyline/ledger';
import {
  openUnusableTarget,
  runTarget,
  targetKinds,
  type RunningTarget,
  type TargetCredentials,
} from '@keyline/targets';
import type { Logger } from 'pino';
import { createPresenceRecord } from './broker-presence.ts';
import { judgeReport, judgeReports } from './broker-reports.ts';

export interface BrokerTargetOptions {
  readonly fleet: FleetContext;
  /** Starts to follow the ledger; ending it is the caller's. */
  readonly follow: (follower: LeasedFollower) => Promise<RunningLeasedFollower>;
  readonly log: Logger;
}

export type BrokerTarget = RunningTarget;

export function startBrokerTarget(
  spec: Pick<TargetConfig, 'name' | 'kind' | 'url' | 'exclusive'> & {
    /** Asked for at each connection, so that a renewed certificate is used at the next. */
    readonly credentials: () => TargetCredentials;
  },
  { fleet, follow, log }: BrokerTargetOptions,
): Promise<BrokerTarget> {
  const { store, clock, types, roles } = fleet;
  return runTarget({
    open: (events) => targetKinds[spec.kind](spec, events),
    ...{ roles, types, clock, follow, log, fleet: store, exclusive: spec.exclusive },
    presence: createPresenceRecord({ store, clock }),
    judge: (reports, target, onFailure) =>
      judgeReports(
        reports,
        (report) => judgeReport({ store, clock, types, target }, report),
        onFailure,
      ),
  });
}

/**
 * One that can't be used as targets.yaml has it. It is there all the same, and takes nothing: what it should know is pending, and nobody is
 * told that it knows it.
 * @param given.reason what to mend
 */
export async function startUnusableTarget(
  { name, reason }: { readonly name: string; readonly reason: string },
  { fleet, follow, log }: BrokerTargetOptions,
): Promise<BrokerTarget> {
  const { store, clock, types, roles } = fleet;
  const target = await runTarget({
    open: () => openUnusableTarget(name, reason),
    ...{ roles, types, clock, follow, log, fleet: store, exclusive: false },
    judge: () => Promise.resolve([]),
    presence: createPresenceRecord({ store, clock }),
  });
  return { ...target, lastError: () => reason, behindFor: () => Infinity };
}
