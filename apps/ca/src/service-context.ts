// What the routes are given.
import type { AuthorityList, Health } from '@keyline/api';
import type { Caller, FleetContext } from '@keyline/fleet';
import type { Effects } from './effects.ts';

export interface ServiceLimits {
  /** Bytes of a JSON body. */
  readonly bodyBytes: number;
  /** Bytes of one line of a bulk request. */
  readonly lineBytes: number;
  /** Units of one bulk request that are worked on at once. */
  readonly bulkWindow: number;
  /** Milliseconds an enrollment may wait for the brokers. */
  readonly provisionWait: number;
  /** Milliseconds a change with `wait` may wait for every effect. */
  readonly effectWait: number;
}

export interface ServiceContext {
  readonly fleet: FleetContext;
  readonly effects: Effects;
  readonly limits: ServiceLimits;
  readonly brokerUrl: string;
  /** PEM of the issuing CA (and any above it but the root). */
  readonly chain: readonly string[];
  /** PEM of the root(s). */
  readonly trustBundle: string;
  authorities(): AuthorityList['items'];
  health(): Promise<Health>;
}

/** A caller that the guard has admitted; a route that admits `anyone` has none. */
export function requireCaller(caller: Caller | undefined): Caller {
  if (caller === undefined) throw new Error('a route without a guard asked for its caller');
  return caller;
}
