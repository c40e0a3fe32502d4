// A load generator that costs less than the service: requests are bytes made beforehand, each connection has one under way
// (keep-alive, no pipelining), answers are counted by their Content-Length and their bodies kept only when asked for.
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';

export interface LoadTarget {
  readonly host: string;
  readonly port: number;
  /** Absent: plain HTTP. */
  readonly tls?: {
    readonly ca?: string;
    readonly cert?: string;
    readonly key?: string;
    readonly rejectUnauthorized?: boolean;
  };
}

export interface LoadAnswer {
  readonly status: number;
  /** Status line and headers. */
  readonly head: string;
  readonly body: Buffer;
}

const endOfHead = Buffer.from('\r\n\r\n');

/** One keep-alive connection. */
export class Connection {
  readonly #socket: Socket;
  #pending: { resolve: (answer: LoadAnswer) => void; reject: (error: Error) => void } | undefined;
  #received: Buffer = Buffer.alloc(0);
  #parts: Buffer[] = [];
  #partBytes = 0;
  #head = '';
  /** Bytes of the whole answer, once its head has come. */
  #total = -1;
  #headBytes = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on('data', (part: Buffer) => this.#take(part));
    const fail = (error: Error): void => this.#pending?.reject(error);
    socket.on('error', fail);
    socket.on('close', () => fail(new Error('the service closed the connection')));
  }

  static open({ host, port, tls }: LoadTarget): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const socket: Socket =
        tls === undefined
          ? connectTcp({ host, port })
          : connectTls({ host, port, ...tls, servername: 'localhost' });
      socket.once('error', reject);
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
        socket.off('error', reject);
        resolve(new Connection(socket));
      });
    });
  }

  send(request: Buffer): Promise<LoadAnswer> {
    return new Promise((resolve, reject) => {
      this.#pending = { resolve, reject };
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#pending = undefined;
    this.#socket.destroy();
  }

  #take(part: Buffer): void {
    this.#parts.push(part);
    this.#partBytes += part.length;
    // Large answers come in many parts: they are put together once.
    if (this.#partBytes < this.#total) return;
    this.#received = this.#parts.length === 1 ? part : Buffer.concat(this.#parts);
    this.#parts = [this.#received];
    if (this.#total < 0) {
      const end = this.#received.indexOf(endOfHead);
      if (end < 0) return;
      this.#headBytes = end + 4;
      this.#head = this.#received.toString('latin1', 0, end);
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#head)?.[1] ?? '0';
      this.#total = this.#headBytes + Number(length);
    }
    if (this.#received.length < this.#total) return;
    const body = this.#received.subarray(this.#headBytes, this.#total);
    this.#parts = [];
    this.#partBytes = 0;
    this.#total = -1;
    const pending = this.#pending;
    this.#pending = undefined;
    pending?.resolve({ status: Number(this.#head.slice(9, 12)), head: this.#head, body });
  }
}

export async function openConnections(
  count: number,
  target: LoadTarget | ((index: number) => LoadTarget),
): Promise<readonly Connection[]> {
  const connections: Connection[] = [];
  // A few at a time: a listener's backlog is not what is measured here.
  for (let start = 0; start < count; start += 16) {
    const some = Array.from({ length: Math.min(16, count - start) }, (_, i) =>
      Connection.open(typeof target === 'function' ? target(start + i) : target),
    );
    connections.push(...(await Promise.all(some)));
  }
  return connections;
}

export interface LoadResult {
  readonly answers: number;
  readonly seconds: number;
  /** Milliseconds, sorted. */
  readonly latencies: Float64Array;
}

/**
 * Sends every request once, on whichever connection is free.
 * @param options.requests by connection when it is a function (a connection's own identity matters), until it gives undefined
 * @throws {Error} for the first answer with another status
 */
export async function runLoad(options: {
  readonly connections: readonly Pick<Connection, 'send'>[];
  readonly requests: readonly Buffer[] | ((connection: number) => Buffer | undefined);
  readonly status: number;
  readonly onAnswer?: (answer: LoadAnswer) => void;
}): Promise<LoadResult> {
  const { connections, requests, status, onAnswer } = options;
  let next = 0;
  const take =
    typeof requests === 'function' ? requests : (): Buffer | undefined => requests[next++];
  const latencies: number[] = [];
  const stopSpinning = spin();
  const begun = performance.now();
  await Promise.all(
    connections.map(async (connection, index) => {
      for (let request = take(index); request !== undefined; request = take(index)) {
        const sent = performance.now();
        const answer = await connection.send(request);
        latencies.push(performance.now() - sent);
        if (answer.status !== status) {
          throw new Error(
            `answered ${answer.status} instead of ${status}: ${answer.body.toString('utf8', 0, 500)}`,
          );
        }
        onAnswer?.(answer);
      }
    }),
  );
  const seconds = (performance.now() - begun) / 1000;
  stopSpinning();
  return { answers: latencies.length, seconds, latencies: Float64Array.from(latencies).sort() };
}

/**
 * Never sleeps while it has requests under way. Waking a sleeping client is the sender's work on a loopback (an interrupt to another
 * virtual processor: a fifth of an OCSP answer), and no service pays it for clients on other machines.
 */
function spin(): () => void {
  let next = setImmediate(again);
  function again(): void {
    next = setImmediate(again);
  }
  return () => clearImmediate(next);
}

/** @param share 0.99 for p99 */
export function percentile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

export function encodeRequest(given: {
  readonly method: string;
  readonly path: string;
  readonly type?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Readonly<Record<string, string>>;
}): Buffer {
  const body = Buffer.from(given.body ?? '');
  const lines = [
    `${given.method} ${given.path} HTTP/1.1`,
    'host: localhost',
    ...(given.type === undefined ? [] : [`content-type: ${given.type}`]),
    ...(body.length === 0 ? [] : [`content-length: ${body.length}`]),
    ...Object.entries(given.headers ?? {}).map(([name, value]) => `${name}: ${value}`),
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`), body]);
}

export function encodeJson(path: string, body: unknown): Buffer {
  return encodeRequest({
    method: 'POST',
    path,
    type: 'application/json',
    body: JSON.stringify(body),
  });
}
