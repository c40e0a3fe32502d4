// Ports for a new plant: those that everybody knows, where this user may have them and nobody else does.
import { isNodeError } from '@keyline/files';
import { findFreePorts, tryListen } from '../up/ports.ts';

export interface ChosenPort {
  readonly port: number;
  /** Why it is not the one before it in the list, or what stands against the one that was given. */
  readonly remarks: readonly string[];
}

export const usualPorts = {
  api: [443, 8443],
  http: [80, 8080],
  broker: [8883],
} as const;

/** @param candidates best first; when none can be had, one that is free */
export async function choosePort(
  listen: string,
  candidates: readonly number[],
): Promise<ChosenPort> {
  const remarks: string[] = [];
  for (const port of candidates) {
    const error = await tryListen(listen, port);
    if (error === undefined) return { port, remarks };
    remarks.push(remarkOn(port, error));
  }
  const [port = 0] = await findFreePorts(listen, 1);
  return { port, remarks };
}

/** What a person should know of a port that was given. */
export async function judgePort(listen: string, port: number): Promise<ChosenPort> {
  const error = await tryListen(listen, port);
  return { port, remarks: error === undefined ? [] : [remarkOn(port, error)] };
}

function remarkOn(port: number, error: Error): string {
  if (isNodeError(error, 'EACCES')) {
    return `port ${String(port)} needs a permission that this user has not (see docs/production.md)`;
  }
  if (isNodeError(error, 'EADDRINUSE')) return `another program listens on port ${String(port)}`;
  return `port ${String(port)} can't be listened on (${error.message})`;
}
