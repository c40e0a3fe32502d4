// Handshakes that failed: counted, and logged in words: what OpenSSL and Node call it, and what to do.
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { httpAnswer, notHttp } from './foreign-protocol.ts';
import type { Metrics } from './metrics.ts';
import type { RefusalLog } from './refusal-log.ts';

/** Said by OpenSSL when the first bytes are HTTP's. */
const isHttp = /HTTP_REQUEST|HTTPS_PROXY_REQUEST/;
/** Milliseconds that somebody who is sent away gets to read why. */
const farewell = 250;

const defaultRemedy =
  'Try it with: openssl s_client -connect HOST:PORT -CAfile CA -cert CERT -key KEY.';

// By what OpenSSL and Node call it: ours when we gave up, the peer's alert when it did.
const remedies: readonly (readonly [RegExp, string])[] = [
  [
    /ALERT_UNKNOWN_CA|ALERT_BAD_CERTIFICATE|ALERT_CERTIFICATE/,
    'The client did not accept the broker’s certificate: give the client the trust bundle (trust.pem) and connect by a name that is in the certificate.',
  ],
  [
    isHttp,
    'The client speaks HTTP to the port of MQTT over TLS: the API has another port, and MQTT over WebSocket wants TLS too (wss://, --websocket-port).',
  ],
  [
    /WRONG_VERSION_NUMBER|UNKNOWN_PROTOCOL|PACKET_LENGTH_TOO_LONG/,
    'The client speaks no TLS here, but most likely MQTT without it: use mqtts:// instead of mqtt://, on this port (mosquitto_pub: --cafile, --cert and --key). There is no port without TLS.',
  ],
  [/UNSUPPORTED_PROTOCOL|VERSION_TOO_LOW/, 'The client is too old: TLS 1.2 or 1.3 is needed.'],
  [
    /NO_SHARED_CIPHER|NO_SUITABLE/,
    'Client and broker share no cipher, curve or signature algorithm.',
  ],
  [/TIMEOUT/, 'The client began a handshake and did not finish it in time: look at its network.'],
  [
    /ECONNRESET|EPIPE/,
    'The client went away during the handshake: often it did not accept the broker’s certificate; its own log says why.',
  ],
];

/** @param error as Node reports it; after a timeout it leaves the socket to whoever listens, so that is cut here */
export function reportHandshakeFailure(
  error: NodeJS.ErrnoException,
  socket: TLSSocket,
  {
    metrics,
    refusals,
    raw,
  }: {
    readonly metrics: Metrics;
    readonly refusals: RefusalLog;
    /** The socket below TLS. */
    readonly raw?: Socket | undefined;
  },
): void {
  const code = error.code ?? error.message;
  const peer = socket.remoteAddress;
  if (raw !== undefined && isHttp.test(code)) {
    // Below TLS, which never began. Whoever does not read it is cut all the same.
    raw.end(httpAnswer(notHttp));
    setTimeout(() => socket.destroy(), farewell).unref();
  } else socket.destroy();
  metrics.handshakes.inc({ result: 'failed', reason: labelOf(code) });
  refusals.write({
    event: 'handshake failed',
    reason: code.slice(0, 200),
    certificate: { cn: undefined, serialHex: undefined },
    peer,
    happened: `The TLS handshake failed (${error.message.trim().slice(0, 200)}).`,
    remedy: remedies.find(([pattern]) => pattern.test(code))?.[1] ?? defaultRemedy,
  });
}

/** A label must have few values, and an error code from the other side is not ours to trust. */
function labelOf(code: string): string {
  return /^[A-Z0-9_]{1,60}$/.test(code) ? code : 'other';
}
