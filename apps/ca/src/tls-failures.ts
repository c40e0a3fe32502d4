// TLS handshakes with the API that fail: counted, and some written down, with what to do.
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
    /WRONG_VERSION_NUMBER|HTTP_REQUEST|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG/,
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

export function reportTlsFailures(
  server: Server,
  { refusals, metrics }: { refusals: RefusalLog; metrics: Pick<Metrics, 'handshakeFailed'> },
): void {
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket: TLSSocket) => {
    const address = socket.remoteAddress;
    // After a timeout Node leaves the socket to whoever listens here.
    socket.destroy();
    const code = error.code ?? '';
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
