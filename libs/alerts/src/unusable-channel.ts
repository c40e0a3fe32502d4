// A channel that can't be used as it is configured: it has its place in the ledger, so that it is told of everything once it is mended.
import { KeylineError } from '@keyline/kernel';
import type { AlertChannel } from './channel.ts';

/** @param reason what is wrong with it, and what to do */
export function createUnusableChannel(name: string, reason: string): AlertChannel {
  const refuse = (): Promise<never> => Promise.reject(new KeylineError('TARGET_REFUSED', reason));
  return { name, probe: refuse, deliver: refuse };
}
