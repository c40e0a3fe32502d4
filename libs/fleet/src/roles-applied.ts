// Who took changed roles up, and which: on record before they run, and how the services of a shared database hear of it.
import { entryBy, type Caller } from './caller.ts';
import { commitOrThrow, conflict, type FleetContext } from './context.ts';

/**
 * @param command.changed `role:device`, `type:sensor`
 * @returns seq of the entry
 */
export async function noteRolesApplied(
  context: Pick<FleetContext, 'store' | 'clock'>,
  { caller, changed }: { readonly caller: Caller; readonly changed: readonly string[] },
): Promise<number> {
  const data = { kind: 'roles-applied', subject: 'roles', changed } as const;
  const entry = { at: context.clock.now(), ...entryBy(caller), data };
  const { seq } = await commitOrThrow(context, { writes: [], entries: [entry] }, conflict);
  return seq;
}
