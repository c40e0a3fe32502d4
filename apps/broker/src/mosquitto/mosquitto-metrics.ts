// What Prometheus is told of a supervised Mosquitto: the supervisor's own counts, and Mosquitto's figures below $SYS.
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import type { WatchedCrl } from './crl-watch.ts';

interface Watched {
  readonly version: string;
  readonly isServing: () => boolean;
  readonly isWaiting: () => boolean;
  /** In force, seen by trying it. */
  readonly crls: () => readonly WatchedCrl[];
}

/** The last: how much of it is the supervisor's. */
const figures: readonly (readonly [name: string, help: string, figure: string, own?: number])[] = [
  ['keyline_broker_connections', 'Connected clients.', 'clients/connected', 1],
  ['keyline_broker_sessions', 'Sessions, of connected and of absent clients.', 'clients/total', 1],
  ['keyline_broker_sessions_offline', 'Kept sessions of absent clients.', 'clients/disconnected'],
  ['keyline_broker_subscriptions', 'Subscriptions.', 'subscriptions/count', 2],
  ['keyline_broker_retained_messages', 'Retained messages.', 'retained messages/count'],
  ['keyline_broker_messages_waiting', 'Messages in the store.', 'store/messages/count'],
  ['keyline_broker_memory_bytes', 'Heap of Mosquitto.', 'heap/current'],
];

const counts = [
  [
    'keyline_broker_messages_received_total',
    'PUBLISH packets from clients.',
    'publish/messages/received',
  ],
  ['keyline_broker_messages_sent_total', 'PUBLISH packets to clients.', 'publish/messages/sent'],
  [
    'keyline_broker_messages_dropped_total',
    'Messages that were not delivered to a client.',
    'publish/messages/dropped',
  ],
  ['keyline_broker_bytes_received_total', 'Bytes from clients.', 'bytes/received'],
  ['keyline_broker_bytes_sent_total', 'Bytes to clients.', 'bytes/sent'],
] as const;

export class MosquittoMetrics {
  readonly registry = new Registry();
  readonly restarts: Counter<'why'>;
  readonly strangers: Counter;
  readonly crlFailures: Counter;
  readonly faults: Counter<'where'>;
  #figures: ReadonlyMap<string, number> = new Map();

  constructor(watched: Watched) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.restarts = new Counter({
      name: 'keyline_broker_restarts_total',
      help: 'Mosquitto was started again, by why: crashed, hung, asked (to make a CRL or a certificate known).',
      labelNames: ['why'],
      registers,
    });
    this.strangers = new Counter({
      name: 'keyline_broker_strangers_denied_total',
      help: 'Identities that connected without being known to the broker, and were denied.',
      registers,
    });
    this.crlFailures = new Counter({
      name: 'keyline_broker_crl_failures_total',
      help: 'CRLs that could not be fetched or did not hold.',
      registers,
    });
    this.faults = new Counter({
      name: 'keyline_broker_faults_total',
      help: 'Peers of the supervisor that were cut because serving them failed, by where; the log says how.',
      labelNames: ['where'],
      registers,
    });
    new Gauge({
      name: 'keyline_broker_info',
      help: 'The engine and its version.',
      labelNames: ['engine', 'version'],
      registers,
    }).set({ engine: 'mosquitto', version: watched.version }, 1);
    this.#gauge('keyline_broker_up', 'Whether Mosquitto serves.', () =>
      Number(watched.isServing()),
    );
    this.#gauge(
      'keyline_broker_crl_waiting',
      'Whether a CRL is on disk that Mosquitto was not yet seen to refuse by, or a certificate that it was not told of.',
      () => Number(watched.isWaiting()),
    );
    this.#crlGauge(
      'number',
      'Number of the CRL that Mosquitto was seen to refuse by.',
      watched,
      ({ number }) => Number(number),
    );
    this.#crlGauge(
      'next_update_seconds',
      'When the CRL ends, seconds since the epoch; Mosquitto then refuses everybody.',
      watched,
      ({ nextUpdate }) => nextUpdate / 1000,
    );
    this.#crlGauge('revoked', 'Certificates on the CRL.', watched, ({ revoked }) => revoked);
    for (const [name, help, figure, own = 0] of figures) {
      this.#gauge(name, help, () => Math.max(0, (this.#figures.get(figure) ?? 0) - own));
    }
    for (const [name, help, figure] of counts) this.#count(name, help, figure);
  }

  takeFigures(taken: ReadonlyMap<string, number>): void {
    this.#figures = taken;
  }

  #gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  #crlGauge(
    what: string,
    help: string,
    { crls }: Watched,
    read: (crl: WatchedCrl) => number,
  ): void {
    new Gauge({
      name: `keyline_broker_crl_${what}`,
      help,
      labelNames: ['crl'],
      registers: [this.registry],
      collect() {
        // After a crash none is known to be in force, until it was tried again.
        this.reset();
        for (const crl of crls()) this.set({ crl: crl.name }, read(crl));
      },
    });
  }

  /** Begins anew when Mosquitto does, as counters may. */
  #count(name: string, help: string, figure: string): void {
    const read = (): number => this.#figures.get(figure) ?? 0;
    new Counter({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}
