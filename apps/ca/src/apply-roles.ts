// `keyline role apply`: changed roles are taken up from their files, on record, running, and on their way to every broker.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ApplyRolesResponse } from '@keyline/api';
import { noteRolesApplied, type Caller, type FleetContext } from '@keyline/fleet';
import { isKeylineError, messageOf } from '@keyline/kernel';
import type { Feed } from '@keyline/ledger';
import type { Logger } from 'pino';
import type { TargetView } from './effects.ts';
import type { LiveAccess } from './live-access.ts';

export interface RoleApplication {
  /** @throws {KeylineError} CONFIG_INVALID, FILE_NOT_FOUND: then everything is as it was */
  apply(caller: Caller): Promise<ApplyRolesResponse>;
}

export function createRoleApplication(given: {
  readonly fleet: FleetContext;
  readonly access: LiveAccess;
  readonly targets: readonly TargetView[];
  readonly feed: Pick<Feed, 'join'>;
  /** Milliseconds that brokers are waited for; what is not done by then follows by itself. */
  readonly patience: number;
  readonly log: Logger;
}): RoleApplication {
  const { fleet, access, targets, feed, patience, log } = given;
  let turn: Promise<unknown> = Promise.resolve();
  /** Entries of this service that it has not heard of yet. */
  const own = new Set<number>();
  /** Two at once would each push what the other has taken back. */
  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work);
    turn = result.catch(() => undefined);
    return result;
  }

  async function push(target: TargetView): Promise<ApplyRolesResponse['targets'][number]> {
    const pushing = target.rolesChanged().then(
      () => null,
      (error: unknown) => (isKeylineError(error) ? error.detail : messageOf(error)),
    );
    const late = sleep(patience, 'It is still being compared.', { ref: false });
    const pending = await Promise.race([pushing, late]);
    const aclFile = target.fillsNames() === false;
    return { target: target.name, done: pending === null, pending, aclFile };
  }

  /** Another service that shares the database has applied them: its files are the same. */
  async function follow(): Promise<void> {
    try {
      const { changed, use } = await access.read();
      if (changed.length === 0) return;
      use();
      await Promise.all(targets.map(push));
    } catch (error) {
      log.error(
        { err: error },
        `Another service has applied roles, and this one could not take them up: ${messageOf(error)}`,
      );
    }
  }

  feed.join({
    name: 'roles',
    state: undefined,
    apply(_state, entries) {
      for (const { seq, data } of entries) {
        if (data.kind !== 'roles-applied') continue;
        // In turn, the own ones are known: files may have changed since, and nobody has applied that.
        void inTurn(() => (own.delete(seq) ? Promise.resolve() : follow()));
      }
    },
  });

  return {
    apply: (caller) =>
      inTurn(async () => {
        const { changed, waiting, use } = await access.read();
        if (changed.length > 0) own.add(await noteRolesApplied(fleet, { caller, changed }));
        use();
        // Also where nothing changed: somebody wants to know that every broker has it.
        return {
          changed: [...changed],
          waiting: [...waiting],
          targets: await Promise.all(targets.map(push)),
        };
      }),
  };
}
