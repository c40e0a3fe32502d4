// What a device's state asks of a broker, as commands.
import { admittedOf, isListRight } from '../desired-identity.ts';
import type { ActualIdentity, DesiredIdentity, PassedOver } from '../target.ts';
import { deniedPriority, deniedRole, type Dialect } from './dialect.ts';
import { readList, type DynsecAnswer, type DynsecCommand } from './dynsec-messages.ts';

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
  { state, role, isOver }: Pick<DesiredIdentity, 'state' | 'role' | 'isOver'>,
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
export function commandsFor(wanted: DesiredIdentity, dialect: Dialect): DynsecCommand[] {
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

/** Where the list lacks the certificate in force, or still has one from before it. */
function listCommandsFor(
  desired: DesiredIdentity,
  listed: readonly string[],
  { knowsSerials }: Dialect,
): DynsecCommand[] {
  const admitted = admittedOf(desired);
  if (!knowsSerials || desired.state !== 'active' || admitted === undefined) return [];
  if (isListRight(desired, listed)) return [];
  return [{ command: 'admitCertificates', certificates: [admitted] }];
}

export function readPassedOver({ data }: DynsecAnswer): readonly PassedOver[] {
  return readList(data, 'passedOver').flatMap(({ username, serials }) =>
    typeof username === 'string' && Array.isArray(serials)
      ? [{ device: username, serials: serials.filter((serial) => typeof serial === 'string') }]
      : [],
  );
}

/** What a broker says of a client, as far as it matters here. */
export interface DynsecIdentity extends ActualIdentity {
  readonly disabled: boolean;
  readonly roles: readonly unknown[];
  readonly groups: number;
  /** Somebody tied it to a client id, with which alone it may connect. */
  readonly isBound: boolean;
}

export function readClient(
  client: Readonly<Record<string, unknown>>,
  device: string,
  dialect: Dialect,
): DynsecIdentity {
  const disabled = client['disabled'] === true;
  const roles = readList(client, 'roles').map(({ rolename }) => rolename);
  const groups = readList(client, 'groups').length;
  const isBound = typeof client['clientid'] === 'string' && client['clientid'] !== '';
  const isPlain = groups === 0 && !isBound;
  const [role] = roles;
  const hasOne = roles.length === 1 && typeof role === 'string';
  const isDenied = dialect.fillsNames ? roles.length === 0 : hasOne && role === deniedRole;
  let access: ActualIdentity['access'] = 'other';
  if (isPlain && disabled && isDenied) access = 'denied';
  if (isPlain && !disabled && hasOne) access = 'granted';
  return {
    ...{ device, access, disabled, roles, groups, isBound },
    ...(access === 'granted' && typeof role === 'string' ? { role } : {}),
    serials: Array.isArray(client['serials'])
      ? client['serials'].filter((serial): serial is string => typeof serial === 'string')
      : [],
  };
}

/** Only what differs, because a change ends the client's session. */
export function correctionsFor(
  wanted: DesiredIdentity,
  actual: DynsecIdentity,
  dialect: Dialect,
): DynsecCommand[] {
  const username = wanted.device;
  const form = formOf(wanted, dialect);
  if (form === undefined) return [{ command: 'deleteClient', username }];
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
