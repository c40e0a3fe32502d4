// Ports for services that keep them.
import { randomInt } from 'node:crypto';

const lowest = 20_000;
/** Linux gives 32768 and above to outgoing connections, others 49152 and above. */
const above = 32_768;

/**
 * A TCP port that nobody gets by chance. One that the system chose (port 0) is of those that it also gives to outgoing connections: while a
 * service is being restarted, such a connection may have its port. Whether it is free is the caller's to try.
 */
export function drawServicePort(): number {
  return randomInt(lowest, above);
}
