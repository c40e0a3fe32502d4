// The broker's counters in Prometheus' words. One registry per broker, so that two in one process do not mix.
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';

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
  readonly received = this.#counter(
    'keyline_broker_messages_received_total',
    'PUBLISH packets from clients, denied ones included.',
    ['qos'],
  );
  readonly sent = this.#counter(
    'keyline_broker_messages_sent_total',
    'PUBLISH packets to clients.',
    ['qos'],
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

  #counter<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.registry] });
  }
}
