// How the channels of alerts stand: what their followers say, and whether each could deliver now.
import type { AlertChannel } from '@keyline/alerts';
import type { AlertChannelView } from '@keyline/api';
import { messageOf } from '@keyline/kernel';
import type { RunningFollower } from '@keyline/ledger';

/** Whoever asks again and again makes no more requests to others than this, in milliseconds. */
const askedEvery = 10_000;

export function createChannelViews(
  channels: readonly {
    readonly channel: AlertChannel;
    readonly follower: Pick<RunningFollower, 'lag' | 'lastError'>;
  }[],
): () => Promise<readonly AlertChannelView[]> {
  let askedAt = -Infinity;
  let answers: Promise<readonly (string | null)[]> = Promise.resolve([]);
  return async () => {
    if (performance.now() - askedAt > askedEvery) {
      askedAt = performance.now();
      answers = Promise.all(channels.map(({ channel }) => whyUnreachable(channel)));
    }
    const unreachable = await answers;
    return channels.map(({ channel, follower }, index) => ({
      name: channel.name,
      lag: follower.lag(),
      lastError: follower.lastError() ?? null,
      unreachable: unreachable[index] ?? null,
    }));
  };
}

async function whyUnreachable(channel: AlertChannel): Promise<string | null> {
  try {
    await channel.probe();
    return null;
  } catch (error) {
    return messageOf(error);
  }
}
