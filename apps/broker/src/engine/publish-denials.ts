// Why a PUBLISH is denied, in words for the log and for MQTT 5 clients.
import type { DynsecEngine } from '@keyline/dynsec';
import type { Limits } from '../options.ts';
import type { Connection } from './connection.ts';
import { rightRemedy, toldRemedy } from './right-remedy.ts';

export interface Denial {
  readonly action: string;
  readonly happened: string;
  readonly remedy: string;
  /** To the client, instead of the remedy. */
  readonly told?: string;
  readonly reasonCode: number;
}

export function findDenial(
  connection: Connection,
  topic: string,
  payloadBytes: number,
  {
    dynsec,
    limits,
  }: {
    readonly dynsec: Pick<DynsecEngine, 'mayPublish' | 'rolesOf'>;
    readonly limits: Pick<Limits, 'messageSizeLimit'>;
  },
): Denial | undefined {
  const { username } = connection;
  if (limits.messageSizeLimit > 0 && payloadBytes > limits.messageSizeLimit) {
    return {
      action: 'publish-size',
      happened: `"${username}" published ${payloadBytes} bytes to "${topic.slice(0, 200)}".`,
      remedy: `Send at most ${limits.messageSizeLimit} bytes, or raise --message-size-limit.`,
      reasonCode: 0x95,
    };
  }
  if (topic.startsWith('$SYS/') || !dynsec.mayPublish(connection, topic)) {
    return {
      action: 'publish',
      happened: `"${username}" may not publish to "${topic.slice(0, 200)}".`,
      remedy: rightRemedy(dynsec, username, 'publish'),
      told: toldRemedy('publish'),
      reasonCode: 0x87,
    };
  }
  return undefined;
}

export function retainedDenial({ username }: Connection, topic: string): Denial {
  return {
    action: 'retain',
    happened: `"${username}" has as many retained messages, or bytes in them, as it may have, and "${topic.slice(0, 200)}" would be one more.`,
    remedy:
      'Remove retained messages by empty ones, or raise --max-retained-messages or --max-retained-bytes.',
    reasonCode: 0x97,
  };
}
