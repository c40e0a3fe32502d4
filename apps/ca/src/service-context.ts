// What the routes are given.
import type { AddressesView, AlertChannelView, Health } from '@keyline/api';
import type { Authorities } from '@keyline/authorities';
import type { ServiceConfig } from '@keyline/config';
import type { Caller, FleetContext } from '@keyline/fleet';
import type { AuthorityKeys } from '@keyline/keys';
import type { CrlPublisher } from '@keyline/status';
import type { RoleApplication } from './apply-roles.ts';
import type { BrokerDirectory } from './broker-directory.ts';
import type { DiskReserve } from './disk-reserve.ts';
import type { PresenceViews } from './broker-presence.ts';
import type { Effects } from './effects.ts';
import type { LiveAccess } from './live-access.ts';
import type { SecondAdministrator } from './second-administrator.ts';
import type { RunningJobs } from './start-jobs.ts';
import type { OwnOrigins } from './own-origin.ts';

export interface ServiceContext {
  readonly fleet: FleetContext;
  readonly effects: Effects;
  readonly presence: PresenceViews;
  readonly access: LiveAccess;
  readonly roleApplication: RoleApplication;
  readonly limits: ServiceConfig['limits'];
  readonly rateLimits: ServiceConfig['rateLimits'];
  readonly brokers: BrokerDirectory;
  readonly reserve: DiskReserve;
  readonly listeners: ServiceConfig['listeners'];
  readonly origins: OwnOrigins;
  readonly authorities: Authorities;
  readonly second: SecondAdministrator;
  readonly jobs: RunningJobs;
  readonly keys: AuthorityKeys;
  readonly crl: CrlPublisher;
  /** Where a root's CRL is served once one was brought. */
  readonly rootCrlUrl: (root: string) => string;
  /** Everything that stands on the list of authorities follows it: call after one was installed, activated or retired. */
  authoritiesChanged(): Promise<void>;
  /** Each is asked whether it could deliver, now and then. */
  alertChannels(): Promise<readonly AlertChannelView[]>;
  /** How it is called, and was before. */
  addresses(): AddressesView;
  health(): Promise<Health>;
}

/** A caller that the guard has admitted; a route that admits `anyone` has none. */
export function requireCaller(caller: Caller | undefined): Caller {
  if (caller === undefined) throw new Error('a route without a guard asked for its caller');
  return caller;
}
