// Commands about clients. Order of checks and words are Mosquitto's: scripts match on them.
import { joinSerials } from './admitted-certificates.ts';
import {
  found,
  listPage,
  readMembers,
  readRoles,
  type Command,
  type CommandContext,
} from './command.ts';
import { describeClient, listGroups } from './documents.ts';
import {
  readField,
  readName,
  readNewName,
  readOptionalText,
  readPriority,
  readText,
  Refusal,
  type Fields,
} from './fields.ts';
import { isName } from './names.ts';
import { normalizeSerial } from './serial.ts';
import {
  Client,
  inOrder,
  without,
  type DynsecState,
  type Group,
  type Membership,
} from './state.ts';

const createClient: Command = (given, { state, passwordHash }) => {
  const username = readNewName(given, 'username');
  readOptionalText(given, 'password', 'Invalid/missing password');
  const clientId = readOptionalText(given, 'clientid', 'Invalid/missing client id');
  if (clientId !== undefined && !isName(clientId)) {
    throw new Refusal('Client ID not valid UTF-8');
  }
  const textName = readOptionalText(given, 'textname', 'Invalid/missing textname');
  const textDescription = readOptionalText(
    given,
    'textdescription',
    'Invalid/missing textdescription',
  );
  if (state.clients.has(username)) throw new Refusal('Client already exists');
  const roles = readRoles(given, state);
  const groups: Membership<Group>[] = [];
  for (const entry of readMembers(given, 'groups') ?? []) {
    const name = readText(entry, 'groupname');
    if (name === undefined) continue;
    const of = found(state.groups.get(name), 'Group not found');
    if (groups.some((group) => group.of === of)) throw new Refusal('Internal error');
    groups.push({ of, priority: readPriority(entry, -1) });
  }

  const serials = readSerials(given, state.uses.get(username)?.serial);

  const client = new Client(username);
  client.serials = serials;
  client.clientId = clientId === '' ? undefined : clientId;
  client.textName = textName;
  client.textDescription = textDescription;
  // An empty password is none: Mosquitto would let such a client in without one.
  client.password = passwordHash;
  state.putClient(client);
  if (roles !== undefined) state.setClientRoles(client, roles);
  if (groups.length > 0) state.setClientGroups(client, inOrder(groups));
  return undefined;
};

/**
 * Keyline's own: the certificates it may come with (admitCertificates).
 * @param used the issuing CA may not know yet that this one was used, and what was before it is good no more
 */
function readSerials(given: Fields, used: string | undefined): string | undefined {
  const serials = readField(given, 'serials');
  if (serials === undefined) return undefined;
  if (!Array.isArray(serials)) throw new Refusal('Invalid serials');
  const normal = serials.map((serial: unknown) =>
    found(typeof serial === 'string' ? normalizeSerial(serial) : undefined, 'Invalid serial'),
  );
  return joinSerials(normal.slice(Math.max(0, normal.indexOf(used ?? ''))));
}

const modifyClient: Command = (given, { state, effects, passwordHash }) => {
  const client = findClient(given, state);
  const clientId = readText(given, 'clientid');
  const textName = readText(given, 'textname');
  const textDescription = readText(given, 'textdescription');
  const roles = readRoles(given, state);
  const groups = readMembers(given, 'groups')?.map((entry) => {
    const name = readText(entry, 'groupname');
    if (name === undefined) {
      throw new Refusal("'groups' contains an object with an invalid 'groupname'");
    }
    const of = found(
      state.groups.get(name),
      "'groups' contains an object with a 'groupname' that does not exist",
    );
    return { of, priority: readPriority(entry, -1) };
  });

  if (groups !== undefined) state.setClientGroups(client, inOrder(groups));
  if (passwordHash !== undefined) client.password = passwordHash;
  if (clientId !== undefined) client.clientId = clientId === '' ? undefined : clientId;
  if (textName !== undefined) client.textName = textName;
  if (textDescription !== undefined) client.textDescription = textDescription;
  if (roles !== undefined) state.setClientRoles(client, roles);
  state.touchClient(client);
  effects.kickClient(client);
  return undefined;
};

const deleteClient: Command = (given, { state, effects }) => {
  const username = found(readText(given, 'username'), 'Invalid/missing username');
  const client = found(state.clients.get(username), 'Client not found');
  state.deleteClient(client);
  effects.kickClient(client);
  return undefined;
};

const enableClient: Command = (given, { state, effects }) => {
  const client = findClient(given, state);
  client.disabled = false;
  state.touchClient(client);
  effects.changeRights(client);
  return undefined;
};

const disableClient: Command = (given, { state, effects }) => {
  const client = findClient(given, state);
  client.disabled = true;
  state.touchClient(client);
  effects.kickClient(client);
  return undefined;
};

const setClientId: Command = (given, { state, effects }) => {
  const username = readName(given, 'username');
  const clientId = readOptionalText(given, 'clientid', 'Invalid/missing client ID');
  if (clientId !== undefined && !isName(clientId)) {
    throw new Refusal('Client ID not valid UTF-8');
  }
  const client = found(state.clients.get(username), 'Client not found');
  client.clientId = clientId === '' ? undefined : clientId;
  state.touchClient(client);
  effects.kickClient(client);
  return undefined;
};

const setClientPassword: Command = (given, { state, effects, passwordHash }) => {
  const username = readName(given, 'username');
  found(readText(given, 'password'), 'Invalid/missing password');
  const password = found(passwordHash, 'Empty password is not allowed');
  const client = found(state.clients.get(username), 'Client not found');
  client.password = password;
  state.touchClient(client);
  effects.kickClient(client);
  return undefined;
};

const getClient: Command = (given, context) => ({
  client: tellClient(findClient(given, context.state), context),
});

const listClients: Command = (given, context) => {
  const { clientNames, clients } = context.state;
  const { totalCount, page } = listPage(given, clientNames, clients, (client) =>
    tellClient(client, context),
  );
  return { totalCount, clients: page };
};

const addClientRole: Command = (given, { state, effects }) => {
  const username = readName(given, 'username');
  const rolename = readName(given, 'rolename');
  const client = found(state.clients.get(username), 'Client not found');
  const of = found(state.roles.get(rolename), 'Role not found');
  if (client.roles.some((held) => held.of === of)) throw new Refusal('Internal error');
  const membership = { of, priority: readPriority(given, -1) };
  state.setClientRoles(client, inOrder([...client.roles, membership]));
  effects.kickClient(client);
  return undefined;
};

const removeClientRole: Command = (given, { state, effects }) => {
  const username = readName(given, 'username');
  const rolename = readName(given, 'rolename');
  const client = found(state.clients.get(username), 'Client not found');
  const role = found(state.roles.get(rolename), 'Role not found');
  state.setClientRoles(client, without(client.roles, role));
  effects.kickClient(client);
  return undefined;
};

function findClient(given: Fields, state: DynsecState): Client {
  return found(state.clients.get(readName(given, 'username')), 'Client not found');
}

function tellClient(client: Client, { connectionsOf }: CommandContext): object {
  return {
    ...describeClient(client),
    groups: listGroups(client.groups),
    connections: connectionsOf(client.name).map(({ address }) => ({ address })),
  };
}

export const clientCommands = {
  createClient,
  modifyClient,
  deleteClient,
  enableClient,
  disableClient,
  setClientId,
  setClientPassword,
  getClient,
  listClients,
  addClientRole,
  removeClientRole,
} satisfies Record<string, Command>;
