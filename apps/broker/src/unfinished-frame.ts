// What a peer has sent of a WebSocket message that has not come to its end: it is kept whole, below where MQTT's bytes are seen.
import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';

/** Less than a piece of what the socket gives is not worth telling. */
const worthTelling = 16_384;
/** What a piece takes in memory beside its bytes. */
const pieceOverhead = 150;

export class UnfinishedFrame {
  /** Memory it takes, about. */
  bytes = 0;
  /** Monotonic milliseconds since when it is large enough to be told of. */
  since: number | undefined = undefined;
  #onChange: () => void = () => undefined;
  #told = 0;

  constructor(webSocket: WebSocket, socket: Duplex) {
    socket.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length + pieceOverhead;
      if (this.bytes - this.#told < worthTelling) return;
      this.since ??= performance.now();
      this.#told = this.bytes;
      this.#onChange();
    });
    webSocket.on('message', () => {
      this.bytes = 0;
      if (this.#told === 0) return;
      this.since = undefined;
      this.#told = 0;
      this.#onChange();
    });
  }

  /** @param onChange called when it has grown, or is gone */
  watch(onChange: () => void): void {
    this.#onChange = onChange;
  }
}
