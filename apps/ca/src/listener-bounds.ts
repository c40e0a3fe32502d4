// What a listener holds of those that call: connections, the time of heads and bodies, bytes of bodies on their way in, streams.
import type { ServerOptions } from 'node:http';
import type { Socket } from 'node:net';
import type { ServiceConfig } from '@keyline/config';
import { FairShare, peerKeyOf } from '@keyline/edge';
import { KeylineError } from '@keyline/kernel';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { hasBody } from './request-body.ts';

/** Why a connection was ended, or a request refused. */
export type BoundReason = 'connections' | 'body-time' | 'body-bytes' | 'streams';

export interface ListenerBounds {
  /** The caller of a request was proved: its connection gives way last. */
  prove(request: FastifyRequest): void;
  /** A body without an end, of an admitted caller: no time is set for it. @throws {KeylineError} SERVICE_BUSY */
  takeStream(stream: {
    readonly request: FastifyRequest;
    readonly reply: FastifyReply;
    /** Name. */
    readonly caller: string;
  }): void;
}

type Limits = ServiceConfig['listeners'];

/** Settings of Node's server. What they end is checked each second; by Node's default it is each half minute. */
export function httpServerOptions({ headerTime }: Pick<Limits, 'headerTime'>): ServerOptions {
  // That a Host is missing is said as a problem, by request-form.ts.
  return {
    headersTimeout: headerTime,
    connectionsCheckingInterval: 1000,
    requireHostHeader: false,
  };
}

declare module 'fastify' {
  interface FastifyRequest {
    /** While its body is on its way. On the request: a weak map of requests costs the garbage collector more than all of this. */
    isArriving: boolean;
  }
}

/** Must be installed before the routes. */
export function installListenerBounds(
  app: FastifyInstance,
  options: {
    readonly limits: Limits;
    /** Largest body that is read. */
    readonly bodyBytes: number;
    readonly onEnd: (reason: BoundReason) => void;
  },
): ListenerBounds {
  const { limits, bodyBytes, onEnd } = options;
  const end = (reason: BoundReason, socket: Socket): void => {
    onEnd(reason);
    socket.destroy();
  };

  const connections = new FairShare<Socket>({
    most: limits.connections,
    end: (socket) => {
      end('connections', socket);
    },
  });
  // The socket below TLS can't be reached from the one above it.
  const below = new Map<string, Socket>();
  const proved = new WeakSet<Socket>();
  app.server.on('connection', (socket: Socket) => {
    if (!connections.take(peerKeyOf(socket.remoteAddress), socket)) {
      end('connections', socket);
      return;
    }
    const peer = peerOf(socket);
    below.set(peer, socket);
    socket.once('close', () => {
      connections.release(socket);
      if (below.get(peer) === socket) below.delete(peer);
    });
  });

  app.decorateRequest('isArriving', false);
  const bodies = new FairShare<FastifyRequest>({
    most: limits.bodyBytesInFlight,
    end: (request) => {
      end('body-bytes', request.raw.socket);
    },
  });
  function arrived(request: FastifyRequest): void {
    if (!request.isArriving) return;
    request.isArriving = false;
    bodies.release(request);
  }
  const sweep = setInterval(() => {
    for (const request of [...bodies.before(performance.now() - limits.bodyTime)]) {
      arrived(request);
      if (isUnread(request)) end('body-time', request.raw.socket);
    }
  }, 1000);
  sweep.unref();

  app.addHook('onRequest', (request, _reply, done) => {
    // A body that is here already, as `inject` brings it, takes nobody's time.
    if (!hasBody(request) || !isUnread(request)) return done();
    const declared = Number(request.headers['content-length'] ?? bodyBytes);
    // One that is too large is refused unread; one without a length is read up to the largest.
    if (!bodies.take(peerKeyOf(request.ip), request, Math.min(declared, bodyBytes))) {
      onEnd('body-bytes');
      return done(busy('Too many bodies are on their way in.'));
    }
    request.isArriving = true;
    // Read to its end, or broken off. What was refused unread is read on by Node and dropped: for that, too, it has its time.
    request.raw.once('close', () => {
      arrived(request);
    });
    return done();
  });
  const streams = new FairShare<FastifyRequest>({
    most: limits.streams,
    end: (request) => {
      end('streams', request.raw.socket);
    },
  });
  app.addHook('onClose', (_instance, done) => {
    clearInterval(sweep);
    done();
  });

  return {
    prove(request) {
      const { socket } = request.raw;
      if (proved.has(socket)) return;
      proved.add(socket);
      const raw = below.get(peerOf(socket));
      if (raw !== undefined) connections.prove(raw);
    },
    takeStream({ request, reply, caller }) {
      if (!streams.take(caller, request)) {
        onEnd('streams');
        throw busy('Too many streams of units are open.');
      }
      arrived(request);
      // Answered to its end, or broken off.
      reply.raw.once('close', () => {
        streams.release(request);
      });
    },
  };
}

function isUnread({ raw }: FastifyRequest): boolean {
  return (raw as { complete?: boolean }).complete === false;
}

function peerOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress ?? ''} ${String(remotePort ?? 0)}`;
}

function busy(what: string): KeylineError {
  return new KeylineError('SERVICE_BUSY', `${what} Try again in some seconds.`, {
    context: { retryAfterSeconds: 5 },
  });
}
