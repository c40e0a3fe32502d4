// What clients may do under which roles, asked of the engine and of real brokers. `%u` and `%c` are Mosquitto 2.1's.

export interface RightsCase {
  readonly title: string;
  readonly setUp: readonly object[];
  /** Who does what, and whether it is let. */
  readonly checks: readonly {
    readonly as: string;
    readonly clientId?: string;
    readonly does: 'publish' | 'subscribe' | 'unsubscribe' | 'receive';
    /** For `receive` a topic; it is subscribed to by `under`, or by itself. */
    readonly on: string;
    readonly under?: string;
    readonly allowed: boolean;
    /** Where Mosquitto 2.0 decides otherwise. */
    readonly mosquitto20?: boolean;
  }[];
}

const client = (username: string, more: object = {}): object => ({
  command: 'createClient',
  username,
  password: 'client-password',
  ...more,
});

const acl = (acltype: string, topic: string, allow: boolean, priority = 0): object => ({
  acltype,
  topic,
  allow,
  priority,
});

/** So that clients can be told when everything has arrived. */
export const markerRole = {
  command: 'createRole',
  rolename: 'zz-marker',
  acls: [
    acl('subscribeLiteral', 'marker/dev1', true),
    acl('publishClientReceive', 'marker/#', true),
  ],
};

export const rightsCases: readonly RightsCase[] = [
  {
    title: 'nothing is allowed by default but to receive and to unsubscribe',
    setUp: [client('dev1', { roles: [{ rolename: 'zz-marker' }] })],
    checks: [
      { as: 'dev1', does: 'publish', on: 't', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 't', allowed: false },
      { as: 'dev1', does: 'subscribe', on: '#', allowed: false },
      { as: 'dev1', does: 'unsubscribe', on: 't', allowed: true },
    ],
  },
  {
    title: 'defaults open everything but $CONTROL',
    setUp: [
      client('dev1'),
      {
        command: 'setDefaultACLAccess',
        acls: ['publishClientSend', 'publishClientReceive', 'subscribe', 'unsubscribe'].map(
          (acltype) => ({ acltype, allow: true }),
        ),
      },
    ],
    checks: [
      { as: 'dev1', does: 'publish', on: 't', allowed: true },
      { as: 'dev1', does: 'subscribe', on: 't/#', allowed: true },
      { as: 'dev1', does: 'receive', on: 't/x', under: 't/#', allowed: true },
      { as: 'dev1', does: 'publish', on: '$CONTROL/dynamic-security/v1', allowed: false },
      {
        as: 'dev1',
        does: 'subscribe',
        on: '$CONTROL/dynamic-security/v1/response',
        allowed: false,
      },
      { as: 'dev1', does: 'subscribe', on: '$CONTROL/#', allowed: false },
    ],
  },
  {
    title: 'patterns cover topics and narrower filters, never wider ones',
    setUp: [
      {
        command: 'createRole',
        rolename: 'r',
        acls: [
          acl('publishClientSend', 'up/+/data', true),
          acl('publishClientSend', 'deep/#', true),
          acl('subscribePattern', 'down/+/cmd', true),
          acl('subscribePattern', 'all/#', true),
        ],
      },
      client('dev1', { roles: [{ rolename: 'r' }] }),
    ],
    checks: [
      { as: 'dev1', does: 'publish', on: 'up/a/data', allowed: true },
      { as: 'dev1', does: 'publish', on: 'up//data', allowed: true },
      { as: 'dev1', does: 'publish', on: 'up/a/b/data', allowed: false },
      { as: 'dev1', does: 'publish', on: 'up/a/data/x', allowed: false },
      { as: 'dev1', does: 'publish', on: 'deep', allowed: true },
      { as: 'dev1', does: 'publish', on: 'deep/a/b', allowed: true },
      { as: 'dev1', does: 'publish', on: 'deeper', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'down/a/cmd', allowed: true },
      { as: 'dev1', does: 'subscribe', on: 'down/+/cmd', allowed: true },
      { as: 'dev1', does: 'subscribe', on: 'down/#', allowed: false },
      { as: 'dev1', does: 'subscribe', on: '+/a/cmd', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'all', allowed: true },
      { as: 'dev1', does: 'subscribe', on: 'all/#', allowed: true },
      { as: 'dev1', does: 'subscribe', on: 'all/+/x', allowed: true },
      { as: 'dev1', does: 'subscribe', on: '#', allowed: false },
    ],
  },
  {
    title: '# covers neither $ topics nor shared subscriptions',
    setUp: [
      {
        command: 'createRole',
        rolename: 'r',
        acls: [acl('subscribePattern', '#', true), acl('publishClientSend', '#', true)],
      },
      client('dev1', { roles: [{ rolename: 'r' }] }),
      {
        command: 'createRole',
        rolename: 'sharing',
        acls: [acl('subscribePattern', '$share/+/ho/#', true)],
      },
      client('dev2', { roles: [{ rolename: 'sharing' }] }),
    ],
    checks: [
      { as: 'dev1', does: 'subscribe', on: '#', allowed: true },
      { as: 'dev1', does: 'subscribe', on: '$SYS/#', allowed: false, mosquitto20: true },
      { as: 'dev1', does: 'publish', on: '$CONTROL/dynamic-security/v1', allowed: false },
      { as: 'dev2', does: 'subscribe', on: '$share/g/ho/x', allowed: true },
      { as: 'dev2', does: 'subscribe', on: '$share/g/he/x', allowed: false },
      { as: 'dev2', does: 'subscribe', on: 'ho/x', allowed: false },
    ],
  },
  {
    title: 'literal subscriptions are compared as they stand, and before patterns',
    setUp: [
      {
        command: 'createRole',
        rolename: 'r',
        acls: [
          acl('subscribeLiteral', 'x/#', true),
          acl('subscribeLiteral', 'x/no', false),
          acl('subscribePattern', 'x/+', true, 100),
          acl('unsubscribeLiteral', 'x/#', false),
          acl('unsubscribePattern', 'y/#', false),
        ],
      },
      client('dev1', { roles: [{ rolename: 'r' }] }),
    ],
    checks: [
      { as: 'dev1', does: 'subscribe', on: 'x/#', allowed: true },
      { as: 'dev1', does: 'subscribe', on: 'x/a/b', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'x/no', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'x/yes', allowed: true },
      { as: 'dev1', does: 'unsubscribe', on: 'x/#', allowed: false },
      { as: 'dev1', does: 'unsubscribe', on: 'x/a', allowed: true },
      { as: 'dev1', does: 'unsubscribe', on: 'y/a', allowed: false },
    ],
  },
  {
    title:
      'the first ACL that matches decides: priority within a role, then of roles, then of groups',
    setUp: [
      {
        command: 'createRole',
        rolename: 'inner',
        acls: [
          acl('publishClientSend', 'p/#', true, 1),
          acl('publishClientSend', 'p/secret', false, 2),
        ],
      },
      { command: 'createRole', rolename: 'deny', acls: [acl('publishClientSend', 'q/#', false)] },
      { command: 'createRole', rolename: 'grant', acls: [acl('publishClientSend', 'q/#', true)] },
      {
        command: 'createRole',
        rolename: 'group-role',
        acls: [acl('publishClientSend', 'g/#', true), acl('publishClientSend', 'q/#', false)],
      },
      { command: 'createGroup', groupname: 'g', roles: [{ rolename: 'group-role' }] },
      { command: 'createGroup', groupname: 'h', roles: [{ rolename: 'deny' }] },
      client('dev1', { roles: [{ rolename: 'inner' }] }),
      client('dev2', {
        roles: [
          { rolename: 'deny', priority: 1 },
          { rolename: 'grant', priority: 2 },
        ],
      }),
      // Equal priorities go by name.
      client('dev3', { roles: [{ rolename: 'grant' }, { rolename: 'deny' }] }),
      client('dev4', { roles: [{ rolename: 'grant' }], groups: [{ groupname: 'g' }] }),
      client('dev5', {
        groups: [
          { groupname: 'g', priority: 1 },
          { groupname: 'h', priority: 2 },
        ],
      }),
    ],
    checks: [
      { as: 'dev1', does: 'publish', on: 'p/open', allowed: true },
      { as: 'dev1', does: 'publish', on: 'p/secret', allowed: false },
      { as: 'dev2', does: 'publish', on: 'q/x', allowed: true },
      { as: 'dev3', does: 'publish', on: 'q/x', allowed: false },
      { as: 'dev4', does: 'publish', on: 'q/x', allowed: true },
      { as: 'dev4', does: 'publish', on: 'g/x', allowed: true },
      { as: 'dev5', does: 'publish', on: 'g/x', allowed: true },
      { as: 'dev5', does: 'publish', on: 'q/x', allowed: false },
    ],
  },
  {
    title: 'receiving is a right of its own',
    setUp: [
      { command: 'setDefaultACLAccess', acls: [{ acltype: 'publishClientReceive', allow: false }] },
      {
        command: 'createRole',
        rolename: 'r',
        acls: [acl('subscribePattern', 'd/#', true), acl('publishClientReceive', 'd/open', true)],
      },
      client('dev1', { roles: [{ rolename: 'r' }, { rolename: 'zz-marker' }] }),
    ],
    checks: [
      { as: 'dev1', does: 'receive', on: 'd/open', under: 'd/#', allowed: true },
      { as: 'dev1', does: 'receive', on: 'd/closed', under: 'd/#', allowed: false },
    ],
  },
  {
    title: '%u and %c stand for the user name and the client id (2.1), whole levels only',
    setUp: [
      {
        command: 'createRole',
        rolename: 'r',
        acls: [
          acl('publishClientSend', 'up/%u/#', true),
          acl('publishClientSend', 'id/%c', true),
          acl('publishClientSend', 'part/x%u', true),
          acl('subscribePattern', 'down/%u/#', true),
          acl('subscribeLiteral', 'literal/%u', true),
        ],
      },
      client('dev1', { roles: [{ rolename: 'r' }] }),
      client('dev12', { roles: [{ rolename: 'r' }] }),
    ],
    checks: [
      { as: 'dev1', does: 'publish', on: 'up/dev1/x', allowed: true, mosquitto20: false },
      { as: 'dev1', does: 'publish', on: 'up/dev1', allowed: true, mosquitto20: false },
      { as: 'dev1', does: 'publish', on: 'up/dev12/x', allowed: false },
      { as: 'dev12', does: 'publish', on: 'up/dev1/x', allowed: false },
      {
        as: 'dev1',
        clientId: 'dev1:a',
        does: 'publish',
        on: 'id/dev1:a',
        allowed: true,
        mosquitto20: false,
      },
      { as: 'dev1', clientId: 'dev1:a', does: 'publish', on: 'id/dev1', allowed: false },
      { as: 'dev1', does: 'publish', on: 'part/xdev1', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'down/dev1/#', allowed: true, mosquitto20: false },
      { as: 'dev1', does: 'subscribe', on: 'down/+/x', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'down/#', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'literal/dev1', allowed: false },
      { as: 'dev1', does: 'subscribe', on: 'literal/%u', allowed: true },
    ],
  },
];

/** What ends sessions. In each case dev1 has the role r, is in the group g, and is connected. */
export const kickCases: readonly {
  readonly title: string;
  readonly command: object;
  readonly kicks: boolean;
  readonly mosquitto20?: boolean;
}[] = [
  { title: 'disableClient', command: { command: 'disableClient', username: 'dev1' }, kicks: true },
  { title: 'deleteClient', command: { command: 'deleteClient', username: 'dev1' }, kicks: true },
  {
    title: 'modifyClient',
    command: { command: 'modifyClient', username: 'dev1', textname: 'x' },
    kicks: true,
  },
  {
    title: 'setClientPassword',
    command: { command: 'setClientPassword', username: 'dev1', password: 'x' },
    kicks: true,
  },
  {
    title: 'addClientRole',
    command: { command: 'addClientRole', username: 'dev1', rolename: 's' },
    kicks: true,
  },
  {
    title: 'removeClientRole',
    command: { command: 'removeClientRole', username: 'dev1', rolename: 'r' },
    kicks: true,
  },
  { title: 'deleteRole', command: { command: 'deleteRole', rolename: 'r' }, kicks: true },
  {
    title: 'addRoleACL',
    command: {
      command: 'addRoleACL',
      rolename: 'r',
      acltype: 'publishClientSend',
      topic: 'x',
      allow: true,
    },
    kicks: true,
  },
  {
    title: 'modifyRole with other ACLs',
    command: { command: 'modifyRole', rolename: 'r', acls: [] },
    kicks: true,
    mosquitto20: false,
  },
  {
    title: 'modifyRole with another text',
    command: { command: 'modifyRole', rolename: 'r', textname: 'x' },
    kicks: false,
  },
  {
    title: 'addGroupRole',
    command: { command: 'addGroupRole', groupname: 'g', rolename: 's' },
    kicks: true,
  },
  { title: 'deleteGroup', command: { command: 'deleteGroup', groupname: 'g' }, kicks: true },
  {
    title: 'removeGroupClient',
    command: { command: 'removeGroupClient', groupname: 'g', username: 'dev1' },
    kicks: true,
  },
  {
    title: 'modifyGroup that takes the client out',
    command: { command: 'modifyGroup', groupname: 'g', clients: [] },
    kicks: true,
    mosquitto20: false,
  },
  {
    title: 'setDefaultACLAccess',
    command: { command: 'setDefaultACLAccess', acls: [{ acltype: 'subscribe', allow: true }] },
    kicks: false,
  },
  {
    title: 'a change of another client',
    command: { command: 'modifyClient', username: 'dev2', textname: 'x' },
    kicks: false,
  },
];
