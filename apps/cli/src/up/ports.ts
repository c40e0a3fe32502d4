// TCP ports of this machine: which are free, which may be taken, and what is said of those that are not.
import { createServer, type Server } from 'node:net';
import { isNodeError } from '@keyline/files';
import { drawServicePort, KeylineError, messageOf } from '@keyline/kernel';

export interface PlaceToListen {
  readonly host: string;
  readonly port: number;
  /** For people: "the API". */
  readonly what: string;
  /** What gives it another port: "--port-api N". */
  readonly instead?: string | undefined;
}

/** @throws {KeylineError} USAGE naming the first port that is taken, or may not be */
export async function assertFree(places: readonly PlaceToListen[]): Promise<void> {
  for (const { host, port, what, instead } of places) {
    const error = await tryListen(host, port);
    if (error === undefined) continue;
    const where = `${host}:${String(port)} (${what})`;
    if (isNodeError(error, 'EADDRINUSE')) {
      throw new KeylineError(
        'USAGE',
        `Another program listens on ${where}. See which: ss -ltnp "sport = :${String(port)}". Stop it${
          instead === undefined ? '' : `, or give another port: ${instead}`
        }.`,
      );
    }
    if (isNodeError(error, 'EACCES')) {
      throw new KeylineError(
        'USAGE',
        `Can't listen on ${where}: ports below 1024 need a permission. Let the service manager grant it (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE, see docs/production.md)${
          instead === undefined ? '' : `, or give a port from 1024: ${instead}`
        }.`,
      );
    }
    if (isNodeError(error, 'EADDRNOTAVAIL')) {
      throw new KeylineError(
        'USAGE',
        `Can't listen on ${where}: this machine has no address ${host}. "ip -brief address" lists those it has; 0.0.0.0 is all of them.`,
      );
    }
    throw new KeylineError('USAGE', `Can't listen on ${where}: ${messageOf(error)}.`, {
      cause: error,
    });
  }
}

/** @returns what the system says against it, undefined when it can be listened on */
export function tryListen(host: string, port: number): Promise<Error | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', resolve);
    server.listen(port, host, () => {
      server.close(() => {
        resolve(undefined);
      });
    });
  });
}

/** Held open together, so that they differ. @throws {KeylineError} USAGE */
export async function findFreePorts(host: string, count: number): Promise<number[]> {
  const held: Server[] = [];
  try {
    const ports: number[] = [];
    while (ports.length < count) {
      const port = drawServicePort();
      const server = createServer();
      const problem = await new Promise<Error | undefined>((resolve) => {
        server.once('error', resolve);
        server.listen(port, host, () => {
          resolve(undefined);
        });
      });
      if (problem === undefined) {
        held.push(server);
        ports.push(port);
      } else if (!isNodeError(problem, 'EADDRINUSE')) {
        throw new KeylineError('USAGE', `Can't listen on ${host}: ${messageOf(problem)}.`, {
          cause: problem,
        });
      }
    }
    return ports;
  } finally {
    await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  }
}
