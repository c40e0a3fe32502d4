// What a command is given and gives back; the parts that clients, groups and roles share.
import type { UnlistedReports } from './admitted-certificates.ts';
import type { Effects } from './effects.ts';
import {
  isFields,
  readField,
  readFlag,
  readInteger,
  readPriority,
  readText,
  Refusal,
  type Fields,
} from './fields.ts';
import type { SortedNames } from './sorted-names.ts';
import { inOrder, type DynsecState, type Membership, type Role } from './state.ts';
import type { ConnectionInfo, TellPresence } from './session.ts';

export interface CommandContext {
  readonly state: DynsecState;
  readonly effects: Effects;
  /** Hash of the command's `password`, when it has one that is not empty. */
  readonly passwordHash: string | undefined;
  readonly reports: UnlistedReports;
  readonly connectionsOf: (username: string) => readonly ConnectionInfo[];
  /** Undefined: nobody keeps a book of it. */
  readonly tellPresence: TellPresence | undefined;
}

/**
 * Checks everything, then changes: when it throws, nothing was changed.
 * @returns the answer's `data`, if it has any
 * @throws {Refusal} with the answer's `error`
 */
export type Command = (given: Fields, context: CommandContext) => object | undefined;

export function found<Kind>(kind: Kind | undefined, refusal: string): Kind {
  if (kind === undefined) throw new Refusal(refusal);
  return kind;
}

/** The `roles` of createClient, modifyClient, createGroup and modifyGroup; undefined when absent. @throws {Refusal} */
export function readRoles(
  given: Fields,
  state: DynsecState,
  refusal = "'roles' not an array or missing/invalid rolename",
): readonly Membership<Role>[] | undefined {
  const list = readField(given, 'roles');
  if (list === undefined) return undefined;
  if (!Array.isArray(list)) throw new Refusal(refusal);
  const roles = list.map((entry: unknown) => {
    const name = isFields(entry) ? readText(entry, 'rolename') : undefined;
    if (name === undefined) throw new Refusal(refusal);
    const of = found(state.roles.get(name), 'Role not found');
    return { of, priority: readPriority(entry as Fields, -1) };
  });
  return inOrder(roles);
}

/** Entries of `clients` or `groups`; what is no object is passed over, what is no list is not there. */
export function readMembers(given: Fields, name: 'clients' | 'groups'): Fields[] | undefined {
  const list = readField(given, name);
  return Array.isArray(list) ? list.filter(isFields) : undefined;
}

/** A page of a list. As Mosquitto does: count 0 gives one. */
export function listPage<Kind>(
  given: Fields,
  names: SortedNames,
  kinds: ReadonlyMap<string, Kind>,
  describe: (kind: Kind) => object,
): { readonly totalCount: number; readonly page: readonly (object | string)[] } {
  const count = readInteger(given, 'count', -1);
  const offset = Math.max(0, readInteger(given, 'offset', 0));
  const end = count < 0 ? undefined : offset + Math.max(1, count);
  const page = names.all().slice(offset, end);
  return {
    totalCount: kinds.size,
    page:
      readFlag(given, 'verbose') === true
        ? page.flatMap((name) => {
            const kind = kinds.get(name);
            return kind === undefined ? [] : [describe(kind)];
          })
        : page,
  };
}
