// One connection that sends the bytes it is given, right or wrong, and reads what comes as strictly as MQTT lets a client.
import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type TLSSocket } from 'node:tls';
import {
  clientPacketLimits,
  readPacket,
  readPacketLength,
  type Packet,
  type ProtocolVersion,
  type ReadLimits,
} from '@keyline/mqtt';

/** A client that takes whatever MQTT allows, and nothing else. */
const strict: ReadLimits = {
  ...clientPacketLimits,
  from: 'server',
  userPropertiesPerPacket: Number.MAX_SAFE_INTEGER,
  topicLevels: Number.MAX_SAFE_INTEGER,
};
/** Of packets that came; older ones are forgotten. */
const mostKept = 4000;
const mostPacketBytes = 268_435_460;

export class StrictWire {
  readonly packets: Packet[] = [];
  readonly #socket: TLSSocket;
  readonly #version: ProtocolVersion | undefined;
  #rest = Buffer.alloc(0);
  #fault: unknown;

  private constructor(socket: TLSSocket, version: ProtocolVersion | undefined) {
    this.#socket = socket;
    this.#version = version;
    socket.on('error', () => undefined);
    socket.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
  }

  /** @param version of what comes back; undefined where nobody can tell, and then it is not read */
  static async open(
    { port, ca }: { readonly port: number; readonly ca: string | Buffer },
    proof: { readonly cert?: string | Buffer; readonly key?: string | Buffer },
    version: ProtocolVersion | undefined,
  ): Promise<StrictWire> {
    const socket = connect({ host: '127.0.0.1', port, ca, ...proof });
    const wire = new StrictWire(socket, version);
    await new Promise((resolve) => {
      socket.once('secureConnect', resolve);
      socket.once('close', resolve);
    });
    return wire;
  }

  get isOpen(): boolean {
    return !this.#socket.closed && !this.#socket.destroyed;
  }

  send(bytes: Buffer): void {
    if (this.#socket.writable) this.#socket.write(bytes);
  }

  /** Waits for a packet, for the end of the connection, or for so long. */
  async until(wanted: (packet: Packet) => boolean, milliseconds: number): Promise<void> {
    const end = performance.now() + milliseconds;
    while (this.isOpen && !this.packets.some(wanted) && performance.now() < end) {
      await sleep(2);
    }
  }

  /** @throws {Error} when the other side does not end the connection within so long */
  async untilClosed(milliseconds: number): Promise<void> {
    await this.until(() => false, milliseconds);
    if (this.isOpen) throw new Error('The connection was not ended.');
  }

  /** @throws {MalformedPacket} when something came that a strict client would refuse */
  check(): void {
    if (this.#fault !== undefined) throw this.#fault as Error;
  }

  cut(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    if (this.#version === undefined || this.#fault !== undefined) return;
    this.#rest = Buffer.concat([this.#rest, chunk]);
    try {
      for (;;) {
        const { length } = this.#rest;
        const total = readPacketLength(this.#rest, 0, length, mostPacketBytes);
        if (total === 0 || total > length) return;
        // Payloads are not kept: what is looked at is the form.
        this.packets.push(readPacket(this.#rest, 0, total, this.#version, strict));
        if (this.packets.length > mostKept) this.packets.splice(0, mostKept / 2);
        this.#rest = this.#rest.subarray(total);
      }
    } catch (fault) {
      this.#fault = fault;
    }
  }
}
