// MQTT in WebSocket messages (MQTT 5.0 §6), on an HTTPS server whose handshake the door has judged already.
import type { Server } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { createWebSocketStream, WebSocketServer } from 'ws';
import type { Limits } from './options.ts';

interface WebSocketOptions {
  readonly server: Server;
  readonly limits: Limits;
  readonly onOpen: (conn: Duplex, socket: Socket) => void;
}

export function serveWebSocket({ server, limits, onOpen }: WebSocketOptions): void {
  const sockets = new WebSocketServer({
    noServer: true,
    // Compression would let a device make the broker work far more than its own bytes cost it.
    perMessageDeflate: false,
    ...(limits.maxPacketSize > 0 ? { maxPayload: limits.maxPacketSize + 5 } : {}),
    // MQTT 5.0 §6.0.0-3; "mqttv3.1" is what older 3.1.1 clients ask for.
    handleProtocols: (asked) => ['mqtt', 'mqttv3.1'].find((name) => asked.has(name)) ?? false,
  });
  server.headersTimeout = limits.connectTimeout;
  server.requestTimeout = limits.connectTimeout;
  server.on('request', (_request, response) => {
    response.writeHead(426, {
      connection: 'close',
      upgrade: 'websocket',
      'content-type': 'text/plain',
    });
    response.end(
      'This is an MQTT broker: connect with MQTT over WebSocket (subprotocol "mqtt").\n',
    );
  });
  server.on('upgrade', (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (webSocket) => {
      const conn = createWebSocketStream(webSocket);
      // The stream reports what the WebSocket's peer does wrong; aedes listens only once it has the stream.
      conn.on('error', () => undefined);
      onOpen(conn, request.socket);
    });
  });
}
