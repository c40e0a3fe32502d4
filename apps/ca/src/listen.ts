// Listening on one address or several: the first is the app's own, the others hand their connections to it.
import { createServer, type Server } from 'node:net';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { FastifyInstance } from 'fastify';

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
  const doors: Server[] = [];
  app.addHook('onClose', (_instance, done) => {
    for (const door of doors) door.close();
    done();
  });
  await orExplain(first, port, () => app.listen({ host: first, port }));
  for (const host of others) {
    const door = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      app.server.emit('connection', socket);
    });
    doors.push(door);
    await orExplain(host, port, () => listen(door, host, portOf(app) ?? port));
  }
}

function listen(door: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    door.once('error', reject);
    // An address of both families beside one of them would take its port.
    door.listen({ host, port, ipv6Only: host === '::' }, () => {
      door.off('error', reject);
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
