// Plain HTTP for this machine alone: Prometheus' metrics, and whether the broker serves.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
import type { Metrics } from './metrics.ts';

export interface MetricsServer {
  readonly port: number;
  close(): Promise<void>;
}

/** `failing`: it serves, and can not keep what it should; the log says why. */
export type BrokerStatus = 'ok' | 'failing' | 'stopping';

interface MetricsServerOptions {
  readonly port: number;
  readonly metrics: Pick<Metrics, 'registry'>;
  readonly status: () => BrokerStatus;
  readonly log: Logger;
}

/** Listens on 127.0.0.1 alone: the numbers name no device, but they are nobody's business outside either. */
export async function openMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const { metrics, status, log } = options;
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    const answer = (code: number, type: string, body: string): void => {
      response.writeHead(code, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(405, 'text/plain', 'Only GET and HEAD are answered here.\n');
    } else if (pathname === '/healthz') {
      const now = status();
      answer(now === 'ok' ? 200 : 503, 'application/json', `${JSON.stringify({ status: now })}\n`);
    } else if (pathname === '/metrics') {
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
  });
  await listen(server, options.port);
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

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject);
      resolve();
    });
  });
}
