// MQTT in WebSocket messages (MQTT 5.0 §6), on an HTTPS server whose handshake the TLS listener has judged already.
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { Boundary } from './boundary.ts';
import type { Limits } from './options.ts';
import { UnfinishedFrame } from './unfinished-frame.ts';

interface WebSocketOptions {
  readonly server: Server;
  readonly limits: Pick<Limits, 'maxPacketSize' | 'connectTimeout'>;
  readonly inBoundary: Boundary;
  /** It sent a message beyond the largest packet, and is cut. */
  readonly onTooLarge: (socket: Socket) => void;
  readonly onOpen: (conn: Duplex, socket: Socket, unfinished: UnfinishedFrame) => void;
}

/** Of the HTTPS server; its constructor alone takes them. */
export const httpBounds = { maxHeaderSize: 8192, connectionsCheckingInterval: 1000 } as const;

export function serveWebSocket(options: WebSocketOptions): void {
  const { server, limits, inBoundary, onTooLarge, onOpen } = options;
  const sockets = new WebSocketServer({
    noServer: true,
    // Compression would let a device make the broker work far more than its own bytes cost it.
    perMessageDeflate: false,
    // Each takes far more memory than its bytes.
    maxFragments: 256,
    maxBufferedChunks: 8192,
    ...(limits.maxPacketSize > 0 ? { maxPayload: limits.maxPacketSize + 5 } : {}),
    // MQTT 5.0 §6.0.0-3; "mqttv3.1" is what older 3.1.1 clients ask for.
    handleProtocols: (asked) => ['mqtt', 'mqttv3.1'].find((name) => asked.has(name)) ?? false,
  });
  server.headersTimeout = limits.connectTimeout;
  server.requestTimeout = limits.connectTimeout;
  server.timeout = limits.connectTimeout;
  server.maxHeadersCount = 100;
  server.on('request', (request, response) => {
    inBoundary('http', request.socket, () => {
      response.writeHead(426, {
        connection: 'close',
        upgrade: 'websocket',
        'content-type': 'text/plain',
      });
      response.end(
        'This is an MQTT broker: connect with MQTT over WebSocket (subprotocol "mqtt").\n',
      );
    });
  });
  server.on('clientError', (_error, socket) => {
    socket.destroy();
  });
  server.on('upgrade', (request, socket, head) => {
    inBoundary('upgrade', socket, () => {
      // From here on the engine's own timers hold.
      request.socket.setTimeout(0);
      sockets.handleUpgrade(request, socket, head, (webSocket) => {
        inBoundary('upgrade', socket, () => {
          const conn = createWebSocketStream(webSocket);
          // The stream reports what the WebSocket's peer does wrong; nobody else may be listening yet.
          conn.on('error', (error: NodeJS.ErrnoException) => {
            conn.destroy();
            if (error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') onTooLarge(request.socket);
          });
          onOpen(conn, request.socket, new UnfinishedFrame(webSocket, socket));
        });
      });
    });
  });
}
