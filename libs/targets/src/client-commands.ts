// What a device's state asks of a broker, as commands.
import type { DeviceState } from '@keyline/fleet';
import { readList, type DynsecCommand } from './dynsec-messages.ts';

export interface WantedClient {
  readonly device: string;
  readonly state: DeviceState;
  readonly role: string;
  /** Whoever is connected under its name must be cut first. */
  readonly restarts: boolean;
}

/** For a broker that may or may not know the device. */
export function commandsFor(
  { device, state, role, restarts }: WantedClient,
  { inlineRoles }: { readonly inlineRoles: boolean },
): DynsecCommand[] {
  const username = device;
  switch (state) {
    case 'registered':
      return [];
    case 'active': {
      const membership = { rolename: role, priority: -1 };
      return [
        ...(restarts ? [{ command: 'deleteClient', username }] : []),
        // Not createClient with its roles on Mosquitto 2.0: there it is a use-after-free once the role is deleted.
        ...(inlineRoles
          ? [{ command: 'createClient', username, roles: [membership] }]
          : [
              { command: 'createClient', username },
              { command: 'addClientRole', username, ...membership },
            ]),
      ];
    }
    case 'suspended':
      // Both: Mosquitto cuts a disabled client and then lets it reconnect, with whatever rights it still has.
      return [
        { command: 'disableClient', username },
        { command: 'modifyClient', username, roles: [], groups: [] },
      ];
    case 'revoked':
    case 'decommissioned':
      return [{ command: 'deleteClient', username }];
  }
}

/** What a broker says of a client, as far as it matters here. */
export interface ActualClient {
  readonly disabled: boolean;
  readonly roles: readonly unknown[];
  readonly groups: number;
}

export function readClient(client: Readonly<Record<string, unknown>>): ActualClient {
  return {
    disabled: client['disabled'] === true,
    roles: readList(client, 'roles').map(({ rolename }) => rolename),
    groups: readList(client, 'groups').length,
  };
}

/** For a broker that knows the device: only what differs, because a change ends the client's session. */
export function correctionsFor(
  { device, state, role }: Pick<WantedClient, 'device' | 'state' | 'role'>,
  actual: ActualClient,
): DynsecCommand[] {
  const username = device;
  const wanted = state === 'active' ? [role] : [];
  const commands: DynsecCommand[] = [];
  if (state !== 'active' && !actual.disabled) commands.push({ command: 'disableClient', username });
  const same =
    actual.groups === 0 &&
    actual.roles.length === wanted.length &&
    wanted.every((name) => actual.roles.includes(name));
  if (!same) {
    commands.push({
      command: 'modifyClient',
      username,
      roles: wanted.map((rolename) => ({ rolename, priority: -1 })),
      groups: [],
    });
  }
  if (state === 'active' && actual.disabled) commands.push({ command: 'enableClient', username });
  return commands;
}
