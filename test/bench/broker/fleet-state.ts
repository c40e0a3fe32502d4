// Rights for the throughput benches, in Mosquitto's own file: every broker begins with the same one.
import { adminName, listenerName } from './fleet-certificates.ts';

/** Below it everybody may publish and subscribe. */
export const benchTopic = 'bench';

/** @param usernames devices; Mosquitto is fastest with them in descending order */
export function stateFor(usernames: readonly string[]): string {
  const allow = (topic: string, ...types: readonly string[]): object[] =>
    types.map((acltype) => ({ acltype, topic, priority: 0, allow: true }));
  const all = ['publishClientSend', 'publishClientReceive', 'subscribePattern'];
  return JSON.stringify({
    defaultACLAccess: {
      publishClientSend: false,
      publishClientReceive: false,
      subscribe: false,
      unsubscribe: true,
    },
    clients: [...usernames, listenerName, adminName]
      .toSorted((a, b) => (a < b ? 1 : -1))
      .map((username) => ({
        username,
        roles: [{ rolename: username === adminName ? 'admin' : 'bench' }],
      })),
    groups: [],
    roles: [
      { rolename: 'bench', acls: allow(`${benchTopic}/#`, ...all) },
      { rolename: 'admin', acls: allow('$CONTROL/dynamic-security/#', ...all) },
    ],
  });
}

/** As prepareFleet calls them. */
export function deviceNames(count: number): string[] {
  return Array.from({ length: count }, (_, i) => `unit-${String(i).padStart(5, '0')}`);
}
