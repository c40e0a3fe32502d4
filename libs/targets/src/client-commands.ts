// What a device's state asks of a broker, as commands.
import type { DeviceState } from '@keyline/fleet';
import { deniedPriority, deniedRole, type Dialect } from './dialect.ts';
import { readList, type DynsecCommand } from './dynsec-messages.ts';

export interface WantedClient {
  readonly device: string;
  readonly state: DeviceState;
  readonly role: string;
  /** Whoever is connected under its name must be cut first. */
  readonly restarts: boolean;
  /** None of its certificates can be used any more: it need not be known to be denied. */
  readonly isOver?: boolean;
  /** Certificates that have to be on its list, oldest first. */
  readonly serials?: readonly string[];
}

interface Membership {
  readonly rolename: string;
  readonly priority: number;
}

/** How the client of a device should be; undefined: there should be none. */
interface Form {
  readonly disabled: boolean;
  readonly roles: readonly Membership[];
  /** Whether one that is missing must be made: without rights of its own, being unknown is as good. */
  readonly needed: boolean;
}

function formOf(
  { state, role, isOver }: Pick<WantedClient, 'state' | 'role' | 'isOver'>,
  dialect: Dialect,
): Form | undefined {
  const denied: Form = {
    disabled: true,
    roles: [{ rolename: deniedRole, priority: deniedPriority }],
    needed: true,
  };
  switch (state) {
    case 'active':
      return { disabled: false, roles: [{ rolename: role, priority: -1 }], needed: true };
    case 'suspended':
      return dialect.fillsNames ? { disabled: true, roles: [], needed: false } : denied;
    case 'registered':
      return undefined;
    case 'revoked':
    case 'decommissioned':
      return dialect.fillsNames || isOver === true ? undefined : denied;
  }
}

/** For a broker that may or may not know the device. */
export function commandsFor(wanted: WantedClient, dialect: Dialect): DynsecCommand[] {
  const username = wanted.device;
  const form = formOf(wanted, dialect);
  if (form === undefined) {
    return wanted.state === 'registered' ? [] : [{ command: 'deleteClient', username }];
  }
  const { roles } = form;
  if (form.disabled) {
    return [
      ...(form.needed ? [{ command: 'createClient', username }] : []),
      // Both: Mosquitto cuts a disabled client and then lets it reconnect, with whatever rights it still has.
      { command: 'disableClient', username },
      { command: 'modifyClient', username, roles, groups: [] },
    ];
  }
  const { serials = [] } = wanted;
  const list = dialect.knowsSerials && serials.length > 0 ? { serials } : {};
  return [
    ...(wanted.restarts ? [{ command: 'deleteClient', username }] : []),
    ...(dialect.inlineRoles
      ? [{ command: 'createClient', username, roles, ...list }]
      : [
          { command: 'createClient', username, ...list },
          ...roles.map((membership) => ({ command: 'addClientRole', username, ...membership })),
        ]),
  ];
}

/** Those that the broker does not have on the client's list yet. */
function listCommandsFor(
  { device: username, state, serials = [] }: WantedClient,
  listed: readonly string[],
  { knowsSerials }: Dialect,
): DynsecCommand[] {
  const missing = serials.filter((serial) => !listed.includes(serial));
  if (!knowsSerials || state !== 'active' || missing.length === 0) return [];
  return [
    {
      command: 'admitCertificates',
      // So that whatever queues commands by client finds it.
      username,
      certificates: missing.map((serial) => ({ username, serial })),
    },
  ];
}

/** What a broker says of a client, as far as it matters here. */
export interface ActualClient {
  readonly disabled: boolean;
  readonly roles: readonly unknown[];
  readonly groups: number;
  /** Somebody tied it to a client id, with which alone it may connect. */
  readonly isBound: boolean;
  /** Certificates on its list. */
  readonly serials: readonly string[];
}

export function readClient(client: Readonly<Record<string, unknown>>): ActualClient {
  return {
    disabled: client['disabled'] === true,
    roles: readList(client, 'roles').map(({ rolename }) => rolename),
    groups: readList(client, 'groups').length,
    serials: Array.isArray(client['serials'])
      ? client['serials'].filter((serial): serial is string => typeof serial === 'string')
      : [],
    isBound: typeof client['clientid'] === 'string' && client['clientid'] !== '',
  };
}

/**
 * Only what differs, because a change ends the client's session.
 * @param actual undefined: the broker does not know it
 */
export function correctionsFor(
  wanted: WantedClient,
  actual: ActualClient | undefined,
  dialect: Dialect,
): DynsecCommand[] {
  const username = wanted.device;
  const form = formOf(wanted, dialect);
  if (form === undefined)
    return actual === undefined ? [] : [{ command: 'deleteClient', username }];
  if (actual === undefined) return form.needed ? commandsFor(wanted, dialect) : [];
  const commands: DynsecCommand[] = [];
  if (form.disabled && !actual.disabled) commands.push({ command: 'disableClient', username });
  const same =
    actual.groups === 0 &&
    !actual.isBound &&
    actual.roles.length === form.roles.length &&
    form.roles.every(({ rolename }) => actual.roles.includes(rolename));
  if (!same) {
    commands.push({
      command: 'modifyClient',
      username,
      roles: form.roles,
      groups: [],
      ...(actual.isBound ? { clientid: '' } : {}),
    });
  }
  if (!form.disabled && actual.disabled) commands.push({ command: 'enableClient', username });
  commands.push(...listCommandsFor(wanted, actual.serials, dialect));
  return commands;
}
