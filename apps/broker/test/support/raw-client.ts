// An MQTT client that does nothing by itself: it acknowledges only what a test tells it to.
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import type { IPublishPacket } from 'mqtt';
import { parser, writeToStream, type IConnectPacket, type Packet } from 'mqtt-packet';
import type { TestBroker } from './test-broker.ts';
import type { TestCertificate } from './test-pki.ts';

export class RawClient {
  readonly packets: Packet[] = [];
  readonly #socket: TLSSocket;
  readonly #version: 4 | 5;

  private constructor(socket: TLSSocket, version: 4 | 5) {
    this.#socket = socket;
    this.#version = version;
    const incoming = parser({ protocolVersion: version });
    incoming.on('packet', (packet) => this.packets.push(packet));
    socket.on('data', (chunk: Buffer) => incoming.parse(chunk));
    socket.on('error', () => undefined);
  }

  /** With a session that stays. */
  static async connect(
    broker: TestBroker,
    { cert, key }: TestCertificate,
    clientId: string,
    version: 4 | 5,
    properties: IConnectPacket['properties'] = {},
    more: Partial<IConnectPacket> = {},
  ): Promise<RawClient> {
    const { port, pki } = broker;
    const socket = connect({ host: '127.0.0.1', port, ca: pki.ca.cert, cert, key });
    const client = new RawClient(socket, version);
    await once(socket, 'secureConnect');
    client.send({
      cmd: 'connect',
      protocolId: 'MQTT',
      protocolVersion: version,
      clean: false,
      clientId,
      keepalive: 60,
      ...more,
      properties: { sessionExpiryInterval: 3600, ...properties },
    });
    await client.until('connack');
    return client;
  }

  get published(): IPublishPacket[] {
    return this.packets.filter((packet) => packet.cmd === 'publish');
  }

  send(packet: Packet): void {
    writeToStream(packet, this.#socket, { protocolVersion: this.#version });
  }

  /** As they are, whatever MQTT says of them. @returns false when the other side takes no more for now */
  sendBytes(bytes: Buffer): boolean {
    return this.#socket.write(bytes);
  }

  /** From now on nothing is read. */
  stopReading(): void {
    this.#socket.pause();
  }

  startReading(): void {
    this.#socket.resume();
  }

  get isClosed(): boolean {
    return this.#socket.closed;
  }

  /** Bytes that were sent and that nobody has taken. */
  get unsentBytes(): number {
    return this.#socket.writableLength;
  }

  /** Waits for the other side to end the connection. @returns the reason code of its DISCONNECT, if it sent one */
  async ended(): Promise<number | undefined> {
    if (!this.#socket.closed) await once(this.#socket, 'close');
    const last = this.packets.find((packet) => packet.cmd === 'disconnect');
    return last === undefined ? undefined : (last.reasonCode ?? 0);
  }

  async until(cmd: Packet['cmd']): Promise<void> {
    while (!this.packets.some((packet) => packet.cmd === cmd)) {
      await Promise.race([once(this.#socket, 'data'), once(this.#socket, 'close')]);
      if (this.#socket.closed) throw new Error(`closed before ${cmd}`);
    }
  }

  async subscribe(topic: string, qos: 0 | 1 | 2): Promise<void> {
    this.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic, qos }] });
    await this.until('suback');
  }

  /** Ends the connection without a word. */
  async cut(): Promise<void> {
    const closed = once(this.#socket, 'close');
    this.#socket.destroy();
    await closed;
  }
}
