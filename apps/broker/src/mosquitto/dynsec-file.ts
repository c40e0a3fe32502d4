// dynamic-security.json before a start: made when it is missing, and otherwise only what Keyline must be able to rely on is put in.
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { compileRoles, defaultAccess } from '@keyline/targets';

export interface SupervisorLogin {
  readonly username: string;
  readonly password: string;
}

type Entry = Readonly<Record<string, unknown>>;
type State = Readonly<Record<string, unknown>>;

const adminRole = 'keyline-admin';
const supervisorRole = 'keyline-supervisor';
/** With an "@": no device can be called so. */
const supervisorPrefix = 'supervisor@';

/** New for each start, so that it is worth nothing afterwards. */
export function createLogin(): SupervisorLogin {
  return {
    username: `${supervisorPrefix}${randomBytes(16).toString('hex')}`,
    password: randomBytes(32).toString('base64url'),
  };
}

/**
 * Clients come in reverse order: Mosquitto puts each into sorted lists, and takes 10 s for 50,000 in order, 0.1 s in reverse.
 * @param text the file as it is; undefined: there is none
 * @returns undefined when the text is not such a file
 */
export function prepareState(
  text: string | undefined,
  { admins, login }: { readonly admins: readonly string[]; readonly login: SupervisorLogin },
): string | undefined {
  const found = text === undefined ? initialState : readState(text);
  if (found === undefined) return undefined;
  const clients = new Map<string, Entry>();
  for (const client of listOf(found, 'clients')) {
    const name = nameOf(client, 'username');
    // Of two with one name Mosquitto takes the first.
    if (!name.startsWith(supervisorPrefix) && !clients.has(name)) clients.set(name, client);
  }
  for (const username of admins) {
    const { disabled: _disabled, ...client } = clients.get(username) ?? { username };
    const roles = listOf(client, 'roles').filter((role) => nameOf(role, 'rolename') !== adminRole);
    clients.set(username, { ...client, roles: [...roles, { rolename: adminRole }] });
  }
  clients.set(login.username, withPassword(login));
  const roles = new Map(listOf(found, 'roles').map((role) => [nameOf(role, 'rolename'), role]));
  for (const role of [
    ...controlRoles(),
    ...compileRoles(new Map(), { fillsNames: false, limitsRates: false }),
  ]) {
    // The role of the denied is the target's: it puts right what differs, and here a change would come before it can.
    if (isOwn(role.rolename) || !roles.has(role.rolename)) roles.set(role.rolename, role);
  }
  return `${JSON.stringify({
    ...found,
    clients: [...clients.values()].toSorted(descending),
    groups: listOf(found, 'groups').map((group) => ({
      ...group,
      clients: listOf(group, 'clients').toSorted(descending),
    })),
    roles: [...roles.values()],
  })}\n`;
}

const initialState: State = {
  defaultACLAccess: Object.fromEntries(defaultAccess.map(({ acltype, allow }) => [acltype, allow])),
};

function readState(text: string): State | undefined {
  try {
    const state: unknown = JSON.parse(text);
    return isEntry(state) ? state : undefined;
  } catch {
    return undefined; // the caller says which file, and what becomes of it
  }
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function listOf(entry: Entry, name: string): Entry[] {
  const list = entry[name];
  return Array.isArray(list) ? list.filter(isEntry) : [];
}

function nameOf(entry: Entry, name: string): string {
  const value = entry[name];
  return typeof value === 'string' ? value : '';
}

/** As strcmp would have it, for all names that are ASCII; for others it costs time only. */
function descending(a: Entry, b: Entry): number {
  const [left, right] = [nameOf(a, 'username'), nameOf(b, 'username')];
  return left < right ? 1 : left > right ? -1 : 0;
}

function withPassword({ username, password }: SupervisorLogin): Entry {
  const salt = randomBytes(12);
  // 256 random bits need no stretching; Mosquitto computes this anew for each login.
  const iterations = 101;
  return {
    username,
    password: pbkdf2Sync(password, salt, iterations, 64, 'sha512').toString('base64'),
    salt: salt.toString('base64'),
    iterations,
    roles: [{ rolename: supervisorRole }],
  };
}

function isOwn(role: string): boolean {
  return role === adminRole || role === supervisorRole;
}

function controlRoles(): readonly {
  readonly rolename: string;
  readonly acls: readonly object[];
}[] {
  const allow = (acltype: string, topic: string): object => ({
    acltype,
    topic,
    priority: 0,
    allow: true,
  });
  const control = [
    'publishClientSend',
    'publishClientReceive',
    'subscribePattern',
    'unsubscribePattern',
  ].map((acltype) => allow(acltype, '$CONTROL/dynamic-security/#'));
  return [
    { rolename: adminRole, acls: control },
    {
      rolename: supervisorRole,
      acls: [
        ...control,
        allow('subscribePattern', '$SYS/#'),
        allow('publishClientReceive', '$SYS/#'),
      ],
    },
  ];
}
