// A role in the words of dynamic security.
import type { Role } from '@keyline/access';
import type { DynsecAcl, DynsecDefaultAccess } from './dynsec-messages.ts';

export interface DynsecRole {
  readonly rolename: string;
  readonly acls: readonly DynsecAcl[];
}

/** What nobody is told otherwise: nothing, but letting go of a subscription. */
export const defaultAccess: readonly DynsecDefaultAccess[] = [
  { acltype: 'publishClientSend', allow: false },
  { acltype: 'publishClientReceive', allow: false },
  { acltype: 'subscribe', allow: false },
  { acltype: 'unsubscribe', allow: true },
];

/**
 * `%u` is left in the topics: Keyline's broker and Mosquitto from 2.1 put the user name, which is the device id, in its place.
 * Subscribing needs two rights, to ask (subscribePattern) and to be sent what matches (publishClientReceive).
 */
export function compileRole(role: Role): DynsecRole {
  const allow = (acltype: DynsecAcl['acltype'], topic: string): DynsecAcl => ({
    acltype,
    topic,
    priority: 0,
    allow: true,
  });
  return {
    rolename: role.name,
    acls: [
      ...role.publish.map((topic) => allow('publishClientSend', topic)),
      ...role.subscribe.flatMap((topic) => [
        allow('subscribePattern', topic),
        allow('publishClientReceive', topic),
      ]),
    ],
  };
}
