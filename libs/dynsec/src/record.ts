// One payload's changes as one record of the journal: not the commands but what they came to, whole documents of what was touched.
// So a record can be read again and again, by any later version, with the same result.
import {
  describeGroup,
  describeRole,
  listGroups,
  loadClient,
  loadDefaults,
  loadGroup,
  loadRole,
  loadUses,
  readEntries,
  storeClient,
} from './documents.ts';
import { isFields, readField, readText, type Fields } from './fields.ts';
import type { DynsecState, Touched } from './state.ts';

export interface ChangeRecord {
  /** One more than the record before. */
  readonly n: number;
  /** The change index this record leads to. Records of earlier versions have none. */
  readonly changeIndex?: number;
  readonly gone?: {
    readonly clients: readonly string[];
    readonly groups: readonly string[];
    readonly roles: readonly string[];
  };
  readonly roles?: readonly object[];
  readonly groups?: readonly object[];
  readonly clients?: readonly object[];
  readonly defaults?: object;
  /** Empty: no group. */
  readonly anonymousGroup?: string;
  readonly serials?: readonly string[];
  /** Uses of successors to be told; without a serial: there is none any more. */
  readonly uses?: readonly object[];
}

export function createRecord(state: DynsecState, touched: Touched): ChangeRecord {
  const { deletedClients, deletedGroups, deletedRoles } = touched;
  const gone = deletedClients.size + deletedGroups.size + deletedRoles.size > 0;
  return {
    n: state.recordIndex,
    changeIndex: state.changeIndex,
    ...(gone
      ? {
          gone: {
            clients: [...deletedClients],
            groups: [...deletedGroups],
            roles: [...deletedRoles],
          },
        }
      : {}),
    ...(touched.roles.size > 0
      ? { roles: found(touched.roles, state.roles).map(describeRole) }
      : {}),
    ...(touched.groups.size > 0
      ? { groups: found(touched.groups, state.groups).map(describeGroup) }
      : {}),
    ...(touched.clients.size > 0
      ? {
          clients: found(touched.clients, state.clients).map((client) => ({
            ...storeClient(client),
            groups: listGroups(client.groups),
          })),
        }
      : {}),
    ...(touched.defaults ? { defaults: state.defaults } : {}),
    ...(touched.anonymousGroup ? { anonymousGroup: state.anonymousGroup?.name ?? '' } : {}),
    ...(touched.serials.length > 0 ? { serials: touched.serials } : {}),
    ...(touched.uses.size > 0
      ? { uses: [...touched.uses].map((username) => ({ username, ...state.uses.get(username) })) }
      : {}),
  };
}

function found<Kind>(names: ReadonlySet<string>, kinds: ReadonlyMap<string, Kind>): Kind[] {
  const list: Kind[] = [];
  for (const name of names) {
    const kind = kinds.get(name);
    if (kind !== undefined) list.push(kind);
  }
  return list;
}

/** What is gone goes first: a name that was deleted and made again in one payload is in both lists. */
export function applyRecord(state: DynsecState, record: Fields): void {
  const gone = readField(record, 'gone');
  if (isFields(gone)) {
    each(gone, 'clients', state.clients, (client) => state.deleteClient(client));
    each(gone, 'groups', state.groups, (group) => state.deleteGroup(group));
    each(gone, 'roles', state.roles, (role) => state.deleteRole(role));
  }
  for (const role of readEntries(record, 'roles')) loadRole(state, role);
  for (const group of readEntries(record, 'groups')) loadGroup(state, group);
  for (const client of readEntries(record, 'clients')) loadClient(state, client);
  const defaults = readField(record, 'defaults');
  if (isFields(defaults)) loadDefaults(state, defaults);
  const anonymousGroup = readText(record, 'anonymousGroup');
  if (anonymousGroup !== undefined) state.setAnonymousGroup(state.groups.get(anonymousGroup));
  for (const serial of readTexts(record, 'serials')) state.revoke(serial);
  loadUses(state, record);
  const changeIndex = readField(record, 'changeIndex');
  state.changeIndex = Number.isSafeInteger(changeIndex)
    ? (changeIndex as number)
    : state.changeIndex + 1;
}

function each<Kind>(
  gone: Fields,
  name: string,
  kinds: ReadonlyMap<string, Kind>,
  remove: (kind: Kind) => void,
): void {
  for (const text of readTexts(gone, name)) {
    const kind = kinds.get(text);
    if (kind !== undefined) remove(kind);
  }
}

function readTexts(record: Fields, name: string): string[] {
  const list = readField(record, name);
  return Array.isArray(list)
    ? list.filter((entry): entry is string => typeof entry === 'string')
    : [];
}
