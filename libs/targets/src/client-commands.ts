// What a device's state asks of a broker, as commands.
import type { DeviceState } from '@keyline/fleet';
import { deniedPriority, deniedRole, type Dialect } from './dialect.ts';
import { readList, type DynsecAnswer, type DynsecCommand } from './dynsec-messages.ts';

export interface WantedClient {
  readonly device: string;
  readonly state: DeviceState;
  readonly role: string;
  /** Whoever is connected under its name must be cut first. */
  readonly restarts: boolean;
  /** None of its certificates can be used any more: it need not be known to be denied. */
  readonly isOver?: boolean;
  /** Its certificate, after the one that may be used in its place. */
  readonly serials?: readonly string[] | undefined;
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

/** An entry of `admitCertificates`: this certificate, and of those before it the predecessor alone. */
export interface AdmittedCertificate {
  readonly username: string;
  readonly serial: string;
  readonly predecessor: string | null;
}

export function admittedOf({
  device: username,
  serials = [],
}: Pick<WantedClient, 'device' | 'serials'>): AdmittedCertificate | undefined {
  const serial = serials.at(-1);
  if (serial === undefined) return undefined;
  return { username, serial, predecessor: serials.at(-2) ?? null };
}

/** Where the list lacks the certificate in force, or still has one from before it. What the broker ended by itself stays ended. */
function listCommandsFor(
  wanted: WantedClient,
  listed: readonly string[],
  { knowsSerials }: Dialect,
): DynsecCommand[] {
  const admitted = admittedOf(wanted);
  if (!knowsSerials || wanted.state !== 'active' || admitted === undefined) return [];
  const at = listed.indexOf(admitted.serial);
  const isRight = at >= 0 && listed.slice(0, at).every((serial) => serial === admitted.predecessor);
  if (isRight) return [];
  return [
    // With the name, so that whatever queues commands by client finds it.
    { command: 'admitCertificates', username: wanted.device, certificates: [admitted] },
  ];
}

/** Lists that were left alone, because neither certificate was on them. */
export interface PassedOver {
  readonly device: string;
  readonly serials: readonly string[];
}

export function readPassedOver({ data }: DynsecAnswer): readonly PassedOver[] {
  return readList(data, 'passedOver').flatMap(({ username, serials }) =>
    typeof username === 'string' && Array.isArray(serials)
      ? [{ device: username, serials: serials.filter((serial) => typeof serial === 'string') }]
      : [],
  );
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
