// The topic filter of an ACL: what Mosquitto takes for one, and `%u` and `%c` in it.
import {
  compileFilter,
  countLevels,
  findMisplacedWildcard,
  type CompiledFilter,
} from '@keyline/mqtt';

// Mosquitto's limit is 200 slashes, above that of a packet here: an ACL may be there that no topic reaches.
const mostLevels = 201;
const longestBytes = 65_535;

const placeholders = { '%u': 'username', '%c': 'clientId' } as const;

export interface AclFilter {
  readonly filter: CompiledFilter<'username' | 'clientId'>;
  /** createRole takes topics unchecked. */
  readonly valid: boolean;
}

/** MQTT 5 §4.7.1: wildcards stand alone in their level, `#` is last. */
export function isAclTopic(topic: string): boolean {
  return (
    topic !== '' &&
    Buffer.byteLength(topic) <= longestBytes &&
    countLevels(topic) <= mostLevels &&
    findMisplacedWildcard(topic) === undefined
  );
}

/** `%u` and `%c` alone in a level stand for the user name and the client id (Mosquitto 2.1). */
export function compileAclFilter(topic: string): AclFilter {
  return { filter: compileFilter(topic, placeholders), valid: isAclTopic(topic) };
}
