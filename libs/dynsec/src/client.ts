// The admin's side: commands to a broker over MQTT 5, answers back in order. Every admin sees every answer, so each command carries
// its own correlation data. One MQTT session per connection: nothing that was given up is ever sent again behind the caller's back.
import { randomBytes } from 'node:crypto';
import { isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import { openConnection, type Connection, type ConnectionOptions } from './connection.ts';
import { isFields } from './fields.ts';

export interface ClientCommand {
  readonly command: string;
  readonly [field: string]: unknown;
}

export interface ClientAnswer {
  readonly command: string;
  /** The broker's words; absent: it did as told. */
  readonly error?: string | undefined;
  readonly data?: unknown;
}

export interface DynsecClientOptions extends ConnectionOptions {
  /** Milliseconds for one payload, from sending it to the last answer. Default 30,000. */
  readonly timeout?: number;
  /** Milliseconds that `send` waits for a connection when there is none. Default 5,000. */
  readonly connectTimeout?: number;
  /** Payloads under way at once; more wait. Default 8 (brokers admit 10 and more). */
  readonly maximumInFlight?: number;
  /** Connected and subscribed to the answers, again too. */
  readonly onConnect?: () => void;
  /** @param reason a sentence */
  readonly onDisconnect?: (reason: string) => void;
}

export interface DynsecClient {
  readonly isConnected: boolean;
  /**
   * One payload. Resolves with one answer per command, in their order.
   * @throws {KeylineError} TARGET_UNREACHABLE when there is no connection, it was lost or time ran out: what was asked may have
   * been done or not; TARGET_REFUSED when the broker does not let this identity administer it
   */
  send(commands: readonly ClientCommand[]): Promise<readonly ClientAnswer[]>;
  /** Connects anew, as when credentials were renewed, after what is in flight was answered. */
  reconnect(): Promise<void>;
  /** Ends the connection, and what waits for an answer with it; there is none until `reconnect`. */
  disconnect(): Promise<void>;
  /** Rejects what is in flight. */
  close(): Promise<void>;
}

interface Batch {
  readonly answers: (ClientAnswer | undefined)[];
  missing: number;
  readonly resolve: (answers: readonly ClientAnswer[]) => void;
  readonly reject: (error: KeylineError) => void;
}

const firstBackoff = 100;
// A broker that comes back from an older backup lets in who was revoked since, until it is told.
const longestBackoff = 1000;

/** Connects at once and again whenever the connection is lost. Nothing happens to the process when it can't. */
export function createDynsecClient(options: DynsecClientOptions): DynsecClient {
  return new MqttDynsecClient(options);
}

class MqttDynsecClient implements DynsecClient {
  readonly #options: DynsecClientOptions;
  readonly #prefix = randomBytes(8).toString('base64url');
  #sequence = 0;
  #connection: Connection | undefined;
  #opening: AbortController | undefined;
  #backoff = firstBackoff;
  #timer: NodeJS.Timeout | undefined;
  #lastProblem: KeylineError | undefined;
  #closed = false;
  /** Not connected on purpose. */
  #resting = false;
  #turningOver = false;
  readonly #batches = new Set<Batch>();
  /** Admitted and not settled. */
  #underWay = 0;
  readonly #expected = new Map<string, { readonly batch: Batch; readonly position: number }>();
  /** Woken when there may be a place or a connection. */
  readonly #waiting = new Set<() => void>();

  constructor(options: DynsecClientOptions) {
    this.#options = options;
    this.#connect();
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  async send(commands: readonly ClientCommand[]): Promise<readonly ClientAnswer[]> {
    if (commands.length === 0) return [];
    const connection = await this.#admission();
    const { timeout = 30_000 } = this.#options;
    return new Promise((resolve, reject) => {
      const ids = commands.map(() => `${this.#prefix}${(this.#sequence++).toString(36)}`);
      const settle = (): void => {
        clearTimeout(timer);
        for (const id of ids) this.#expected.delete(id);
        this.#batches.delete(batch);
        this.#underWay -= 1;
        this.#wake();
      };
      const batch: Batch = {
        answers: commands.map(() => undefined),
        missing: commands.length,
        resolve: (answers) => {
          settle();
          resolve(answers);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      const timer = setTimeout(() => {
        batch.reject(
          this.#unreachable(
            `answered ${commands.length - batch.missing} of ${commands.length} commands within ${timeout} ms`,
          ),
        );
      }, timeout);
      this.#batches.add(batch);
      for (const [position, id] of ids.entries()) this.#expected.set(id, { batch, position });
      const payload = JSON.stringify({
        commands: commands.map((command, at) => ({ ...command, correlationData: ids[at] })),
      });
      connection.publish(payload).catch((error: unknown) => {
        if (this.#batches.has(batch)) {
          batch.reject(isKeylineError(error) ? error : this.#unreachable(messageOf(error), error));
        }
      });
    });
  }

  async reconnect(): Promise<void> {
    this.#turningOver = true;
    try {
      await this.#until(() => this.#underWay === 0 || this.#connection === undefined);
    } finally {
      this.#turningOver = false;
    }
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
    this.#backoff = firstBackoff;
    this.#resting = false;
    this.#connect();
    this.#wake();
  }

  async disconnect(): Promise<void> {
    this.#resting = true;
    clearTimeout(this.#timer);
    this.#opening?.abort();
    this.#rejectAll(this.#unreachable('it is another service that speaks to it'));
    this.#wake();
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#opening?.abort();
    this.#rejectAll(this.#unreachable('the client was closed'));
    this.#wake();
    const connection = this.#connection;
    this.#connection = undefined;
    await connection?.close();
  }

  /** Waits for a connection and takes a place among the payloads under way. */
  async #admission(): Promise<Connection> {
    const { maximumInFlight = 8, connectTimeout = 5000 } = this.#options;
    let patience: number | undefined;
    while (true) {
      if (this.#closed) throw this.#unreachable('the client was closed');
      if (this.#connection !== undefined) {
        patience = undefined;
        if (!this.#turningOver && this.#underWay < maximumInFlight) {
          this.#underWay += 1;
          return this.#connection;
        }
        await this.#until(undefined);
        continue;
      }
      patience ??= performance.now() + connectTimeout;
      const rest = patience - performance.now();
      if (rest <= 0) {
        throw this.#lastProblem ?? this.#unreachable(`not connected within ${connectTimeout} ms`);
      }
      await this.#until(undefined, rest);
    }
  }

  /** @param condition undefined: until woken once */
  async #until(condition: (() => boolean) | undefined, milliseconds?: number): Promise<void> {
    do {
      if (condition?.() === true) return;
      await new Promise<void>((resolve) => {
        const timer = milliseconds === undefined ? undefined : setTimeout(done, milliseconds);
        const waiting = this.#waiting;
        waiting.add(done);
        function done(): void {
          clearTimeout(timer);
          waiting.delete(done);
          resolve();
        }
      });
    } while (condition !== undefined);
  }

  #wake(): void {
    for (const wake of [...this.#waiting]) wake();
  }

  #connect(): void {
    if (
      this.#closed ||
      this.#resting ||
      this.#opening !== undefined ||
      this.#connection !== undefined
    )
      return;
    clearTimeout(this.#timer);
    const opening = new AbortController();
    this.#opening = opening;
    openConnection(this.#options, {
      signal: opening.signal,
      onAnswers: (payload) => this.#receive(payload),
      onLost: (reason) => this.#lose(reason),
    })
      .then(async (connection) => {
        this.#opening = undefined;
        if (this.#closed || this.#resting) return connection.close();
        this.#connection = connection;
        this.#lastProblem = undefined;
        this.#backoff = firstBackoff;
        this.#wake();
        this.#options.onConnect?.();
      })
      .catch((error: unknown) => {
        this.#opening = undefined;
        this.#lastProblem = isKeylineError(error)
          ? error
          : this.#unreachable(messageOf(error), error);
        this.#tryAgain();
      });
  }

  #lose(reason: string): void {
    if (this.#connection === undefined) return;
    this.#connection = undefined;
    this.#rejectAll(this.#unreachable(`the connection was lost (${reason})`));
    this.#wake();
    this.#options.onDisconnect?.(reason);
    this.#tryAgain();
  }

  /** With growing pauses, scattered so that many clients do not come back in step. */
  #tryAgain(): void {
    if (this.#closed || this.#resting) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#connect(), this.#backoff * (0.5 + Math.random() / 2));
    this.#backoff = Math.min(longestBackoff, this.#backoff * 2);
  }

  #rejectAll(error: KeylineError): void {
    for (const batch of [...this.#batches]) batch.reject(error);
  }

  /** Other admins' answers, and what makes no sense, are passed over. */
  #receive(payload: Uint8Array): void {
    let document: unknown;
    try {
      document = JSON.parse(Buffer.from(payload).toString());
    } catch {
      return; // no answer of ours: the broker writes JSON
    }
    const responses = isFields(document) ? document['responses'] : undefined;
    if (!Array.isArray(responses)) return;
    for (const response of responses) {
      if (!isFields(response)) continue;
      const { correlationData, command, error, data } = response;
      const expected =
        typeof correlationData === 'string' ? this.#expected.get(correlationData) : undefined;
      if (expected === undefined) continue;
      this.#expected.delete(correlationData as string);
      const { batch, position } = expected;
      batch.answers[position] = {
        command: typeof command === 'string' ? command : '',
        ...(typeof error === 'string' ? { error } : {}),
        ...(data === undefined ? {} : { data }),
      };
      batch.missing -= 1;
      if (batch.missing === 0) batch.resolve(batch.answers as ClientAnswer[]);
    }
  }

  #unreachable(what: string, cause?: unknown): KeylineError {
    return new KeylineError(
      'TARGET_UNREACHABLE',
      `The broker ${this.#options.url} can't be administered: ${what}. Check that it runs and that its address and this identity's certificate are right.`,
      { cause, context: { url: this.#options.url } },
    );
  }
}
