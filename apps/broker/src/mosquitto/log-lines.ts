// Mosquitto's log, line by line, as lines of ours: a level, and what to do where a person would ask.
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { Logger } from 'pino';

export interface LineEvents {
  /** A client was let in. */
  readonly onConnected: (username: string) => void;
  readonly onLine: (line: string) => void;
}

const kept = 20;

export class LogLines {
  readonly #log: Logger;
  readonly #events: LineEvents;
  #last: string[] = [];

  constructor(log: Logger, events: LineEvents) {
    this.#log = log.child({ part: 'mosquitto' });
    this.#events = events;
  }

  /** The end of what it said, for whoever asks why it ended. */
  get tail(): string {
    return this.#last.map((line) => `  ${line}`).join('\n');
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
    this.#events.onLine(line);
    const username = connectedPattern.exec(line)?.groups?.['username'];
    if (username !== undefined) this.#events.onConnected(username);
    const [, level, remedy] = meanings.find(([pattern]) => pattern.test(text)) ?? [];
    this.#log[level ?? 'info'](
      remedy === undefined ? {} : { remedy },
      remedy === undefined ? text : `${text} ${remedy}`,
    );
  }
}

// `New client connected from 127.0.0.1:41612 as pump-17 (p5, c1, k60, u'pump-17').` Names may hold anything but a control character.
const connectedPattern =
  /^New client connected from \S+ as .* \(p\d+, c[01], k\d+, u'(?<username>.*)'\)\.$/;

const meanings: readonly (readonly [RegExp, 'debug' | 'warn' | 'error', string?])[] = [
  [/^New connection from /, 'debug'],
  // The supervisor's own questions, one for each client that connects.
  [/^dynsec: supervisor@/, 'debug'],
  // A client that ends its connection without TLS's farewell: every device that loses its network does.
  [/^OpenSSL Error.*unexpected eof/, 'debug'],
  [/^Warning: Unable to set TCP_NODELAY/, 'debug'],
  [
    /^OpenSSL Error.*(?:certificate verify failed)/,
    'warn',
    'The certificate of this client is of an unknown CA, expired or revoked: look it up with keyline device show.',
  ],
  [
    /^OpenSSL Error.*peer did not return a certificate/,
    'warn',
    'This client offered no certificate: every client needs one.',
  ],
  [
    /^OpenSSL Error.*(?:wrong version number|http request|packet length too long)/,
    'warn',
    'This client speaks no TLS: use mqtts:// instead of mqtt://.',
  ],
  [
    /^OpenSSL Error.*alert (?:unknown ca|bad certificate|certificate)/,
    'warn',
    'This client did not accept the broker’s certificate: give it the trust bundle (trust.pem), and connect by a name that is in the certificate.',
  ],
  [/^OpenSSL Error/, 'warn'],
  [/^(?:Error|Fatal)/i, 'error'],
  [/^Warning/i, 'warn'],
];
