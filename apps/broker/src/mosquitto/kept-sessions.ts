// Whether Mosquitto keeps a session for somebody who is not connected: on 2.0 that decides between a reload and a crash. Its figures say so
// every two seconds; its log says at once who may have left one since.

import type { ConnectedClient } from './log-lines.ts';

/** A round of figures counts what had happened before it was sent, and the log is read from another pipe. */
const roundIsOlder = 500;

export class KeptSessions {
  /** Connected, and may leave a session behind; by client id. */
  readonly #online = new Set<string>();
  /** May have left one, as far as the log tells; by client id, and when. */
  readonly #offline = new Map<string, number>();
  #figuresSayNone = false;

  /** By the last figures, and by the log since. */
  get noneIsOffline(): boolean {
    return this.#figuresSayNone && this.#offline.size === 0;
  }

  /** Mosquitto is started: what it kept from before is known with its first figures. */
  reset(): void {
    this.#online.clear();
    this.#offline.clear();
    this.#figuresSayNone = false;
  }

  connected({ clientId, mayLeaveSession }: ConnectedClient): void {
    this.#offline.delete(clientId);
    if (mayLeaveSession) this.#online.add(clientId);
    else this.#online.delete(clientId);
  }

  /** Any other line of its log. */
  read(line: string): void {
    if (!aboutClient.test(line) || aboutNoSession.test(line)) return;
    const gone = endedPattern.exec(line)?.groups?.['id'];
    // In words that are not known here: whoever it is about, the next figures tell.
    if (gone === undefined) this.#offline.set(line, performance.now());
    else if (this.#online.delete(gone)) this.#offline.set(gone, performance.now());
  }

  /** @param offline sessions of clients that are not connected; below 0 while others are in a handshake */
  onFigures(offline: number): void {
    this.#figuresSayNone = offline <= 0;
    const now = performance.now();
    for (const [id, since] of this.#offline) {
      if (now - since > roundIsOlder) this.#offline.delete(id);
    }
  }
}

// Client ids are names, and may hold anything but a control character.
const endedPattern =
  /^(?:Client (?<id>.*) been disconnected by administrative action\.|Client (?<id>.*) (?:disconnected(?:\.|, .*|: .*| due to .*)|closed its connection\.|has exceeded timeout, disconnecting\.|already connected, closing old connection\.)|Bad socket read\/write on client (?<id>.*): .*)$/;
const aboutClient = /\bclient /i;
const aboutNoSession = /^(?:Client connection from |dynsec: |OpenSSL Error)/;
