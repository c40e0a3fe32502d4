// What to do about a right that an identity does not have: where its role is written, and how a change of it is applied. What is changed on
// the broker alone, the next comparison with the fleet takes back.
import type { DynsecEngine } from '@keyline/dynsec';

type Action = 'publish' | 'subscribe' | 'unsubscribe';

const words = {
  publish: { use: 'Publish to a topic', acl: 'publishClientSend' },
  subscribe: { use: 'Subscribe to a filter', acl: 'subscribePattern or subscribeLiteral' },
  unsubscribe: { use: 'End a subscription to a filter', acl: 'unsubscribePattern' },
} as const satisfies Record<Action, unknown>;

/** Of a role that Keyline has pushed: libs/targets, `compileRole`. */
const place = /^roles\/[^\s()]{1,100} \([^()]{1,100}\)$/;
const mostNamed = 3;

/** For the log and the issuing CA. The client itself is told `toldRemedy`: where a file is, is nothing for devices. */
export function rightRemedy(
  dynsec: Pick<DynsecEngine, 'rolesOf'>,
  username: string,
  action: Action,
): string {
  const roles = dynsec.rolesOf(username).slice(0, mostNamed);
  const { use, acl } = words[action];
  if (roles.length === 0) {
    return `It has no role on this broker: see "keyline device show ${username}", and compare the broker with the fleet (keyline target compare).`;
  }
  const pushed = roles.find(({ text }) => place.test(text ?? ''));
  if (pushed !== undefined) {
    return `${use} of its role "${ownName(pushed.name)}", or change that role in ${pushed.text ?? ''} of the configuration and apply it with "keyline role apply"; "keyline role check ${username} TOPIC --${action === 'publish' ? 'publish' : 'subscribe'}" says why it may do what.`;
  }
  const names = roles.map(({ name }) => `"${name}"`).join(', ');
  return `${use} of its role ${names}, or give that role the right ${acl}. A role that Keyline pushes is changed in its file below ca-config/roles: what is changed on the broker alone, the next comparison takes back.`;
}

/** A role that was filled for some identities has a sum behind its name (libs/targets, `brokerRoleOf`). */
const ownName = (name: string): string => name.replace(/~.*$/, '');

/** For the client. */
export function toldRemedy(action: Action): string {
  return `${words[action].use} of its role.`;
}
