// Who is served when there is more to do than a turn of the event loop should take: whoever has had little lately at once, the others one
// after the other, in what time is left.
import type { Connection } from './connection.ts';
import { guard } from './guard.ts';
import { countTurns } from './output.ts';

/** Milliseconds that what was read takes in a turn, before those who have had much have to wait. */
const longTurn = 8;
/** Milliseconds for those who wait, in each turn. */
const roundLength = 5;

export class BusyConnections {
  readonly #waiting = new Set<Connection>();
  #isScheduled = false;
  #turn = -1;
  #turnBegan = 0;

  /** It gets a turn of its own soon. */
  add(connection: Connection): void {
    this.#waiting.add(connection);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#round);
  }

  /** Whether this turn has taken long already. Asked with each piece that is read of somebody who has had much. */
  isTurnLong(): boolean {
    const now = performance.now();
    const turn = countTurns();
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#turnBegan = now;
      return false;
    }
    return now - this.#turnBegan > longTurn;
  }

  readonly #round = (): void => {
    const began = performance.now();
    // Those that come while it lasts wait for the next one.
    let left = this.#waiting.size;
    for (const connection of this.#waiting) {
      if (left === 0 || performance.now() - began > roundLength) break;
      left -= 1;
      this.#waiting.delete(connection);
      guard(connection, () => {
        connection.goOn();
      });
    }
    // Nothing may have been written in it.
    this.#turn = -1;
    this.#isScheduled = this.#waiting.size > 0;
    if (this.#isScheduled) setImmediate(this.#round);
  };
}
