// Commands about groups. Order of checks and words are Mosquitto's: scripts match on them.
import { found, listPage, readMembers, readRoles, type Command } from './command.ts';
import { describeGroup } from './documents.ts';
import {
  readName,
  readNewName,
  readOptionalText,
  readPriority,
  readText,
  Refusal,
  type Fields,
} from './fields.ts';
import { Group, inOrder, without, type Client, type DynsecState } from './state.ts';

const createGroup: Command = (given, { state }) => {
  const groupname = readNewName(given, 'groupname');
  const textName = readOptionalText(given, 'textname', 'Invalid/missing textname');
  const textDescription = readOptionalText(
    given,
    'textdescription',
    'Invalid/missing textdescription',
  );
  if (state.groups.has(groupname)) throw new Refusal('Group already exists');
  const roles = readRoles(given, state, 'Internal error');

  const group = new Group(groupname);
  group.textName = textName;
  group.textDescription = textDescription;
  state.putGroup(group);
  if (roles !== undefined) state.setGroupRoles(group, roles);
  return undefined;
};

const modifyGroup: Command = (given, { state, effects }) => {
  const group = findGroup(given, state);
  const textName = readText(given, 'textname');
  const textDescription = readText(given, 'textdescription');
  const roles = readRoles(given, state);
  const members = readMembers(given, 'clients')?.map((entry) => {
    const name = readText(entry, 'username');
    if (name === undefined) {
      throw new Refusal("'clients' contains an object with an invalid 'username'");
    }
    const client = found(
      state.clients.get(name),
      "'clients' contains an object with a 'username' that does not exist",
    );
    return { client, priority: readPriority(entry, -1) };
  });

  effects.kickGroup(group);
  if (members !== undefined) {
    // Those who leave are cut as well as those who come.
    effects.settle(state);
    for (const client of [...group.clients]) {
      state.setClientGroups(client, without(client.groups, group));
    }
    for (const { client, priority } of members) {
      if (!group.clients.has(client)) join(state, client, group, priority);
    }
    effects.kickGroup(group);
  }
  if (textName !== undefined) group.textName = textName;
  if (textDescription !== undefined) group.textDescription = textDescription;
  if (roles !== undefined) state.setGroupRoles(group, roles);
  state.touchGroup(group);
  return undefined;
};

const deleteGroup: Command = (given, { state, effects }) => {
  const group = findGroup(given, state);
  if (group === state.anonymousGroup) {
    throw new Refusal('Deleting the anonymous group is forbidden');
  }
  effects.kickGroup(group);
  effects.settle(state);
  state.deleteGroup(group);
  return undefined;
};

const getGroup: Command = (given, { state }) => ({ group: tellGroup(findGroup(given, state)) });

const listGroups: Command = (given, { state }) => {
  const { totalCount, page } = listPage(given, state.groupNames, state.groups, tellGroup);
  return { totalCount, groups: page };
};

const addGroupClient: Command = (given, { state, effects }) => {
  const { client, group } = findPair(given, state);
  if (group.clients.has(client)) throw new Refusal('Client is already in this group');
  join(state, client, group, readPriority(given, -1));
  effects.kickClient(client);
  return undefined;
};

const removeGroupClient: Command = (given, { state, effects }) => {
  const { client, group } = findPair(given, state);
  state.setClientGroups(client, without(client.groups, group));
  effects.kickClient(client);
  return undefined;
};

const addGroupRole: Command = (given, { state, effects }) => {
  const groupname = readName(given, 'groupname');
  const rolename = readName(given, 'rolename');
  const group = found(state.groups.get(groupname), 'Group not found');
  const of = found(state.roles.get(rolename), 'Role not found');
  if (group.roles.some((held) => held.of === of)) {
    throw new Refusal('Group is already in this role');
  }
  const membership = { of, priority: readPriority(given, -1) };
  state.setGroupRoles(group, inOrder([...group.roles, membership]));
  effects.kickGroup(group);
  return undefined;
};

const removeGroupRole: Command = (given, { state, effects }) => {
  const groupname = readName(given, 'groupname');
  const rolename = readName(given, 'rolename');
  const group = found(state.groups.get(groupname), 'Group not found');
  const role = found(state.roles.get(rolename), 'Role not found');
  state.setGroupRoles(group, without(group.roles, role));
  effects.kickGroup(group);
  return undefined;
};

const setAnonymousGroup: Command = (given, { state, effects }) => {
  state.setAnonymousGroup(findGroup(given, state));
  effects.kickAnonymous();
  return undefined;
};

const getAnonymousGroup: Command = (_given, { state }) => ({
  group: { groupname: state.anonymousGroup?.name ?? '' },
});

function findGroup(given: Fields, state: DynsecState): Group {
  return found(state.groups.get(readName(given, 'groupname')), 'Group not found');
}

function findPair(given: Fields, state: DynsecState): { client: Client; group: Group } {
  const username = readName(given, 'username');
  const groupname = readName(given, 'groupname');
  return {
    client: found(state.clients.get(username), 'Client not found'),
    group: found(state.groups.get(groupname), 'Group not found'),
  };
}

function join(state: DynsecState, client: Client, of: Group, priority: number): void {
  state.setClientGroups(client, inOrder([...client.groups, { of, priority }]));
}

function tellGroup(group: Group): object {
  const { roles, ...described } = describeGroup(group);
  return {
    ...described,
    clients: [...group.clients].map(({ name }) => ({ username: name })),
    roles,
  };
}

export const groupCommands = {
  createGroup,
  modifyGroup,
  deleteGroup,
  getGroup,
  listGroups,
  addGroupClient,
  removeGroupClient,
  addGroupRole,
  removeGroupRole,
  setAnonymousGroup,
  getAnonymousGroup,
} satisfies Record<string, Command>;
