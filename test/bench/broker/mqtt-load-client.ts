// An MQTT 3.1.1 client that costs little: node:tls, packets made beforehand, and just enough reading to count what comes.
import { connect, type SecureContext, type TLSSocket } from 'node:tls';
import { generate } from 'mqtt-packet';

export interface LoadClientOptions {
  readonly port: number;
  readonly context: SecureContext;
  readonly clientId: string;
  /** Seconds. */
  readonly keepalive?: number;
}

const acknowledgements = Buffer.alloc(4);

export class LoadClient {
  readonly clientId: string;
  readonly socket: TLSSocket;
  /** Payload of each PUBLISH. */
  onMessage: (payload: Buffer) => void = ignore;
  /** Each PUBACK. */
  onAcknowledged: () => void = ignore;
  onPing: () => void = ignore;
  onClosed: () => void = ignore;
  #onSubscribed: (() => void) | undefined;
  #rest: Buffer | undefined;
  #settle: ((refusal?: string) => void) | undefined;

  private constructor(socket: TLSSocket, clientId: string) {
    this.socket = socket;
    this.clientId = clientId;
    socket.setNoDelay(true);
    socket.on('data', (part: Buffer) => this.#take(part));
  }

  /** @throws {Error} with the reason: of the socket, the handshake, or CONNACK's return code */
  static open({ port, context, clientId, keepalive = 0 }: LoadClientOptions): Promise<LoadClient> {
    return new Promise((resolve, reject) => {
      const socket = connect({
        ...{ host: '127.0.0.1', port, servername: 'localhost', secureContext: context },
      });
      const client = new LoadClient(socket, clientId);
      client.#settle = (refusal) => {
        client.#settle = undefined;
        if (refusal === undefined) {
          resolve(client);
          return;
        }
        socket.destroy();
        reject(new Error(refusal));
      };
      socket.on('error', (error) => client.#settle?.(error.message));
      socket.on('close', () => {
        client.#settle?.('closed before CONNACK');
        client.onClosed();
      });
      socket.on('secureConnect', () => {
        socket.write(
          generate({ cmd: 'connect', protocolVersion: 4, clientId, keepalive, clean: true }),
        );
      });
    });
  }

  subscribe(topic: string, qos: 0 | 1): Promise<void> {
    return new Promise((resolve) => {
      this.#onSubscribed = resolve;
      this.socket.write(
        generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] }),
      );
    });
  }

  ping(): void {
    this.socket.write(pingRequest);
  }

  close(): void {
    this.socket.destroy();
  }

  #take(part: Buffer): void {
    let data = this.#rest === undefined ? part : Buffer.concat([this.#rest, part]);
    this.#rest = undefined;
    const answers: Buffer[] = [];
    while (data.length >= 2) {
      let length = 0;
      let at = 1;
      let byte: number | undefined;
      do {
        byte = data[at];
        if (byte === undefined) break;
        length += (byte & 127) * 128 ** (at - 1);
        at += 1;
      } while ((byte & 128) !== 0);
      if (byte === undefined || data.length < at + length) break;
      this.#read(data[0]!, data.subarray(at, at + length), answers);
      data = data.subarray(at + length);
    }
    if (data.length > 0) this.#rest = data;
    if (answers.length > 0) {
      this.socket.write(answers.length === 1 ? answers[0]! : Buffer.concat(answers));
    }
  }

  #read(first: number, body: Buffer, answers: Buffer[]): void {
    switch (first >> 4) {
      case 2:
        this.#settle?.(body[1] === 0 ? undefined : `refused with return code ${body[1] ?? '?'}`);
        return;
      case 3: {
        let at = 2 + body.readUInt16BE(0);
        if ((first & 6) !== 0) {
          acknowledgements.writeUInt16BE(0x4002, 0);
          body.copy(acknowledgements, 2, at, at + 2);
          answers.push(Buffer.from(acknowledgements));
          at += 2;
        }
        this.onMessage(body.subarray(at));
        return;
      }
      case 4:
        this.onAcknowledged();
        return;
      case 9:
        if ((body[2] ?? 0x80) >= 0x80) throw new Error('the subscription was refused');
        this.#onSubscribed?.();
        return;
      case 13:
        this.onPing();
        return;
      default:
    }
  }
}

const pingRequest = generate({ cmd: 'pingreq' });

function ignore(): void {
  // Until somebody listens.
}
