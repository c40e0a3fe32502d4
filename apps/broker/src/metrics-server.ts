// Plain HTTP for this machine alone: Prometheus' metrics, and whether the broker serves.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
import { createBoundary } from './boundary.ts';
import type { Metrics } from './metrics.ts';

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `failing`: it serves, and can not keep what it should; the log says why. */
export type BrokerStatus = 'ok' | 'failing' | 'stopping';

interface MetricsServerOptions {
  readonly port: number;
  readonly metrics: Pick<Metrics, 'registry' | 'faults'>;
  readonly status: () => BrokerStatus;
  readonly log: Logger;
}

/** Scrapers are few; what holds a connection without asking anything is cut. */
const mostConnections = 64;
const requestMilliseconds = 5000;
const idleMilliseconds = 15_000;

/** Listens on 127.0.0.1 alone: the numbers name no device, but they are nobody's business outside either. */
export async function openMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const { log } = options;
  const inBoundary = createBoundary(options);
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: requestMilliseconds,
      requestTimeout: requestMilliseconds,
      keepAliveTimeout: idleMilliseconds,
      connectionsCheckingInterval: 1000,
    },
    (request, response) => {
      inBoundary('metrics', request.socket, () => {
        answerRequest(request, response, options);
      });
    },
  );
  server.maxConnections = mostConnections;
  server.maxHeadersCount = 100;
  server.timeout = idleMilliseconds;
  server.on('connection', (socket) => {
    socket.on('error', () => socket.destroy());
  });
  server.on('clientError', (_error, socket) => {
    socket.destroy();
  });
  await listen(server, options.port);
  server.on('error', (error) => {
    log.error({ error: error.message }, 'the metrics listener failed');
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}

function answerRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { metrics, status, log }: MetricsServerOptions,
): void {
  const { method = '', url = '' } = request;
  // Compared as it came: nothing here needs a URL taken apart, and "//" is none.
  const [path] = url.split('?', 1);
  const answer = (code: number, type: string, body: string): void => {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(code, {
      'content-type': type,
      'cache-control': 'no-store',
      // What it sends beside its headers is not read.
      ...(method === 'GET' || method === 'HEAD' ? {} : { connection: 'close' }),
    });
    response.end(method === 'HEAD' ? undefined : body);
  };
  if (method !== 'GET' && method !== 'HEAD') {
    answer(405, 'text/plain', 'Only GET and HEAD are answered here.\n');
  } else if (path === '/healthz') {
    const now = status();
    answer(now === 'ok' ? 200 : 503, 'application/json', `${JSON.stringify({ status: now })}\n`);
  } else if (path === '/metrics') {
    metrics.registry.metrics().then(
      (text) => {
        answer(200, metrics.registry.contentType, text);
      },
      (error: unknown) => {
        log.error({ error: messageOf(error) }, 'the metrics could not be collected');
        answer(500, 'text/plain', 'The metrics could not be collected; the log says why.\n');
      },
    );
  } else {
    answer(404, 'text/plain', 'Here are /metrics and /healthz.\n');
  }
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
