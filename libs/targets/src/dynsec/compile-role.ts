// Roles in the words of dynamic security, and of Mosquitto's acl_file.
import { isTemplate, type Role, type Roles, type RoleSource } from '@keyline/access';
import { deniedRole, type Dialect } from './dialect.ts';
import type { DynsecAcl, DynsecDefaultAccess } from './dynsec-messages.ts';

export interface DynsecRole {
  readonly rolename: string;
  readonly acls: readonly DynsecAcl[];
  /** In a second; absent: the role says nothing. Keyline's own: Mosquitto would pass over them. */
  readonly messagerate?: number;
  readonly byterate?: number;
  /** Where it is written: what a broker names to who reads that something was refused. Keyline's own broker alone is kept to it. */
  readonly textdescription?: string;
}

/** What nobody is told otherwise: nothing, but letting go of a subscription. */
export const defaultAccess: readonly DynsecDefaultAccess[] = [
  { acltype: 'publishClientSend', allow: false },
  { acltype: 'publishClientReceive', allow: false },
  { acltype: 'subscribe', allow: false },
  { acltype: 'unsubscribe', allow: true },
];

/** What the broker, or Mosquitto's acl_file, fills in. Topics with more than that are filled for each identity (`brokerRoleOf`). */
const namesUser = (topic: string): boolean => topic.includes('%u') && !isTemplate(topic);

const acl = (acltype: DynsecAcl['acltype'], topic: string, allow: boolean): DynsecAcl => ({
  acltype,
  topic,
  priority: 0,
  allow,
});

/** Subscribing needs two rights, to ask (subscribePattern) and to be sent what matches (publishClientReceive). */
export function compileRole(
  role: Role,
  { fillsNames, limitsRates }: Pick<Dialect, 'fillsNames' | 'limitsRates'>,
): DynsecRole {
  const { messagesPerSecond, bytesPerSecond } = role;
  const here = (topic: string): boolean => !isTemplate(topic) && (fillsNames || !namesUser(topic));
  return {
    rolename: role.name,
    acls: [
      ...role.publish.filter(here).map((topic) => acl('publishClientSend', topic, true)),
      ...role.subscribe.filter(here).flatMap((topic) => [
        acl('subscribePattern', topic, true),
        // Messages of a shared subscription come under their own topics.
        acl('publishClientReceive', receivedBy(topic), true),
      ]),
    ],
    ...(limitsRates && messagesPerSecond !== undefined ? { messagerate: messagesPerSecond } : {}),
    ...(limitsRates && bytesPerSecond !== undefined ? { byterate: bytesPerSecond } : {}),
    ...(limitsRates && role.source !== undefined ? { textdescription: placeOf(role.source) } : {}),
  };
}

function placeOf({ file, lists }: RoleSource): string {
  return `${file} (publish: line ${String(lists.publish)}, subscribe: line ${String(lists.subscribe)})`;
}

function receivedBy(filter: string): string {
  return filter.replace(/^\$share\/[^/]*\//, '');
}

/** Every role a broker must have. */
export function compileRoles(
  roles: Roles,
  dialect: Pick<Dialect, 'fillsNames' | 'limitsRates'>,
): DynsecRole[] {
  const compiled = [...roles.values()].map((role) => compileRole(role, dialect));
  // "#" covers no topic that begins with "$" (MQTT 5 §4.7.2).
  const everything = ['#', '$SYS/#', '$share/+/#'];
  const denied = (
    ['publishClientSend', 'publishClientReceive', 'subscribePattern'] as const
  ).flatMap((acltype) => everything.map((topic) => acl(acltype, topic, false)));
  return dialect.fillsNames ? compiled : [...compiled, { rolename: deniedRole, acls: denied }];
}

/**
 * Mosquitto's acl_file for the topics that name the device. It holds for every client, whatever its role: a device may do in its own
 * name what any role allows. Subscribing itself is not judged by the file, only what is sent to the subscriber.
 */
export function compileAclFile(roles: Roles): string {
  const lines = new Set<string>();
  for (const { publish, subscribe } of roles.values()) {
    for (const topic of publish.filter(namesUser)) lines.add(`pattern write ${topic}`);
    for (const topic of subscribe.filter(namesUser)) {
      lines.add(`pattern read ${receivedBy(topic)}`);
    }
  }
  return [
    '# Written by Keyline from ca-config/roles. %u is the CN of the client certificate.',
    ...[...lines].toSorted(),
    '',
  ].join('\n');
}
