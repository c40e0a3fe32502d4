// Clients, groups and roles as Mosquitto writes them in JSON: in its file, in answers, and in our journal.
import { joinSerials, listedSerials } from './admitted-certificates.ts';
import { listAcls, readAcls } from './acl.ts';
import { isFields, readField, readFlag, readInteger, readPriority, readText } from './fields.ts';
import type { Fields } from './fields.ts';
import { joinPassword, splitPassword } from './passwords.ts';
import {
  Client,
  Group,
  inOrder,
  Role,
  type DefaultAccess,
  type DynsecState,
  type Membership,
} from './state.ts';

const defaultPriority = -1;

export function listRoles(roles: readonly Membership<Role>[]): object[] {
  return roles.map(({ of, priority }) =>
    priority === defaultPriority ? { rolename: of.name } : { rolename: of.name, priority },
  );
}

export function listGroups(groups: readonly Membership<Group>[]): object[] {
  return groups.map(({ of, priority }) =>
    priority === defaultPriority ? { groupname: of.name } : { groupname: of.name, priority },
  );
}

/** What an answer tells of a client: everything but its password. */
export function describeClient(client: Client): Record<string, unknown> {
  return {
    username: client.name,
    ...(client.clientId === undefined ? {} : { clientid: client.clientId }),
    ...(client.textName === undefined ? {} : { textname: client.textName }),
    ...(client.textDescription === undefined ? {} : { textdescription: client.textDescription }),
    ...(client.disabled ? { disabled: true } : {}),
    // Keyline's own: Mosquitto passes over what it does not know.
    ...(client.serials === undefined ? {} : { serials: listedSerials(client) }),
    roles: listRoles(client.roles),
  };
}

/** What the file keeps of a client. */
export function storeClient(client: Client): Record<string, unknown> {
  const stored = describeClient(client);
  if (client.password === undefined) return stored;
  return {
    ...stored,
    ...(splitPassword(client.password) ?? { encoded_password: client.password }),
  };
}

export function describeGroup(group: Group): Record<string, unknown> {
  return {
    groupname: group.name,
    ...(group.textName === undefined ? {} : { textname: group.textName }),
    ...(group.textDescription === undefined ? {} : { textdescription: group.textDescription }),
    roles: listRoles(group.roles),
  };
}

export function listMembers(group: Group): object[] {
  return [...group.clients].map((client) => {
    const priority = client.groups.find(({ of }) => of === group)?.priority ?? defaultPriority;
    return priority === defaultPriority
      ? { username: client.name }
      : { username: client.name, priority };
  });
}

export function describeRole(role: Role): Record<string, unknown> {
  return {
    rolename: role.name,
    ...(role.textName === undefined ? {} : { textname: role.textName }),
    ...(role.textDescription === undefined ? {} : { textdescription: role.textDescription }),
    allowwildcardsubs: role.allowWildcardSubs,
    acls: listAcls(role.acls),
    // Keyline's own, too.
    ...(role.rates.messages > 0 ? { messagerate: role.rates.messages } : {}),
    ...(role.rates.bytes > 0 ? { byterate: role.rates.bytes } : {}),
  };
}

/** Entries of a list in a document; what is no object is passed over. */
export function readEntries(document: Fields, name: string): Fields[] {
  const list = readField(document, name);
  return Array.isArray(list) ? list.filter(isFields) : [];
}

/** Puts the role there, or over the one of this name: its memberships stay. A document without a name is passed over. */
export function loadRole(state: DynsecState, document: Fields): void {
  const name = readText(document, 'rolename') ?? '';
  if (name === '') return;
  const role = state.roles.get(name) ?? new Role(name);
  role.textName = readText(document, 'textname');
  role.textDescription = readText(document, 'textdescription');
  role.allowWildcardSubs = readFlag(document, 'allowwildcardsubs') ?? true;
  role.rates = {
    messages: toRate(readField(document, 'messagerate')) ?? 0,
    bytes: toRate(readField(document, 'byterate')) ?? 0,
  };
  const acls = readField(document, 'acls');
  role.acls = readAcls(Array.isArray(acls) ? (acls as unknown[]) : []);
  state.putRole(role);
}

/** Roles that do not exist are passed over. */
export function loadGroup(state: DynsecState, document: Fields): void {
  const name = readText(document, 'groupname') ?? '';
  if (name === '') return;
  const group = state.groups.get(name) ?? new Group(name);
  group.textName = readText(document, 'textname');
  group.textDescription = readText(document, 'textdescription');
  state.putGroup(group);
  state.setGroupRoles(group, loadRoles(state, document));
}

/** Mosquitto keeps memberships in the group's document, the journal in the client's. */
export function loadMembers(state: DynsecState, document: Fields): void {
  const group = state.groups.get(readText(document, 'groupname') ?? '');
  if (group === undefined) return;
  for (const entry of readEntries(document, 'clients')) {
    const client = state.clients.get(readText(entry, 'username') ?? '');
    if (client === undefined || group.clients.has(client)) continue;
    const membership = { of: group, priority: readPriority(entry, defaultPriority) };
    state.setClientGroups(client, inOrder([...client.groups, membership]));
  }
}

/** Roles and groups that do not exist are passed over; without a list of groups its groups stay. */
export function loadClient(state: DynsecState, document: Fields): void {
  const name = readText(document, 'username') ?? '';
  if (name === '') return;
  const client = state.clients.get(name) ?? new Client(name);
  client.clientId = readText(document, 'clientid');
  client.textName = readText(document, 'textname');
  client.textDescription = readText(document, 'textdescription');
  client.disabled = readFlag(document, 'disabled') ?? false;
  client.password = loadPassword(document);
  client.serials = loadSerials(document);
  state.putClient(client);
  state.setClientRoles(client, loadRoles(state, document));
  if (readField(document, 'groups') !== undefined) {
    const groups: Membership<Group>[] = [];
    for (const entry of readEntries(document, 'groups')) {
      const of = state.groups.get(readText(entry, 'groupname') ?? '');
      if (of !== undefined) groups.push({ of, priority: readPriority(entry, defaultPriority) });
    }
    state.setClientGroups(client, inOrder(groups));
  }
}

/** In a second; 0: none. @returns undefined for what is no rate */
export function toRate(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
}

/** In a record or a snapshot. One without a serial takes back what was there. */
export function loadUses(state: DynsecState, document: Fields): void {
  for (const entry of readEntries(document, 'uses')) {
    const username = readText(entry, 'username') ?? '';
    const serial = readText(entry, 'serial');
    if (serial === undefined) state.settleUse(username, state.uses.get(username)?.serial ?? '');
    else state.putUse(username, { serial, address: readText(entry, 'address') ?? '' });
  }
}

function loadSerials(document: Fields): string | undefined {
  const serials = readField(document, 'serials');
  if (!Array.isArray(serials)) return undefined;
  return joinSerials(
    serials.filter((serial): serial is string => /^(?:[0-9a-f]{2}){1,20}$/.test(String(serial))),
  );
}

function loadPassword(document: Fields): string | undefined {
  const encoded = readText(document, 'encoded_password');
  if (encoded !== undefined) return encoded;
  const password = readText(document, 'password');
  const salt = readText(document, 'salt');
  const iterations = readInteger(document, 'iterations', 0);
  if (password === undefined || salt === undefined || iterations <= 0) return undefined;
  return joinPassword(password, salt, iterations);
}

function loadRoles(state: DynsecState, document: Fields): readonly Membership<Role>[] {
  const roles: Membership<Role>[] = [];
  for (const entry of readEntries(document, 'roles')) {
    const of = state.roles.get(readText(entry, 'rolename') ?? '');
    if (of !== undefined) roles.push({ of, priority: readPriority(entry, defaultPriority) });
  }
  return roles.length > 1 ? inOrder(roles) : roles;
}

/** Mosquitto takes what is missing here as forbidden. */
export function loadDefaults(state: DynsecState, document: Fields): void {
  const flag = (name: keyof DefaultAccess): boolean => readFlag(document, name) ?? false;
  state.setDefaults({
    publishClientSend: flag('publishClientSend'),
    publishClientReceive: flag('publishClientReceive'),
    subscribe: flag('subscribe'),
    unsubscribe: flag('unsubscribe'),
  });
}
