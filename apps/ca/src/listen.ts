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
  // "::" is IPv4 too, unless that was asked for beside it.
  const ipv6Only = addresses.includes('0.0.0.0');
  const servers: Server[] = [];
  app.addHook('onClose', (_instance, done) => {
    for (const server of servers) server.close();
    done();
  });
  await orExplain(first, port, () =>
    app.listen({ ...queue, host: first, port, ipv6Only: ipv6Only && first === '::' }),
  );
  for (const host of others) {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      app.server.emit('connection', socket);
    });
    servers.push(server);
    await orExplain(host, port, () =>
      listen(server, {
        ...queue,
        host,
        port: portOf(app) ?? port,
        ipv6Only: ipv6Only && host === '::',
      }),
    );
  }
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
