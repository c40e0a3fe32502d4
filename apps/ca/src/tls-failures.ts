// TLS handshakes with the API that fail: counted, and some written down, with what to do.
import type { Socket } from 'node:net';
import type { Server, TLSSocket } from 'node:tls';
import { messageOf } from '@keyline/kernel';
import type { Metrics } from './metrics.ts';
import type { RefusalLog } from './refusal-log.ts';

// By what OpenSSL and Node call it: ours when we gave up, the peer's alert when it did.
const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|ALERT_CERTIFICATE/,
    'The client did not accept the certificate of the API: give it the trust bundle (GET /v1/trust-bundle on the plain listener), and call by a name of the certificate.',
  ],
  [
    /WRONG_VERSION_NUMBER|HTTP_REQUEST|HTTPS_PROXY_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG/,
    'The client speaks no TLS here: call https:// and not http://.',
  ],
  [
    /UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW|PROTOCOL_VERSION/,
    'The client offers no version of TLS that the API takes (keyline-ca serve --tls-version).',
  ],
  [
    /NO_SHARED_CIPHER|NO_SUITABLE/,
    'Client and API share no cipher, curve or signature algorithm: TLS 1.2 is taken with ECDHE and AES-GCM or ChaCha20-Poly1305 alone.',
  ],
  [/TIMEOUT/, 'The client began a handshake and did not finish it in time: look at its network.'],
  [
    /ECONNRESET|EPIPE/,
    'The client went away during the handshake: often it did not accept the certificate of the API; its own log says why.',
  ],
];

/** Said by OpenSSL when the first bytes are HTTP's. */
const isHttp = /HTTP_REQUEST|HTTPS_PROXY_REQUEST/;
/** Milliseconds that somebody who is sent away gets to read why. */
const farewell = 250;
const httpText =
  'This port speaks HTTPS: call https:// and not http://. CRLs, OCSP and the trust bundle are on the plain HTTP listener, which has a port of its own.\n';
const httpAnswer = [
  'HTTP/1.1 400 Bad Request',
  'Content-Type: text/plain; charset=utf-8',
  `Content-Length: ${String(Buffer.byteLength(httpText))}`,
  'Cache-Control: no-store',
  'Connection: close',
  `\r\n${httpText}`,
].join('\r\n');

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${String(socket.remotePort ?? 0)}`;
}

export function reportTlsFailures(
  server: Server,
  { refusals, metrics }: { refusals: RefusalLog; metrics: Pick<Metrics, 'handshakeFailed'> },
): void {
  // Below TLS, while the handshake is under way: from a TLS socket it can't be reached.
  const raw = new Map<string, Socket>();
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket);
    raw.set(peer, socket);
    socket.once('close', () => {
      if (raw.get(peer) === socket) raw.delete(peer);
    });
  });
  server.on('secureConnection', (socket) => {
    raw.delete(peerOf(socket));
  });
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const address = socket.remoteAddress;
    const code = error.code ?? '';
    const below = raw.get(peerOf(socket));
    if (below !== undefined && isHttp.test(code)) {
      below.end(httpAnswer);
      setTimeout(() => socket.destroy(), farewell).unref();
      // After a timeout Node leaves the socket to whoever listens here.
    } else socket.destroy();
    // A label must have few values, and a code from the other side is not ours to trust.
    const reason = /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'other';
    metrics.handshakeFailed(reason);
    const remedy = remedies.find(([pattern]) => pattern.test(code))?.[1];
    refusals.write(
      'stranger',
      { event: 'handshake failed', reason, address, remedy },
      `The TLS handshake failed (${messageOf(error).trim().slice(0, 200)}). ${remedy ?? ''}`.trim(),
    );
  });
}
