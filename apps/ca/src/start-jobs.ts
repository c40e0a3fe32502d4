// Jobs are done by the one service that has their lease; another goes on with them when that service ends.
import { startJobRunner, type FleetContext, type JobRunner } from '@keyline/fleet';
import type { Leases } from '@keyline/ledger';
import type { Logger } from 'pino';

export interface RunningJobs {
  /** There may be something to do at once. A service without the lease leaves it to the one that has it. */
  wake(): void;
}

export async function startJobs(options: {
  readonly fleet: FleetContext;
  readonly leases: Leases;
  readonly log: Logger;
}): Promise<RunningJobs> {
  const { fleet, leases, log } = options;
  let runner: JobRunner | undefined;
  await leases.contend('jobs', {
    begin(hold) {
      runner = startJobRunner({ context: fleet, hold, log });
      return Promise.resolve();
    },
    async end() {
      const ending = runner;
      runner = undefined;
      await ending?.stop();
    },
  });
  return {
    wake() {
      runner?.wake();
    },
  };
}
