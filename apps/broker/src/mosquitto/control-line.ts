// The supervisor's own connection to its Mosquitto, over a socket in the folder: dynamic-security commands, and the figures below $SYS.
import { open, type FileHandle } from 'node:fs/promises';
import { connect as connectSocket } from 'node:net';
import { MqttClient } from 'mqtt';
import { KeylineError } from '@keyline/kernel';
import type { DynsecAnswer, DynsecCommand } from '@keyline/targets';
import type { SupervisorLogin } from './dynsec-file.ts';
import { runtimeFiles, type RuntimeFolder } from './runtime-folder.ts';

interface ControlLineOptions {
  readonly folder: RuntimeFolder;
  readonly login: SupervisorLogin;
  /** A round of figures is complete. */
  readonly onFigures: (figures: ReadonlyMap<string, number>) => void;
}

const requestTopic = '$CONTROL/dynamic-security/v1';
const responseTopic = `${requestTopic}/response`;
const figuresBelow = '$SYS/broker/';
/** Mosquitto publishes it last, and always: our own figures are among the bytes sent. */
const lastOfRound = 'publish/bytes/sent';
const answerTimeout = 30_000;
const retryEvery = 20;
/** What sockaddr_un holds, everywhere. */
const longestSocketPath = 103;

interface Waiting {
  readonly settle: (answers: readonly DynsecAnswer[]) => void;
  readonly fail: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

export class ControlLine {
  readonly #client: MqttClient;
  readonly #waiting = new Map<string, Waiting>();
  readonly #figures = new Map<string, number>();
  readonly #opened: Promise<void>;
  readonly #folder: FileHandle | undefined;
  readonly #path: string;
  readonly #login: SupervisorLogin;
  #sequence = 0;
  #heardAt = performance.now();

  private constructor(options: ControlLineOptions, folder: FileHandle | undefined) {
    const { login } = options;
    this.#folder = folder;
    const path = options.folder.at(runtimeFiles.control);
    // A long path does not fit into a socket's address; by its open folder it does.
    const reachable =
      folder === undefined ? path : `/proc/self/fd/${folder.fd}/${runtimeFiles.control}`;
    this.#path = reachable;
    this.#login = login;
    this.#client = new MqttClient(() => connectSocket(reachable), {
      ...login,
      clientId: login.username,
      protocolVersion: 5,
      keepalive: 15,
      reconnectPeriod: retryEvery,
      connectTimeout: answerTimeout,
    });
    // It tries again by itself, and who waits for an answer gets the error of its own.
    this.#client.on('error', () => undefined);
    this.#client.on('message', (topic, payload) => {
      this.#heardAt = performance.now();
      if (topic === responseTopic) this.#settle(payload);
      else this.#takeFigure(topic, payload.toString(), options.onFigures);
    });
    this.#opened = new Promise((resolve, reject) => {
      this.#client.on('connect', () => {
        this.#heardAt = performance.now();
        this.#client.subscribeAsync([responseTopic, `${figuresBelow}#`], { qos: 0 }).then(() => {
          resolve();
        }, reject);
      });
    });
    // Who does not wait for it is told by its process that it ended.
    this.#opened.catch(() => undefined);
  }

  static async create(options: ControlLineOptions): Promise<ControlLine> {
    const isLong = Buffer.byteLength(options.folder.at(runtimeFiles.control)) > longestSocketPath;
    return new ControlLine(options, isLong ? await open(options.folder.path) : undefined);
  }

  /** Milliseconds since Mosquitto last said anything. */
  get silence(): number {
    return performance.now() - this.#heardAt;
  }

  get isOpen(): boolean {
    return this.#client.connected;
  }

  /** When Mosquitto serves. */
  opened(): Promise<void> {
    return this.#opened;
  }

  /** One payload. @throws {KeylineError} TARGET_UNREACHABLE when it is not answered */
  async send(commands: readonly DynsecCommand[]): Promise<readonly DynsecAnswer[]> {
    const tag = `${this.#client.options.clientId ?? ''}/${this.#sequence++}`;
    const answers = new Promise<readonly DynsecAnswer[]>((settle, fail) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(tag);
        fail(notAnswered());
      }, answerTimeout);
      this.#waiting.set(tag, { settle, fail, timer });
    });
    answers.catch(() => undefined);
    const payload = {
      commands: commands.map((command) => ({ ...command, correlationData: tag })),
    };
    await this.#client.publishAsync(requestTopic, JSON.stringify(payload), { qos: 1 });
    return answers;
  }

  /** A connection of its own under that client id, which wants no session: the one that is kept goes. @throws {Error} when it is not let in */
  async discardSession(clientId: string): Promise<void> {
    const client = new MqttClient(() => connectSocket(this.#path), {
      ...this.#login,
      clientId,
      // What 3.1.1 calls a clean session leaves nothing behind.
      protocolVersion: 4,
      clean: true,
      reconnectPeriod: 0,
      connectTimeout: answerTimeout,
    });
    try {
      await new Promise<void>((resolve, reject) => {
        client.once('connect', () => {
          resolve();
        });
        client.once('error', reject);
        client.once('close', () => {
          reject(notAnswered());
        });
      });
    } finally {
      client.on('error', () => undefined);
      await client.endAsync();
    }
  }

  async close(): Promise<void> {
    for (const [tag, { fail, timer }] of this.#waiting) {
      clearTimeout(timer);
      this.#waiting.delete(tag);
      fail(notAnswered());
    }
    await this.#client.endAsync(true);
    await this.#folder?.close();
  }

  /** Every admin sees every answer: only those with a tag of ours are ours. */
  #settle(payload: Buffer): void {
    const responses = readResponses(payload);
    const waiting = this.#waiting.get(responses[0]?.correlationData ?? '');
    if (waiting === undefined) return;
    this.#waiting.delete(responses[0]?.correlationData ?? '');
    clearTimeout(waiting.timer);
    waiting.settle(responses);
  }

  #takeFigure(topic: string, text: string, onFigures: ControlLineOptions['onFigures']): void {
    const name = topic.slice(figuresBelow.length);
    const value = Number.parseFloat(text);
    if (Number.isFinite(value)) this.#figures.set(name, value);
    if (name === lastOfRound) onFigures(this.#figures);
  }
}

function notAnswered(): KeylineError {
  return new KeylineError('TARGET_UNREACHABLE', 'Mosquitto did not answer its supervisor.');
}

type Tagged = DynsecAnswer & { readonly correlationData?: string };

function readResponses(payload: Buffer): readonly Tagged[] {
  try {
    const { responses } = JSON.parse(payload.toString()) as { responses?: Tagged[] };
    return Array.isArray(responses) ? responses : [];
  } catch {
    return []; // whoever asked for it waits for something readable
  }
}
