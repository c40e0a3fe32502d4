// A broker that can't be spoken to as it is configured: it is away for good, with the reason.
import { KeylineError } from '@keyline/kernel';
import type { ConnectedTarget } from './target.ts';

/** @param reason what is wrong with it, and what to do */
export function openUnusableTarget(name: string, reason: string): ConnectedTarget {
  const refuse = (): Promise<never> =>
    Promise.reject(new KeylineError('TARGET_UNREACHABLE', reason));
  const done = (): Promise<void> => Promise.resolve();
  return {
    name,
    url: '',
    isConnected: false,
    capabilities: () => undefined,
    batchSize: () => 1,
    unansweredFor: () => 0,
    async *list() {
      await refuse();
    },
    prepare: refuse,
    giveRoles: refuse,
    dropRoles: refuse,
    put: refuse,
    deny: refuse,
    admit: refuse,
    takeReports: refuse,
    takePresence: refuse,
    settleUses: refuse,
    reconnect: done,
    disconnect: done,
    close: done,
  };
}
