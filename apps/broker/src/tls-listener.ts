// The TLS listener: bounded handshakes, a certificate asked of everybody, and a verdict on it that still lets the broker answer in MQTT.
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { createServer, type Server, type TLSSocket, type TlsOptions } from 'node:tls';
import type { Logger } from 'pino';
import { FairShare, peerKeyOf } from '@keyline/edge';
import { messageOf } from '@keyline/kernel';
import { AddressLimit } from './address-limit.ts';
import { createBoundary, type Boundary } from './boundary.ts';
import { reportHandshakeFailure } from './handshake-failure.ts';
import type { Metrics } from './metrics.ts';
import type { Limits, TlsPolicy } from './options.ts';
import type { PeerIdentity } from './peer-identity.ts';
import type { PeerJudge } from './peer-judge.ts';
import type { RefusalLog } from './refusal-log.ts';
import type { ServerCertificate } from './server-certificate.ts';
import { contextOf } from './tls-context.ts';
import type { UnfinishedFrame } from './unfinished-frame.ts';
import { httpBounds, serveWebSocket } from './web-socket.ts';

interface TlsListenerOptions {
  readonly certificate: ServerCertificate;
  readonly tls: TlsPolicy;
  readonly limits: Limits;
  readonly metrics: Metrics;
  readonly log: Logger;
  readonly refusals: RefusalLog;
  /** Says who a peer is by its certificate. */
  readonly judge: Pick<PeerJudge, 'judge'>;
  /** MQTT directly on TLS, or in WebSocket messages. */
  readonly carrier: 'tls' | 'websocket';
  /** For clients that bring no certificate: reads who it is from the connection itself. Undefined: certificates are asked for. */
  readonly judgeLogin?:
    ((conn: Duplex, address: string) => Promise<PeerIdentity | undefined>) | undefined;
  /** Called with everybody whose handshake ended well, whatever their certificate. */
  readonly onConnection: (peer: PeerConnection) => void;
}

export interface PeerConnection {
  /** MQTT's bytes. */
  readonly conn: Duplex;
  readonly peerIdentity: PeerIdentity;
  /** The peer's IP address. */
  readonly address: string;
  /** What the carrier holds of bytes that it has not given on. */
  readonly unfinished?: UnfinishedFrame | undefined;
}

/** Sockets beyond max_connections that are let in to be told so in MQTT. */
const spareConnections = 100;
/** A peer says its first byte at once; only when there is no room is it asked for. */
const silencePatience = 1000;
const sweepEvery = 250;

export class TlsListener {
  readonly #options: TlsListenerOptions;
  readonly #server: Server;
  readonly #inBoundary: Boundary;
  readonly #sockets = new Set<TLSSocket>();
  readonly #judged = new WeakMap<Socket, PeerIdentity | Promise<PeerIdentity>>();
  /** By the peer's address and port: the raw socket below a TLS socket is not reachable from it. */
  readonly #raw = new Map<string, Socket>();
  readonly #handshakes: FairShare<Socket>;
  /** Handshake done, CONNECT not accepted yet. */
  readonly #waiting: FairShare<Socket>;
  readonly #waitingOf = new WeakMap<PeerIdentity, Socket>();
  readonly #perAddress: AddressLimit;
  #sweep: NodeJS.Timeout | undefined;

  constructor(options: TlsListenerOptions) {
    const { limits, certificate, tls } = options;
    this.#options = options;
    this.#inBoundary = createBoundary(options);
    this.#handshakes = new FairShare({
      most: limits.maxHandshakes,
      end: (socket) => {
        this.#end(socket, 'too-many-handshakes');
      },
      idle: { isIdle: (socket) => socket.bytesRead === 0, patience: silencePatience },
    });
    this.#waiting = new FairShare({
      most: limits.maxWaitingConnections,
      end: (socket) => {
        this.#end(socket, 'too-many-waiting');
      },
      idle: { isIdle: () => true, patience: silencePatience },
    });
    this.#perAddress = new AddressLimit(limits.maxConnectionsPerAddress);
    const tlsOptions: TlsOptions = {
      ...contextOf(certificate, tls),
      requestCert: options.judgeLogin === undefined,
      // With `true` a refused device sees a bare reset and nobody learns why. The verdict is ours: peer-identity.ts.
      rejectUnauthorized: false,
      handshakeTimeout: limits.handshakeTimeout,
      noDelay: true,
      // Finds peers that vanished although they asked for no MQTT keep-alive.
      keepAlive: true,
      keepAliveInitialDelay: 60_000,
    };
    if (options.carrier === 'tls') this.#server = createServer(tlsOptions);
    else {
      const server = createHttpsServer({ ...tlsOptions, ...httpBounds });
      this.#server = server;
      serveWebSocket({
        server,
        limits,
        inBoundary: this.#inBoundary,
        onOpen: (conn, socket, unfinished) => {
          this.#handOver(conn, socket, unfinished);
        },
        onTooLarge: (socket) => {
          this.#reportTooLarge(socket);
        },
      });
    }
    this.#server.maxConnections =
      limits.maxConnections +
      limits.maxHandshakes +
      limits.maxWaitingConnections +
      spareConnections;
    this.#server.on('connection', (socket: Socket) => {
      this.#inBoundary('connection', socket, () => {
        this.#greet(socket);
      });
    });
    this.#server.on('drop', () => {
      options.metrics.handshakes.inc({ result: 'refused', reason: 'too-many-connections' });
    });
    this.#server.on('tlsClientError', (error, socket) => {
      this.#inBoundary('handshake', socket, () => {
        const { metrics, refusals } = options;
        const raw = this.#raw.get(peerOf(socket));
        reportHandshakeFailure(error, socket, { metrics, refusals, raw });
      });
    });
    this.#server.on('secureConnection', (socket) => {
      this.#inBoundary('handshake', socket, () => {
        this.#admit(socket);
      });
    });
  }

  /** TLS handshakes that have begun and not ended. */
  get handshakesInProgress(): number {
    return this.#handshakes.total;
  }

  /** Connections whose handshake is done and whose CONNECT was not accepted yet. */
  get connectionsWaiting(): number {
    return this.#waiting.total;
  }

  /** Its CONNECT was accepted: it waits no longer. */
  settle(peerIdentity: PeerIdentity): void {
    const socket = this.#waitingOf.get(peerIdentity);
    if (socket !== undefined) this.#waiting.release(socket);
  }

  /** @returns the port, also when 0 was asked for */
  listen(host: string, port: number): Promise<number> {
    this.#sweep = setInterval(() => {
      for (const socket of this.#late()) {
        this.#inBoundary('late', socket, () => {
          this.#options.metrics.handshakes.inc({ result: 'failed', reason: 'too-slow' });
          socket.destroy();
        });
      }
    }, sweepEvery).unref();
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen({ host, port, backlog: 4096 }, () => {
        this.#server.off('error', reject);
        this.#server.on('error', (error) => {
          this.#options.log.error({ error: error.message }, 'the listener failed');
        });
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** New handshakes get the new certificate; connections that stand stay. */
  swap(certificate: ServerCertificate): void {
    this.#server.setSecureContext(contextOf(certificate, this.#options.tls));
  }

  /** Takes nobody in any more. */
  stopListening(): void {
    clearInterval(this.#sweep);
    this.#server.close();
    for (const socket of [...this.#handshakes.holders()]) socket.destroy();
  }

  /** Answers when nobody is left, at the latest after this many milliseconds; who stays longer is cut. */
  async close(patience: number): Promise<void> {
    const deadline = performance.now() + patience;
    while (this.#sockets.size > 0 && performance.now() < deadline) await sleep(5);

    for (const socket of this.#sockets) socket.destroy();
  }

  #greet(socket: Socket): void {
    // Nobody else listens to it for good: an error ends it, whatever it is.
    socket.on('error', () => socket.destroy());
    const { metrics } = this.#options;
    const share = peerKeyOf(socket.remoteAddress);
    if (!this.#perAddress.take(socket, share)) {
      metrics.handshakes.inc({ result: 'refused', reason: 'too-many-of-address' });
      socket.destroy();
      return;
    }
    if (!this.#handshakes.take(share, socket)) {
      this.#end(socket, 'too-many-handshakes');
      return;
    }
    const peer = peerOf(socket);
    this.#raw.set(peer, socket);
    socket.once('close', () => {
      this.#handshakes.release(socket);
      if (this.#raw.get(peer) === socket) this.#raw.delete(peer);
    });
  }

  /** There is no room, for it or beside it. */
  #end(socket: Socket, reason: 'too-many-handshakes' | 'too-many-waiting'): void {
    this.#options.metrics.handshakes.inc({ result: 'refused', reason });
    socket.destroy();
  }

  #admit(socket: TLSSocket): void {
    const { metrics, carrier, judge, judgeLogin } = this.#options;
    const peer = peerOf(socket);
    const raw = this.#raw.get(peer);
    if (raw !== undefined) {
      this.#raw.delete(peer);
      this.#handshakes.release(raw);
    }
    // Node reports some of what a peer does wrong as an error and goes on: here it ends the connection.
    socket.on('error', () => socket.destroy());
    this.#sockets.add(socket);
    socket.once('close', () => {
      this.#sockets.delete(socket);
      this.#waiting.release(socket);
    });
    if (!this.#waiting.take(peerKeyOf(socket.remoteAddress), socket)) {
      this.#end(socket, 'too-many-waiting');
      return;
    }
    if (judgeLogin !== undefined) {
      metrics.handshakes.inc({ result: 'ok', reason: '' });
      this.#login(socket, judgeLogin);
      return;
    }
    const judged = judge.judge(socket);
    this.#judged.set(socket, judged);
    if (carrier === 'tls') this.#handOver(socket, socket);
  }

  #login(socket: TLSSocket, judgeLogin: NonNullable<TlsListenerOptions['judgeLogin']>): void {
    const { limits, log, onConnection } = this.#options;
    const address = socket.remoteAddress ?? '';
    const late = setTimeout(() => {
      socket.destroy();
    }, limits.connectTimeout);
    socket.once('close', () => {
      clearTimeout(late);
    });
    judgeLogin(socket, address).then(
      (peerIdentity) => {
        clearTimeout(late);
        this.#inBoundary('login', socket, () => {
          if (peerIdentity === undefined || socket.destroyed) {
            socket.destroy();
            return;
          }
          this.#waitingOf.set(peerIdentity, socket);
          onConnection({ conn: socket, peerIdentity, address });
        });
      },
      (error: unknown) => {
        log.error(
          { event: 'login failed', error: messageOf(error) },
          'a login could not be judged',
        );
        socket.destroy();
      },
    );
  }

  #handOver(conn: Duplex, socket: Socket, unfinished?: UnfinishedFrame): void {
    const judged = this.#judged.get(socket);
    if (judged === undefined) throw new Error('a connection without a handshake');
    const address = socket.remoteAddress ?? '';
    const pass = (peerIdentity: PeerIdentity): void => {
      this.#inBoundary('hand-over', socket, () => {
        this.#waitingOf.set(peerIdentity, socket);
        if (!conn.destroyed)
          this.#options.onConnection({ conn, peerIdentity, address, unfinished });
      });
    };
    if (!(judged instanceof Promise)) pass(judged);
    else void judged.then(pass, () => socket.destroy());
  }

  /** Over MQTT over TLS the engine says it, which reads the packet. */
  #reportTooLarge(socket: Socket): void {
    const judged = this.#judged.get(socket);
    if (judged === undefined || judged instanceof Promise || 'refusal' in judged.verdict) return;
    const { name } = judged.verdict.identity;
    const { limits, refusals } = this.#options;
    refusals.write({
      ...{ event: 'packet too large', reason: 'packet-size', certificate: judged.names },
      peer: socket.remoteAddress,
      happened: `"${name}" was cut: it sent a WebSocket message of more than ${String(limits.maxPacketSize)} bytes.`,
      remedy: 'Send smaller messages, or raise --max-packet-size of the broker.',
    });
  }

  /** Whose time is over. Node's timer for the handshake begins anew with each byte; this one does not. */
  #late(): readonly Socket[] {
    const { handshakeTimeout, connectTimeout } = this.#options.limits;
    const now = performance.now();
    // Each says itself when its time is over; here goes who is still there.
    return [
      ...this.#handshakes.before(now - handshakeTimeout - sweepEvery),
      // Over WebSocket the upgrade and the CONNECT have that time each.
      ...this.#waiting.before(now - 2 * connectTimeout - sweepEvery),
    ];
  }
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress ?? ''} ${socket.remotePort ?? 0}`;
}
