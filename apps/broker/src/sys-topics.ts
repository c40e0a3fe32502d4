// The broker's figures below $SYS/broker, under the names that Mosquitto gave them; retained, so that a subscriber sees them at once.
import { formatDuration, type Clock } from '@keyline/kernel';
import type { Counter } from 'prom-client';
import type { Metrics } from './metrics.ts';

interface SysTopicsOptions {
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Milliseconds between two rounds. Mosquitto: sys_interval. */
  readonly interval: number;
  readonly read: () => {
    readonly connected: number;
    readonly sessions: number;
    readonly subscriptions: number;
    readonly retained: number;
    readonly waiting: number;
  };
  readonly publish: (topic: string, payload: string) => void;
}

export class SysTopics {
  readonly #options: SysTopicsOptions;
  readonly #startedAt: number;
  readonly #last = new Map<string, string>();
  #maximum = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SysTopicsOptions) {
    this.#options = options;
    this.#startedAt = options.clock.now();
  }

  async start(): Promise<void> {
    this.#timer = setInterval(() => void this.#round(), this.#options.interval);
    this.#timer.unref();
    await this.#round();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #round(): Promise<void> {
    const { metrics, clock, read } = this.#options;
    const [received, sent, dropped] = await Promise.all(
      [metrics.received, metrics.sent, metrics.dropped].map(sumOf),
    );
    const { connected, sessions, subscriptions, retained, waiting } = read();
    this.#maximum = Math.max(this.#maximum, connected);
    const seconds = Math.floor((clock.now() - this.#startedAt) / 1000);
    const figures: Record<string, string | number> = {
      version: 'Keyline',
      uptime: `${seconds} seconds (${formatDuration(seconds * 1000)})`,
      'clients/connected': connected,
      'clients/disconnected': Math.max(0, sessions - connected),
      'clients/total': Math.max(sessions, connected),
      'clients/maximum': this.#maximum,
      'publish/messages/received': received ?? 0,
      'publish/messages/sent': sent ?? 0,
      'publish/messages/dropped': dropped ?? 0,
      'subscriptions/count': subscriptions,
      'retained messages/count': retained,
      'store/messages/count': waiting,
    };
    for (const [name, value] of Object.entries(figures)) this.#publish(name, String(value));
  }

  #publish(name: string, value: string): void {
    if (this.#last.get(name) === value) return;
    this.#last.set(name, value);
    this.#options.publish(`$SYS/broker/${name}`, value);
  }
}

async function sumOf(counter: Pick<Counter, 'get'>): Promise<number> {
  const { values } = await counter.get();
  return values.reduce((sum, { value }) => sum + value, 0);
}
