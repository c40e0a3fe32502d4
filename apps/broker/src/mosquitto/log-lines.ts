// Mosquitto's log, line by line, as lines of ours: a level, and what to do where a person would ask.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';
import type { Verdict } from './canary.ts';

export interface ConnectedClient {
  readonly clientId: string;
  readonly username: string | undefined;
  /** From MQTT 5 on a clean start says nothing of how long the session is kept afterwards. */
  readonly mayLeaveSession: boolean;
}

export interface LineEvents {
  /** A client was let in. */
  readonly onConnected: (client: ConnectedClient) => void;
  /** Anything else. */
  readonly onLine: (line: string) => void;
}

const kept = 20;

export class LogLines {
  readonly #log: Logger;
  readonly #events: LineEvents;
  #last: string[] = [];
  #canaries = 0;

  readonly #ofLimits: readonly Meaning[];

  constructor(
    log: Logger,
    events: LineEvents,
    { maxPacketSize }: { readonly maxPacketSize: number },
  ) {
    this.#log = log.child({ part: 'mosquitto' });
    this.#events = events;
    this.#ofLimits = [
      [
        /^Client .* disconnected due to oversize packet\.$/,
        'warn',
        `At most ${String(maxPacketSize)} bytes of one packet are taken: send smaller messages, or raise --max-packet-size of the broker.`,
      ],
    ];
  }

  /** The end of what it said, for whoever asks why it ended. */
  get tail(): string {
    return this.#last.map((line) => `  ${line}`).join('\n');
  }

  /** While the supervisor's own client is tried: a refusal is then its own, and nothing to look up. */
  async duringCanary(trial: () => Promise<Verdict>): Promise<Verdict> {
    this.#canaries += 1;
    const verdict = await trial();
    // The line of a refusal may still be on its way, through another pipe.
    if (verdict !== 'refused') this.#canaries -= 1;
    return verdict;
  }

  follow(stream: Readable): void {
    this.#last = [];
    createInterface({ input: stream, crlfDelay: Infinity }).on('line', (line) => {
      this.#write(line);
    });
  }

  #write(line: string): void {
    if (line === '') return;
    const text = line.slice(0, 1000);
    this.#last = [...this.#last.slice(1 - kept), text];
    const client = readConnected(line);
    if (client === undefined) this.#events.onLine(line);
    else this.#events.onConnected(client);
    if (this.#canaries > 0 && refusedPattern.test(text)) {
      this.#canaries -= 1;
      this.#log.debug(text);
      return;
    }
    const [, level, remedy] =
      this.#ofLimits.find(([pattern]) => pattern.test(text)) ??
      meanings.find(([pattern]) => pattern.test(text)) ??
      [];
    this.#log[level ?? 'info'](
      remedy === undefined ? {} : { remedy },
      remedy === undefined ? text : `${text} ${remedy}`,
    );
  }
}

// `New client connected from 127.0.0.1:41612 as pump-17 (p5, c1, k60, u'pump-17').` Names may hold anything but a control character.
const connectedPattern =
  /^New client connected from \S+ as (?<clientId>.*) \(p(?<version>\d+), c(?<clean>[01]), k\d+(?:, u'(?<username>.*)')?\)\.$/;

export function readConnected(line: string): ConnectedClient | undefined {
  const { clientId, version, clean, username } = connectedPattern.exec(line)?.groups ?? {};
  if (clientId === undefined) return undefined;
  return { clientId, username, mayLeaveSession: version === '5' || clean === '0' };
}

const refusedPattern = /^OpenSSL Error.*certificate verify failed/;

type Meaning = readonly [RegExp, 'debug' | 'warn' | 'error', string?];

const meanings: readonly Meaning[] = [
  [/^New connection from /, 'debug'],
  // The supervisor's own questions, one for each client that connects.
  [/^dynsec: supervisor@/, 'debug'],
  // A client that ends its connection without TLS's farewell: every device that loses its network does.
  [/^OpenSSL Error.*unexpected eof/, 'debug'],
  [/^Warning: Unable to set TCP_NODELAY/, 'debug'],
  // Of a connection that never said who it is; why it was refused is in the line before.
  [/^Client <unknown> (?:closed its connection|disconnected: Protocol error)\.$/, 'debug'],
  [
    refusedPattern,
    'warn',
    'The certificate of this client is of an unknown CA, expired or revoked: look it up with keyline device show.',
  ],
  [
    /^OpenSSL Error.*peer did not return a certificate/,
    'warn',
    'This client offered no certificate: every client needs one.',
  ],
  [
    /^OpenSSL Error.*http(?:s proxy)? request/,
    'warn',
    'This client speaks HTTP to the port of MQTT over TLS: the API has another port.',
  ],
  [
    /^OpenSSL Error.*(?:wrong version number|packet length too long)/,
    'warn',
    'This client speaks no TLS, but most likely MQTT without it: use mqtts:// instead of mqtt://, on this port. There is no port without TLS.',
  ],
  [
    /^OpenSSL Error.*alert (?:unknown ca|bad certificate|certificate)/,
    'warn',
    'This client did not accept the broker’s certificate: give it the trust bundle (trust.pem), and connect by a name that is in the certificate.',
  ],
  [/^OpenSSL Error/, 'warn'],
  [
    /^Client <unknown> disconnected due to protocol error\.$/,
    'warn',
    'What it sent is no MQTT: HTTP or MQTT over WebSocket most likely. This port takes MQTT over TLS alone: use mqtts://.',
  ],
  [/^(?:Error|Fatal)/i, 'error'],
  [/^Warning/i, 'warn'],
];
