// The whole state of a fleet as Mosquitto's dynamic-security.json: an empty broker that begins with it is filled before it starts.
import type { DeviceTypes, Role, Roles } from '@keyline/access';
import type { Clock } from '@keyline/kernel';
import { desiredOf, devicePages, isOverFor, type FleetReader } from '../desired-identity.ts';
import { commandsFor } from './client-commands.ts';
import { compileRole, compileRoles, defaultAccess, type DynsecRole } from './compile-role.ts';
import type { Dialect } from './dialect.ts';

/** A Mosquitto of any version, with an acl_file from `compileAclFile`. */
const dialect: Dialect = {
  fillsNames: false,
  knowsSerials: false,
  limitsRates: false,
  inlineRoles: true,
};

interface ExportedClient {
  readonly username: string;
  readonly disabled?: true;
  readonly roles: readonly { readonly rolename: string; readonly priority: number }[];
}

/**
 * @param options.admins user names that may administer the broker
 * @returns JSON. Clients stand in descending order: Mosquitto sorts them in one by one, which in this order takes no time and in the
 * other 10 s for 50,000
 */
export async function exportDynamicSecurity(options: {
  readonly fleet: Pick<FleetReader, 'listDevices' | 'listCertificatesOf'>;
  readonly roles: Roles;
  readonly types: DeviceTypes;
  readonly admins: readonly string[];
  readonly clock: Clock;
}): Promise<string> {
  const { fleet, roles, types, admins, clock } = options;
  const clients: ExportedClient[] = admins.map((username) => ({
    username,
    roles: [{ rolename: adminRole.rolename, priority: -1 }],
  }));
  const filled = new Map<string, Role>();
  for await (const page of devicePages(fleet)) {
    for (const device of page) {
      // The same rules as for a broker that runs, read from the commands it would get.
      const isOver = await isOverFor(fleet, device, clock.now());
      const desired = desiredOf(device, { types, roles, fillsNames: dialect.fillsNames });
      if (desired.rights !== undefined) filled.set(desired.role, desired.rights);
      const commands = commandsFor({ ...desired, isOver }, dialect);
      const given = commands.findLast(({ roles: some }) => some !== undefined);
      if (given === undefined) continue;
      const disabled = commands.some(({ command }) => command === 'disableClient');
      clients.push({
        username: device.id,
        ...(disabled ? { disabled } : {}),
        roles: given['roles'] as ExportedClient['roles'],
      });
    }
  }
  clients.sort((a, b) => (a.username < b.username ? 1 : -1));
  return JSON.stringify({
    defaultACLAccess: Object.fromEntries(
      defaultAccess.map(({ acltype, allow }) => [acltype, allow]),
    ),
    clients,
    groups: [],
    roles: [adminRole, ...compileRoles(roles, dialect), ...compileFilled(filled)].toSorted(
      (a, b) => (a.rolename < b.rolename ? 1 : -1),
    ),
  });
}

const compileFilled = (roles: Roles): DynsecRole[] =>
  [...roles.values()].map((role) => compileRole(role, dialect));

const adminRole = {
  rolename: 'keyline-admin',
  acls: (['publishClientSend', 'publishClientReceive', 'subscribePattern'] as const).map(
    (acltype) => ({
      acltype,
      topic: '$CONTROL/dynamic-security/#',
      priority: 0,
      allow: true,
    }),
  ),
};
