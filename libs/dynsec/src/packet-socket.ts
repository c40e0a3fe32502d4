// MQTT 5 packets over a socket, on the client's side: bytes in, whole packets out; nothing that a broker sends does more than end it.
import type { Socket } from 'node:net';
import { messageOf } from '@keyline/kernel';
import {
  clientPacketLimits,
  encodePacket,
  MalformedPacket,
  readPacket,
  readPacketLength,
  type Packet,
} from '@keyline/mqtt';

const limits = { ...clientPacketLimits, from: 'server' } as const;
/** What MQTT allows at most: a list of 100,000 clients comes in one packet. */
const mostPacketBytes = 268_435_460;

export interface PacketEvents {
  readonly onPacket: (packet: Packet) => void;
  /** Once, whoever ended it and however. @param reason of a sentence, without a full stop */
  readonly onEnd: (reason: string) => void;
}

export class PacketSocket {
  readonly #socket: Socket;
  readonly #events: PacketEvents;
  /** Of a packet whose end has not come yet. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Length of that packet; 0 while not even that is known. */
  #wanted = 0;
  #reason = 'it closed the connection';
  #ended: Promise<void>;
  /** `performance.now()` of the last bytes that came. */
  heardAt = performance.now();

  constructor(socket: Socket, events: PacketEvents) {
    this.#socket = socket;
    this.#events = events;
    // Without it each request waits for the acknowledgement of the one before: 44 ms on Linux.
    socket.setNoDelay(true);
    socket.on('data', (chunk: Buffer) => {
      this.#take(chunk);
    });
    socket.on('error', (error) => {
      this.#reason = messageOf(error);
    });
    this.#ended = new Promise((resolve) => {
      socket.once('close', () => {
        resolve();
        events.onEnd(this.#reason);
      });
    });
  }

  send(packet: Packet): void {
    this.#socket.write(encodePacket(packet, 5));
  }

  /** At once. Answers when it is closed. */
  end(reason: string): Promise<void> {
    if (!this.#socket.destroyed) this.#reason = reason;
    this.#socket.destroy();
    return this.#ended;
  }

  #take(chunk: Buffer): void {
    this.heardAt = performance.now();
    this.#parts.push(chunk);
    this.#partBytes += chunk.length;
    // A packet of many megabytes comes in many parts: they are put together once.
    if (this.#partBytes < this.#wanted) return;
    const bytes = this.#parts.length === 1 ? chunk : Buffer.concat(this.#parts);
    try {
      this.#readAll(bytes);
    } catch (error) {
      if (!(error instanceof MalformedPacket)) throw error;
      void this.end(`it sent what is not MQTT (${error.message})`);
    }
  }

  #readAll(bytes: Buffer): void {
    let at = 0;
    let length = readPacketLength(bytes, at, bytes.length, mostPacketBytes);
    while (length > 0 && at + length <= bytes.length && !this.#socket.destroyed) {
      const packet = readPacket(bytes, at, at + length, 5, limits);
      at += length;
      this.#events.onPacket(packet);
      length = readPacketLength(bytes, at, bytes.length, mostPacketBytes);
    }
    this.#wanted = length;
    this.#partBytes = bytes.length - at;
    this.#parts = this.#partBytes === 0 ? [] : [bytes.subarray(at)];
  }
}
