// Listening on one address or several: the first is the app's own, the others hand their connections to it.
import { createServer, type ListenOptions, type Server } from 'node:net';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { FastifyInstance } from 'fastify';

/** Connections that wait to be taken: many devices may come at once. */
const queue = { backlog: 4096 } as const;

/**
 * Ends with the app. `0.0.0.0` is every IPv4 address of this machine, `::` every address.
 * @throws {KeylineError} USAGE naming the address that can't be listened on
 */
export async function listenOn(
  app: FastifyInstance,
  addresses: readonly string[],
  port: number,
): Promise<void> {
  const [first = '127.0.0.1', ...others] = new Set(addresses);
  const handingOver = prepareOthers(app, addresses);
  await orExplain(first, port, () =>
    app.listen({ ...queue, host: first, port, ipv6Only: isIpv6Only(first, addresses) }),
  );
  for (const host of others) await handingOver(host, portOf(app) ?? port);
}

/**
 * Another port of the same app, whose hooks are closed by then: what listens is ended by the app's server.
 * @throws {KeylineError} USAGE naming the address that can't be listened on
 */
export async function listenAlsoOn(
  app: FastifyInstance,
  addresses: readonly string[],
  port: number,
): Promise<void> {
  const servers: Server[] = [];
  app.server.once('close', () => {
    for (const server of servers) server.close();
  });
  for (const host of new Set(addresses)) servers.push(await handOver(app, addresses, host, port));
}

/** Before the app listens: its hooks can't be added to later. */
function prepareOthers(
  app: FastifyInstance,
  addresses: readonly string[],
): (host: string, port: number) => Promise<void> {
  const servers: Server[] = [];
  app.addHook('onClose', (_instance, done) => {
    for (const server of servers) server.close();
    done();
  });
  return async (host, port) => {
    servers.push(await handOver(app, addresses, host, port));
  };
}

async function handOver(
  app: FastifyInstance,
  addresses: readonly string[],
  host: string,
  port: number,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    app.server.emit('connection', socket);
  });
  await orExplain(host, port, () =>
    listen(server, { ...queue, host, port, ipv6Only: isIpv6Only(host, addresses) }),
  );
  return server;
}

/** "::" is IPv4 too, unless that was asked for beside it. */
function isIpv6Only(host: string, addresses: readonly string[]): boolean {
  return host === '::' && addresses.includes('0.0.0.0');
}

function listen(server: Server, address: ListenOptions): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function portOf(app: FastifyInstance): number | undefined {
  const address = app.server.address();
  return typeof address === 'object' ? address?.port : undefined;
}

async function orExplain(
  host: string,
  port: number,
  attempt: () => Promise<unknown>,
): Promise<void> {
  try {
    await attempt();
  } catch (cause) {
    throw new KeylineError(
      'USAGE',
      `Can't listen on ${host}:${String(port)}: ${messageOf(cause)}. Stop what listens there, or choose another port or address (--listen).`,
      { cause },
    );
  }
}
