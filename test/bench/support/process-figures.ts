// What one process used, as Linux counts it: all its threads, and nobody else's work.
import { readdirSync, readFileSync } from 'node:fs';

/** Seconds of CPU, user and system, of the threads that live: a process that keeps its threads loses nothing. */
export function cpuSecondsOf(pid: number): number {
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
    nanoseconds += Number(text.split(' ', 1)[0]);
  }
  return nanoseconds / 1e9;
}
