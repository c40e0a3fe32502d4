// Ends a process that a test started.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';

/** Resolves when it is gone; at once when it is gone already, or was never there. */
export async function endChild(
  child: ChildProcess | undefined,
  signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM',
): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill(signal);
  await ended;
}
