// What one process used, as Linux counts it: all its threads, and nobody else's work.
import { readFileSync } from 'node:fs';

// sysconf(_SC_CLK_TCK): 100 on every Linux that Debian builds.
const ticksPerSecond = 100;

/** Seconds of CPU, user and system, to 10 ms. */
export function cpuSecondsOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name in parentheses, which may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}
