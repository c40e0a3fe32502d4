// The broker's counters in Prometheus' words. One registry per broker, so that two in one process do not mix.
import {
  collectDefaultMetrics,
  Counter,
  Gauge,
  Registry,
  type CounterConfiguration,
} from 'prom-client';

/** Counted for each message: a number in an array, until somebody asks. */
export class MessageCounter {
  readonly #counts = [0, 0, 0];
  readonly #counter: Counter<'qos'>;

  constructor(options: Pick<CounterConfiguration<'qos'>, 'name' | 'help' | 'registers'>) {
    const counts = this.#counts;
    this.#counter = new Counter({
      ...options,
      labelNames: ['qos'],
      collect() {
        this.reset();
        for (const [qos, count] of counts.entries()) if (count > 0) this.inc({ qos }, count);
      },
    });
  }

  count(qos: 0 | 1 | 2): void {
    this.#counts[qos] = (this.#counts[qos] ?? 0) + 1;
  }

  get(): ReturnType<Counter['get']> {
    return this.#counter.get();
  }
}

export class Metrics {
  readonly registry = new Registry();

  readonly handshakes = this.#counter(
    'keyline_broker_handshakes_total',
    'TLS handshakes that ended, by result (ok, refused, failed) and reason.',
    ['result', 'reason'],
  );
  readonly connects = this.#counter(
    'keyline_broker_connects_total',
    'CONNECT packets answered, by result (accepted, refused), reason and protocol version.',
    ['result', 'reason', 'version'],
  );
  readonly received = this.#messages(
    'keyline_broker_messages_received_total',
    'PUBLISH packets from clients, denied ones included.',
  );
  readonly sent = this.#messages(
    'keyline_broker_messages_sent_total',
    'PUBLISH packets to clients.',
  );
  readonly refusedPackets = this.#counter(
    'keyline_broker_packets_refused_total',
    'Packets that MQTT or a limit does not allow, by reason code (hex); each ended its connection.',
    ['reason'],
  );
  readonly limited = this.#counter(
    'keyline_broker_connections_limited_total',
    'Connections ended because they were beyond a limit of memory or time, by reason code (hex).',
    ['reason'],
  );
  readonly failures = this.#counter(
    'keyline_broker_connection_failures_total',
    'Connections ended because something went wrong in the broker while it served them; the log says what.',
    [],
  );
  readonly dropped = this.#counter(
    'keyline_broker_messages_dropped_total',
    'Messages that were not delivered to a client, by reason.',
    ['reason'],
  );
  readonly denied = this.#counter(
    'keyline_broker_denied_total',
    'Actions that an identity has no right to, by action.',
    ['action'],
  );
  readonly kicked = this.#counter(
    'keyline_broker_kicked_total',
    'Live sessions ended by the broker, by reason.',
    ['reason'],
  );
  readonly faults = this.#counter(
    'keyline_broker_faults_total',
    'Peers that were cut because serving them failed, by where; the log says how.',
    ['where'],
  );
  readonly control = this.#counter(
    'keyline_broker_control_payloads_total',
    'Payloads carried out for the dynamic-security API.',
    [],
  );

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** A number that is read when somebody asks for it. */
  gauge(name: string, help: string, read: () => number): void {
    new Gauge({
      name,
      help,
      registers: [this.registry],
      collect() {
        this.set(read());
      },
    });
  }

  #messages(name: string, help: string): MessageCounter {
    return new MessageCounter({ name, help, registers: [this.registry] });
  }

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
