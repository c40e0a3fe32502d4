// Commands about roles and what is allowed by default. Order of checks and words are Mosquitto's: scripts match on them.
import { isAclTopic } from './acl-filter.ts';
import { createAcl, findAclType, readAcls, withAcl, withoutAcl, type AclType } from './acl.ts';
import { found, listPage, type Command } from './command.ts';
import { describeRole, toRate } from './documents.ts';
import {
  isFields,
  readField,
  readFlag,
  readName,
  readNewName,
  readOptionalText,
  readPriority,
  readText,
  Refusal,
  type Fields,
} from './fields.ts';
import { isName } from './names.ts';
import { noRates, Role, type DefaultAccess, type DynsecState, type Rates } from './state.ts';

const createRole: Command = (given, { state }) => {
  const rolename = readNewName(given, 'rolename');
  const textName = readOptionalText(given, 'textname', 'Invalid/missing textname');
  const textDescription = readOptionalText(
    given,
    'textdescription',
    'Invalid/missing textdescription',
  );
  const wildcards = readField(given, 'allowwildcardsubs') ?? true;
  if (typeof wildcards !== 'boolean') throw new Refusal('Invalid allowwildcardsubs');
  const rates = readRates(given, noRates);
  if (state.roles.has(rolename)) throw new Refusal('Role already exists');

  const role = new Role(rolename);
  role.textName = textName;
  role.textDescription = textDescription;
  role.allowWildcardSubs = wildcards;
  role.rates = rates;
  const acls = readField(given, 'acls');
  if (Array.isArray(acls)) role.acls = readAcls(acls);
  state.putRole(role);
  return undefined;
};

const modifyRole: Command = (given, { state, effects }) => {
  const role = found(state.roles.get(readName(given, 'rolename')), 'Role does not exist');
  const wildcards = readFlag(given, 'allowwildcardsubs');
  const acls = readField(given, 'acls');
  // Nobody is kicked for a rate: it holds from now on.
  role.rates = readRates(given, role.rates);

  role.textName = readText(given, 'textname') ?? role.textName;
  role.textDescription = readText(given, 'textdescription') ?? role.textDescription;
  if (wildcards !== undefined && wildcards !== role.allowWildcardSubs) {
    role.allowWildcardSubs = wildcards;
    effects.kickRole(role);
  }
  if (Array.isArray(acls)) {
    role.acls = readAcls(acls);
    effects.kickRole(role);
  }
  state.touchRole(role);
  return undefined;
};

const deleteRole: Command = (given, { state, effects }) => {
  const role = findRole(given, state);
  effects.kickRole(role);
  effects.settle(state);
  state.deleteRole(role);
  return undefined;
};

const getRole: Command = (given, { state }) => ({ role: describeRole(findRole(given, state)) });

const listRoles: Command = (given, { state }) => {
  const { totalCount, page } = listPage(given, state.roleNames, state.roles, describeRole);
  return { totalCount, roles: page };
};

const addRoleACL: Command = (given, { state, effects }) => {
  const { role, type, topic } = readAclName(given, state);
  if (role.acls[type].some((acl) => acl.topic === topic)) {
    throw new Refusal('ACL with this topic already exists');
  }
  const allow = readFlag(given, 'allow') ?? false;
  role.acls = withAcl(
    role.acls,
    type,
    createAcl({ topic, priority: readPriority(given, 0), allow }),
  );
  state.touchRole(role);
  effects.kickRole(role);
  return undefined;
};

const removeRoleACL: Command = (given, { state, effects }) => {
  const { role, type, topic } = readAclName(given, state);
  if (!role.acls[type].some((acl) => acl.topic === topic)) throw new Refusal('ACL not found');
  role.acls = withoutAcl(role.acls, type, topic);
  state.touchRole(role);
  effects.kickRole(role);
  return undefined;
};

const defaultRights = [
  'publishClientSend',
  'publishClientReceive',
  'subscribe',
  'unsubscribe',
] as const satisfies readonly (keyof DefaultAccess)[];

const setDefaultACLAccess: Command = (given, { state, effects }) => {
  const acls = readField(given, 'acls');
  if (!Array.isArray(acls)) throw new Refusal('Missing/invalid actions array');
  const defaults = { ...state.defaults };
  for (const acl of acls.filter(isFields)) {
    const asked = readText(acl, 'acltype')?.toLowerCase();
    const right = defaultRights.find((name) => name.toLowerCase() === asked);
    const allow = readFlag(acl, 'allow');
    if (right !== undefined && allow !== undefined) defaults[right] = allow;
  }
  state.setDefaults(defaults);
  effects.changeEveryonesRights();
  return undefined;
};

const getDefaultACLAccess: Command = (_given, { state }) => ({
  acls: defaultRights.map((acltype) => ({ acltype, allow: state.defaults[acltype] })),
});

/** Keyline's extension; what is not given stays. @throws {Refusal} */
function readRates(given: Fields, standing: Rates): Rates {
  const read = (name: 'messagerate' | 'byterate'): number | undefined => {
    const value = readField(given, name);
    return value === undefined ? undefined : found(toRate(value), `Invalid ${name}`);
  };
  return {
    messages: read('messagerate') ?? standing.messages,
    bytes: read('byterate') ?? standing.bytes,
  };
}

function findRole(given: Fields, state: DynsecState): Role {
  return found(state.roles.get(readName(given, 'rolename')), 'Role not found');
}

function readAclName(
  given: Fields,
  state: DynsecState,
): { readonly role: Role; readonly type: AclType; readonly topic: string } {
  const role = findRole(given, state);
  const acltype = found(readText(given, 'acltype'), 'Invalid/missing acltype');
  const type = found(findAclType(acltype), 'Unknown acltype');
  const topic = found(readText(given, 'topic'), 'Invalid/missing topic');
  if (!isName(topic)) throw new Refusal('Topic not valid UTF-8');
  if (!isAclTopic(topic)) throw new Refusal('Invalid ACL topic');
  return { role, type, topic };
}

export const roleCommands = {
  createRole,
  modifyRole,
  deleteRole,
  getRole,
  listRoles,
  addRoleACL,
  removeRoleACL,
  setDefaultACLAccess,
  getDefaultACLAccess,
} satisfies Record<string, Command>;
