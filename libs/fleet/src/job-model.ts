// A job: one change of many devices, done one by one at a bounded rate. Plain data, the same on every store.
import type { RevocationReason } from '@keyline/pki';
import type { CallerRole, DeviceState, Labels } from './model.ts';

export const jobActions = ['revoke', 'suspend', 'resume', 'decommission', 'label'] as const;
export type JobAction = (typeof jobActions)[number];

/**
 * `selecting`: which devices it is for is being written down. `waiting`: that is known, and somebody must say how many there are before
 * anything is done. `stopped`: by somebody, and can be started again. `done`: every device has its result.
 */
export type JobState = 'selecting' | 'waiting' | 'running' | 'stopped' | 'done';

/** Which devices; of what is not given, any. */
export interface JobSelection {
  readonly state?: DeviceState | undefined;
  readonly type?: string | undefined;
  readonly batch?: string | undefined;
  /** `name=value`. */
  readonly label?: string | undefined;
  /** Prefix of the id. */
  readonly q?: string | undefined;
}

export interface JobInput {
  readonly reason?: RevocationReason | undefined;
  readonly set?: Labels | undefined;
  readonly remove?: readonly string[] | undefined;
  /** Null: devices were named one by one. */
  readonly select: JobSelection | null;
}

/** Whoever asked for it, as far as it is kept: with the certificate or token by which the right was proved. */
export interface JobCaller {
  readonly role: CallerRole;
  readonly name: string;
  readonly via: 'certificate' | 'token';
  /** Serial of the certificate; absent for a token, whose id is the name. */
  readonly serial?: string | undefined;
  readonly address?: string | undefined;
}

export interface JobCounts {
  readonly total: number;
  readonly changed: number;
  /** Were so already. */
  readonly unchanged: number;
  readonly failed: number;
}

export interface Job extends JobCounts {
  readonly id: string;
  readonly action: JobAction;
  readonly input: JobInput;
  readonly caller: JobCaller;
  readonly state: JobState;
  /** Devices a second, at most. */
  readonly rate: number;
  /** How far the selection is. */
  readonly cursor: string | null;
  readonly createdAt: number;
  readonly startedAt: number | null;
  /** When it was done, or stopped last. */
  readonly endedAt: number | null;
  /** Why it was stopped, when it was not by a caller's word. */
  readonly note: string | null;
}

export type JobResultStatus = 'pending' | 'changed' | 'unchanged' | 'failed';

export interface JobResult {
  readonly device: string;
  readonly status: JobResultStatus;
  /** Error code and sentence of one that failed. */
  readonly code: string | null;
  readonly detail: string | null;
  readonly at: number | null;
  /** The ledger entry that changed it. */
  readonly seq: number | null;
}
