// What the routes are given.
import type { AuthorityList, Health } from '@keyline/api';
import type { ServiceConfig } from '@keyline/config';
import type { Caller, FleetContext } from '@keyline/fleet';
import type { Effects } from './effects.ts';

export interface ServiceContext {
  readonly fleet: FleetContext;
  readonly effects: Effects;
  readonly limits: ServiceConfig['limits'];
  readonly rateLimits: ServiceConfig['rateLimits'];
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
