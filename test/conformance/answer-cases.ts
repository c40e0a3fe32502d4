// What each command answers, in Mosquitto's words: every command, every refusal. A case is a script from a fresh state on; where
// Mosquitto 2.0 differs from 2.1 (which Keyline follows) or Keyline from both, the step says so.

export interface AnswerStep {
  readonly send: object;
  /** Must be part of the answer; an `error` of undefined must be absent. */
  readonly answer: object;
  /** Mosquitto 2.0 answers this instead; 'undefined behaviour': not tried there. */
  readonly mosquitto20?: object | 'undefined behaviour';
}

export interface AnswerCase {
  readonly title: string;
  readonly steps: readonly AnswerStep[];
}

const does = (send: { readonly command: string } & Record<string, unknown>): AnswerStep => ({
  send,
  answer: { command: send.command, error: undefined },
});

const refuses = (
  send: { readonly command: string } & Record<string, unknown>,
  error: string,
  mosquitto20?: AnswerStep['mosquitto20'],
): AnswerStep => ({
  send,
  answer: { command: send.command, error },
  ...(mosquitto20 === undefined ? {} : { mosquitto20 }),
});

const tells = (
  send: { readonly command: string } & Record<string, unknown>,
  data: object,
  mosquitto20?: AnswerStep['mosquitto20'],
): AnswerStep => ({
  send,
  answer: { command: send.command, data },
  ...(mosquitto20 === undefined ? {} : { mosquitto20 }),
});

/** 2.0 has no such check. */
const taken = (command: string): object => ({ command, error: undefined });

const unknownIn20 = (command: string): object => ({ command, error: 'Unknown command' });

/** One of each kind that the cases build on. */
const fixture: readonly AnswerStep[] = [
  does({ command: 'createRole', rolename: 'r1' }),
  does({ command: 'createRole', rolename: 'r2' }),
  does({ command: 'createGroup', groupname: 'g1' }),
  does({ command: 'createGroup', groupname: 'g2' }),
  does({ command: 'createClient', username: 'c1' }),
  does({ command: 'createClient', username: 'c2' }),
];

const badText = 'bad\u0001name';
/** One octet more than Mosquitto takes, and as many as it does: 65,536, which no string in a packet can have. */
const tooLong = 'n'.repeat(65_537);
const asLongAsMayBe = `${'ä'.repeat(32_767)}nn`;

export const answerCases: readonly AnswerCase[] = [
  {
    title: 'command names in any case, correlation data comes back',
    steps: [
      {
        send: { command: 'CREATEclient', username: 'any-case', correlationData: 'x1' },
        answer: { command: 'CREATEclient', correlationData: 'x1', error: undefined },
        mosquitto20: { command: 'createClient', correlationData: 'x1', error: undefined },
      },
      {
        send: { command: 'GETCLIENT', username: 'any-case', correlationData: 'x2' },
        answer: { command: 'getClient', correlationData: 'x2', data: { client: {} } },
      },
      refuses({ command: 'createClient', username: 'any-case' }, 'Client already exists'),
      refuses({ command: 'noSuchCommand' }, 'Unknown command'),
    ],
  },
  {
    title: 'createClient refuses what it cannot read',
    steps: [
      ...fixture,
      refuses({ command: 'createClient' }, 'Invalid/missing username'),
      refuses({ command: 'createClient', username: 5 }, 'Invalid/missing username'),
      refuses({ command: 'createClient', username: badText }, 'Username not valid UTF-8'),
      refuses({ command: 'createClient', username: tooLong }, 'Username not valid UTF-8'),
      refuses(
        { command: 'createClient', username: `ä${'ä'.repeat(32_768)}` },
        'Username not valid UTF-8',
      ),
      refuses(
        { command: 'createClient', username: 'x', clientid: tooLong },
        'Client ID not valid UTF-8',
      ),
      does({ command: 'createClient', username: asLongAsMayBe, clientid: asLongAsMayBe }),
      does({ command: 'deleteClient', username: asLongAsMayBe }),
      refuses({ command: 'createClient', username: '' }, 'Empty username', taken('createClient')),
      refuses({ command: 'createClient', username: 'x', password: 5 }, 'Invalid/missing password'),
      refuses({ command: 'createClient', username: 'x', clientid: 5 }, 'Invalid/missing client id'),
      refuses(
        { command: 'createClient', username: 'x', clientid: badText },
        'Client ID not valid UTF-8',
      ),
      refuses({ command: 'createClient', username: 'x', textname: 5 }, 'Invalid/missing textname'),
      refuses(
        { command: 'createClient', username: 'x', textdescription: 5 },
        'Invalid/missing textdescription',
      ),
      refuses({ command: 'createClient', username: 'c1' }, 'Client already exists'),
      refuses(
        { command: 'createClient', username: 'x', roles: [{ rolename: 'none' }] },
        'Role not found',
      ),
      refuses(
        { command: 'createClient', username: 'x', roles: 'r1' },
        "'roles' not an array or missing/invalid rolename",
      ),
      refuses(
        { command: 'createClient', username: 'x', roles: [{}] },
        "'roles' not an array or missing/invalid rolename",
      ),
      refuses(
        { command: 'createClient', username: 'x', groups: [{ groupname: 'none' }] },
        'Group not found',
      ),
      refuses({ command: 'getClient', username: 'x' }, 'Client not found'),
    ],
  },
  {
    title: 'createClient keeps everything it was given',
    steps: [
      ...fixture,
      does({
        command: 'createClient',
        username: 'whole',
        password: 'secret',
        clientid: 'id-1',
        textname: 'Name',
        textdescription: 'Description',
        roles: [{ rolename: 'r1' }, { rolename: 'r2', priority: 7 }],
        groups: [{ groupname: 'g1', priority: 3 }, { groupname: 'g2' }],
      }),
      tells(
        { command: 'getClient', username: 'whole' },
        {
          client: {
            username: 'whole',
            clientid: 'id-1',
            textname: 'Name',
            textdescription: 'Description',
            disabled: undefined,
            password: undefined,
            salt: undefined,
            roles: [{ rolename: 'r2', priority: 7 }, { rolename: 'r1' }],
            groups: [{ groupname: 'g1', priority: 3 }, { groupname: 'g2' }],
          },
        },
      ),
      tells(
        { command: 'getGroup', groupname: 'g1' },
        { group: { groupname: 'g1', clients: [{ username: 'whole' }], roles: [] } },
      ),
    ],
  },
  {
    title: 'modifyClient replaces what it was given and keeps the rest',
    steps: [
      ...fixture,
      does({
        command: 'modifyClient',
        username: 'c1',
        textname: 'N',
        textdescription: 'D',
        clientid: 'id',
        roles: [{ rolename: 'r1', priority: 4 }],
        groups: [{ groupname: 'g1' }],
      }),
      does({ command: 'modifyClient', username: 'c1', textname: 'N2' }),
      tells(
        { command: 'getClient', username: 'c1' },
        {
          client: {
            username: 'c1',
            textname: 'N2',
            textdescription: 'D',
            clientid: 'id',
            roles: [{ rolename: 'r1', priority: 4 }],
            groups: [{ groupname: 'g1' }],
          },
        },
      ),
      does({ command: 'modifyClient', username: 'c1', roles: [], groups: [] }),
      tells({ command: 'getClient', username: 'c1' }, { client: { roles: [], groups: [] } }),
      refuses({ command: 'modifyClient' }, 'Invalid/missing username'),
      refuses({ command: 'modifyClient', username: 'none' }, 'Client not found'),
      refuses(
        { command: 'modifyClient', username: 'c1', roles: [{ rolename: 'none' }] },
        'Role not found',
      ),
      refuses(
        { command: 'modifyClient', username: 'c1', roles: 1 },
        "'roles' not an array or missing/invalid rolename",
      ),
      refuses(
        { command: 'modifyClient', username: 'c1', groups: [{ groupname: 'none' }] },
        "'groups' contains an object with a 'groupname' that does not exist",
        taken('modifyClient'),
      ),
      refuses(
        { command: 'modifyClient', username: 'c1', groups: [{}] },
        "'groups' contains an object with an invalid 'groupname'",
        taken('modifyClient'),
      ),
    ],
  },
  {
    title: 'enableClient, disableClient, deleteClient',
    steps: [
      ...fixture,
      ...['enableClient', 'disableClient', 'deleteClient'].flatMap((command) => [
        refuses({ command }, 'Invalid/missing username'),
        refuses({ command, username: 'none' }, 'Client not found'),
      ]),
      refuses({ command: 'disableClient', username: badText }, 'Username not valid UTF-8'),
      does({ command: 'disableClient', username: 'c1' }),
      tells({ command: 'getClient', username: 'c1' }, { client: { disabled: true } }),
      does({ command: 'enableClient', username: 'c1' }),
      tells({ command: 'getClient', username: 'c1' }, { client: { disabled: undefined } }),
      does({ command: 'deleteClient', username: 'c1' }),
      refuses({ command: 'getClient', username: 'c1' }, 'Client not found'),
    ],
  },
  {
    title: 'setClientId and setClientPassword',
    steps: [
      ...fixture,
      does({ command: 'setClientId', username: 'c1', clientid: 'bound' }),
      tells({ command: 'getClient', username: 'c1' }, { client: { clientid: 'bound' } }),
      does({ command: 'setClientId', username: 'c1' }),
      tells({ command: 'getClient', username: 'c1' }, { client: { clientid: undefined } }),
      refuses({ command: 'setClientId' }, 'Invalid/missing username'),
      refuses({ command: 'setClientId', username: 'c1', clientid: 4 }, 'Invalid/missing client ID'),
      refuses({ command: 'setClientId', username: 'none', clientid: 'x' }, 'Client not found'),
      does({ command: 'setClientPassword', username: 'c1', password: 'p' }),
      refuses({ command: 'setClientPassword', username: 'c1' }, 'Invalid/missing password'),
      refuses(
        { command: 'setClientPassword', username: 'c1', password: '' },
        'Empty password is not allowed',
      ),
      refuses(
        { command: 'setClientPassword', username: 'none', password: 'p' },
        'Client not found',
      ),
    ],
  },
  {
    title: 'addClientRole and removeClientRole',
    steps: [
      ...fixture,
      does({ command: 'addClientRole', username: 'c1', rolename: 'r1' }),
      does({ command: 'addClientRole', username: 'c1', rolename: 'r2', priority: 9_999_999 }),
      refuses({ command: 'addClientRole', username: 'c1', rolename: 'r1' }, 'Internal error'),
      tells(
        { command: 'getClient', username: 'c1' },
        { client: { roles: [{ rolename: 'r2', priority: 100_000 }, { rolename: 'r1' }] } },
        // 2.0 has no limits.
        {
          data: {
            client: { roles: [{ rolename: 'r2', priority: 9_999_999 }, { rolename: 'r1' }] },
          },
        },
      ),
      does({ command: 'removeClientRole', username: 'c1', rolename: 'r2' }),
      does({ command: 'removeClientRole', username: 'c1', rolename: 'r2' }),
      tells({ command: 'getClient', username: 'c1' }, { client: { roles: [{ rolename: 'r1' }] } }),
      ...['addClientRole', 'removeClientRole'].flatMap((command) => [
        refuses({ command, rolename: 'r1' }, 'Invalid/missing username'),
        refuses({ command, username: badText, rolename: 'r1' }, 'Username not valid UTF-8'),
        refuses({ command, username: 'c1' }, 'Invalid/missing rolename'),
        refuses({ command, username: 'c1', rolename: badText }, 'Role name not valid UTF-8'),
        refuses({ command, username: 'none', rolename: 'r1' }, 'Client not found'),
        refuses({ command, username: 'c1', rolename: 'none' }, 'Role not found'),
      ]),
    ],
  },
  {
    title: 'lists: names or whole entries, sorted, by page',
    steps: [
      ...fixture,
      does({ command: 'createClient', username: 'b0' }),
      tells({ command: 'listClients' }, { totalCount: 4, clients: ['admin', 'b0', 'c1', 'c2'] }),
      tells(
        { command: 'listClients', count: 2, offset: 1 },
        { totalCount: 4, clients: ['b0', 'c1'] },
      ),
      tells({ command: 'listClients', count: 0 }, { totalCount: 4, clients: ['admin'] }),
      tells({ command: 'listClients', offset: 9 }, { totalCount: 4, clients: [] }),
      tells(
        { command: 'listClients', verbose: true, count: 1, offset: 2 },
        { clients: [{ username: 'c1', roles: [], groups: [] }] },
      ),
      tells({ command: 'listGroups' }, { totalCount: 2, groups: ['g1', 'g2'] }),
      tells(
        { command: 'listGroups', verbose: true, count: 1 },
        { groups: [{ groupname: 'g1', clients: [], roles: [] }] },
      ),
      tells({ command: 'listRoles' }, { totalCount: 3, roles: ['admin', 'r1', 'r2'] }),
      tells(
        { command: 'listRoles', verbose: true, offset: 1, count: 1 },
        { roles: [{ rolename: 'r1', acls: [] }] },
      ),
    ],
  },
  {
    title: 'createGroup, getGroup, deleteGroup',
    steps: [
      ...fixture,
      does({
        command: 'createGroup',
        groupname: 'g3',
        textname: 'N',
        textdescription: 'D',
        roles: [{ rolename: 'r1', priority: 2 }],
      }),
      tells(
        { command: 'getGroup', groupname: 'g3' },
        {
          group: {
            groupname: 'g3',
            textname: 'N',
            textdescription: 'D',
            roles: [{ rolename: 'r1', priority: 2 }],
          },
        },
      ),
      refuses({ command: 'createGroup' }, 'Invalid/missing groupname'),
      refuses({ command: 'createGroup', groupname: '' }, 'Empty groupname', taken('createGroup')),
      refuses({ command: 'createGroup', groupname: badText }, 'Group name not valid UTF-8'),
      refuses({ command: 'createGroup', groupname: tooLong }, 'Group name not valid UTF-8'),
      refuses({ command: 'createGroup', groupname: 'x', textname: 1 }, 'Invalid/missing textname'),
      refuses(
        { command: 'createGroup', groupname: 'x', textdescription: 1 },
        'Invalid/missing textdescription',
      ),
      refuses({ command: 'createGroup', groupname: 'g1' }, 'Group already exists'),
      refuses(
        { command: 'createGroup', groupname: 'x', roles: [{ rolename: 'none' }] },
        'Role not found',
      ),
      refuses({ command: 'getGroup' }, 'Invalid/missing groupname'),
      refuses({ command: 'getGroup', groupname: 'none' }, 'Group not found'),
      does({ command: 'deleteGroup', groupname: 'g3' }),
      refuses({ command: 'deleteGroup', groupname: 'g3' }, 'Group not found'),
      refuses({ command: 'deleteGroup' }, 'Invalid/missing groupname'),
    ],
  },
  {
    title: 'members of groups',
    steps: [
      ...fixture,
      does({ command: 'addGroupClient', groupname: 'g1', username: 'c1', priority: 5 }),
      refuses(
        { command: 'addGroupClient', groupname: 'g1', username: 'c1' },
        'Client is already in this group',
      ),
      tells(
        { command: 'getClient', username: 'c1' },
        { client: { groups: [{ groupname: 'g1', priority: 5 }] } },
      ),
      ...['addGroupClient', 'removeGroupClient'].flatMap((command) => [
        refuses({ command, groupname: 'g1' }, 'Invalid/missing username'),
        refuses({ command, username: 'c1' }, 'Invalid/missing groupname'),
        refuses({ command, username: 'none', groupname: 'g1' }, 'Client not found'),
        refuses({ command, username: 'c1', groupname: 'none' }, 'Group not found'),
      ]),
      does({
        command: 'modifyGroup',
        groupname: 'g1',
        clients: [{ username: 'c2' }],
        textname: 'T',
      }),
      tells(
        { command: 'getGroup', groupname: 'g1' },
        { group: { textname: 'T', clients: [{ username: 'c2' }] } },
      ),
      tells({ command: 'getClient', username: 'c1' }, { client: { groups: [] } }),
      refuses({ command: 'modifyGroup', groupname: 'none' }, 'Group not found'),
      refuses(
        { command: 'modifyGroup', groupname: 'g1', clients: [{ username: 'none' }] },
        "'clients' contains an object with a 'username' that does not exist",
        taken('modifyGroup'),
      ),
      refuses(
        { command: 'modifyGroup', groupname: 'g1', clients: [{}] },
        "'clients' contains an object with an invalid 'username'",
        taken('modifyGroup'),
      ),
      does({ command: 'removeGroupClient', groupname: 'g1', username: 'c2' }),
      does({ command: 'deleteGroup', groupname: 'g1' }),
      tells({ command: 'getClient', username: 'c2' }, { client: { groups: [] } }),
    ],
  },
  {
    title: 'roles of groups',
    steps: [
      ...fixture,
      does({ command: 'addGroupRole', groupname: 'g1', rolename: 'r1' }),
      does({ command: 'addGroupRole', groupname: 'g1', rolename: 'r2', priority: 3 }),
      refuses(
        { command: 'addGroupRole', groupname: 'g1', rolename: 'r1' },
        'Group is already in this role',
      ),
      tells(
        { command: 'getGroup', groupname: 'g1' },
        { group: { roles: [{ rolename: 'r2', priority: 3 }, { rolename: 'r1' }] } },
      ),
      does({ command: 'removeGroupRole', groupname: 'g1', rolename: 'r2' }),
      ...['addGroupRole', 'removeGroupRole'].flatMap((command) => [
        refuses({ command, rolename: 'r1' }, 'Invalid/missing groupname'),
        refuses({ command, groupname: 'g1' }, 'Invalid/missing rolename'),
        refuses({ command, groupname: 'none', rolename: 'r1' }, 'Group not found'),
        refuses({ command, groupname: 'g1', rolename: 'none' }, 'Role not found'),
      ]),
      does({ command: 'modifyGroup', groupname: 'g1', roles: [{ rolename: 'r2' }] }),
      tells({ command: 'getGroup', groupname: 'g1' }, { group: { roles: [{ rolename: 'r2' }] } }),
    ],
  },
  {
    title: 'the anonymous group',
    steps: [
      ...fixture,
      tells({ command: 'getAnonymousGroup' }, { group: { groupname: '' } }),
      does({ command: 'setAnonymousGroup', groupname: 'g1' }),
      tells({ command: 'getAnonymousGroup' }, { group: { groupname: 'g1' } }),
      refuses({ command: 'setAnonymousGroup' }, 'Invalid/missing groupname'),
      refuses({ command: 'setAnonymousGroup', groupname: 'none' }, 'Group not found'),
      refuses(
        { command: 'deleteGroup', groupname: 'g1' },
        'Deleting the anonymous group is forbidden',
        'undefined behaviour',
      ),
    ],
  },
  {
    title: 'createRole, getRole, modifyRole, deleteRole',
    steps: [
      ...fixture,
      does({
        command: 'createRole',
        rolename: 'r3',
        textname: 'N',
        textdescription: 'D',
        acls: [
          { acltype: 'publishClientReceive', topic: 'b', priority: 1, allow: true },
          { acltype: 'PUBLISHCLIENTSEND', topic: 'a', allow: false },
          { acltype: 'publishClientSend', topic: 'high', priority: 5, allow: true },
          { acltype: 'noSuchType', topic: 'a', allow: true },
          { acltype: 'publishClientSend', allow: true },
          'nonsense',
        ],
      }),
      tells(
        { command: 'getRole', rolename: 'r3' },
        {
          role: {
            rolename: 'r3',
            textname: 'N',
            textdescription: 'D',
            acls: [
              { acltype: 'publishClientSend', topic: 'high', priority: 5, allow: true },
              { acltype: 'publishClientSend', topic: 'a', priority: 0, allow: false },
              { acltype: 'publishClientReceive', topic: 'b', priority: 1, allow: true },
            ],
          },
        },
      ),
      does({
        command: 'modifyRole',
        rolename: 'r3',
        acls: [{ acltype: 'subscribeLiteral', topic: '#', allow: true }],
      }),
      tells(
        { command: 'getRole', rolename: 'r3' },
        {
          role: {
            textname: 'N',
            acls: [{ acltype: 'subscribeLiteral', topic: '#', priority: 0, allow: true }],
          },
        },
      ),
      does({ command: 'addClientRole', username: 'c1', rolename: 'r3' }),
      does({ command: 'deleteRole', rolename: 'r3' }),
      tells({ command: 'getClient', username: 'c1' }, { client: { roles: [] } }),
      refuses({ command: 'createRole' }, 'Invalid/missing rolename'),
      refuses({ command: 'createRole', rolename: '' }, 'Empty rolename', taken('createRole')),
      refuses({ command: 'createRole', rolename: badText }, 'Role name not valid UTF-8'),
      refuses({ command: 'createRole', rolename: tooLong }, 'Role name not valid UTF-8'),
      refuses({ command: 'createRole', rolename: 'x', textname: 1 }, 'Invalid/missing textname'),
      refuses(
        { command: 'createRole', rolename: 'x', textdescription: 1 },
        'Invalid/missing textdescription',
      ),
      refuses(
        { command: 'createRole', rolename: 'x', allowwildcardsubs: 'yes' },
        'Invalid allowwildcardsubs',
        taken('createRole'),
      ),
      refuses({ command: 'createRole', rolename: 'r1' }, 'Role already exists'),
      refuses({ command: 'modifyRole', rolename: 'none' }, 'Role does not exist'),
      refuses({ command: 'getRole', rolename: 'none' }, 'Role not found'),
      refuses({ command: 'deleteRole', rolename: 'none' }, 'Role not found'),
      refuses({ command: 'getRole' }, 'Invalid/missing rolename'),
    ],
  },
  {
    title: 'addRoleACL and removeRoleACL',
    steps: [
      ...fixture,
      does({
        command: 'addRoleACL',
        rolename: 'r1',
        acltype: 'subscribePattern',
        topic: 't/#',
        priority: 2,
        allow: true,
      }),
      refuses(
        { command: 'addRoleACL', rolename: 'r1', acltype: 'SUBSCRIBEPATTERN', topic: 't/#' },
        'ACL with this topic already exists',
      ),
      tells(
        { command: 'getRole', rolename: 'r1' },
        {
          role: { acls: [{ acltype: 'subscribePattern', topic: 't/#', priority: 2, allow: true }] },
        },
      ),
      ...['addRoleACL', 'removeRoleACL'].flatMap((command) => [
        refuses({ command }, 'Invalid/missing rolename'),
        refuses({ command, rolename: 'none' }, 'Role not found'),
        refuses({ command, rolename: 'r1' }, 'Invalid/missing acltype'),
        refuses({ command, rolename: 'r1', acltype: 'x' }, 'Unknown acltype'),
        refuses({ command, rolename: 'r1', acltype: 'publishClientSend' }, 'Invalid/missing topic'),
        refuses(
          { command, rolename: 'r1', acltype: 'publishClientSend', topic: 'a/#/b' },
          'Invalid ACL topic',
        ),
        refuses(
          { command, rolename: 'r1', acltype: 'publishClientSend', topic: badText },
          'Topic not valid UTF-8',
        ),
      ]),
      refuses(
        { command: 'removeRoleACL', rolename: 'r1', acltype: 'publishClientSend', topic: 't/#' },
        'ACL not found',
      ),
      does({
        command: 'removeRoleACL',
        rolename: 'r1',
        acltype: 'subscribePattern',
        topic: 't/#',
      }),
      tells({ command: 'getRole', rolename: 'r1' }, { role: { acls: [] } }),
    ],
  },
  {
    title: 'default access',
    steps: [
      tells(
        { command: 'getDefaultACLAccess' },
        {
          acls: [
            { acltype: 'publishClientSend', allow: false },
            { acltype: 'publishClientReceive', allow: true },
            { acltype: 'subscribe', allow: false },
            { acltype: 'unsubscribe', allow: true },
          ],
        },
      ),
      does({
        command: 'setDefaultACLAccess',
        acls: [
          { acltype: 'publishclientsend', allow: true },
          { acltype: 'subscribe', allow: 'x' },
          { acltype: 'subscribeLiteral', allow: true },
          { acltype: 'unsubscribe', allow: false },
        ],
      }),
      tells(
        { command: 'getDefaultACLAccess' },
        {
          acls: [
            { acltype: 'publishClientSend', allow: true },
            { acltype: 'publishClientReceive', allow: true },
            { acltype: 'subscribe', allow: false },
            { acltype: 'unsubscribe', allow: false },
          ],
        },
      ),
      refuses({ command: 'setDefaultACLAccess' }, 'Missing/invalid actions array'),
    ],
  },
  {
    title: 'getDetails counts (2.1)',
    steps: [
      ...fixture,
      tells(
        { command: 'getDetails' },
        { clientCount: 3, groupCount: 2, roleCount: 3 },
        unknownIn20('getDetails'),
      ),
    ],
  },
  {
    title: 'names of members in any case',
    steps: [
      { send: { Command: 'createClient', USERNAME: 'shouting' }, answer: { error: undefined } },
      tells({ command: 'getClient', username: 'shouting' }, { client: { username: 'shouting' } }),
    ],
  },
];

/** Whole payloads that are answered as one, with what follows them. */
export const payloadCases: readonly {
  readonly title: string;
  readonly payload: string;
  readonly answers: readonly object[];
  readonly mosquitto20?: readonly object[];
}[] = [
  {
    title: 'no JSON',
    payload: 'not json',
    answers: [{ command: 'Unknown command', error: 'Payload not valid JSON' }],
  },
  {
    title: 'no commands',
    payload: '{}',
    answers: [{ command: 'Unknown command', error: 'Invalid/missing commands' }],
  },
  {
    title: 'commands that are no list',
    payload: '{"commands":{"command":"listRoles"}}',
    answers: [{ command: 'Unknown command', error: 'Invalid/missing commands' }],
  },
  { title: 'an empty list', payload: '{"commands":[]}', answers: [] },
  {
    title: 'correlation data that is no string drops the rest',
    payload:
      '{"commands":[{"command":"listGroups"},{"command":"listRoles","correlationData":1},{"command":"listClients"}]}',
    answers: [
      { command: 'listGroups' },
      { command: 'listRoles', error: 'Invalid correlationData data type.' },
    ],
  },
  {
    title: 'a command that is no object drops the rest (2.1)',
    payload: '{"commands":["listRoles",{"command":"listClients"}]}',
    answers: [{ command: 'Unknown command', error: 'Command not an object' }],
    mosquitto20: [
      { command: 'Unknown command', error: 'Command not an object' },
      { command: 'listClients' },
    ],
  },
  {
    title: 'a command without a name drops the rest (2.1)',
    payload: '{"commands":[{},{"command":"listClients"}]}',
    answers: [{ command: 'Unknown command', error: 'Missing command' }],
    mosquitto20: [
      { command: 'Unknown command', error: 'Missing command' },
      { command: 'listClients' },
    ],
  },
];
