// Who is served when there is more to do than a turn of the event loop should take: whoever has had little lately at once, the others one
// after the other, in what time is left.
import type { Connection } from './connection.ts';
import { guard } from './guard.ts';
import { countTurns } from './output.ts';

/** Packets read and messages given to receivers in a turn, before those who have had much have to wait: some milliseconds. */
const longTurn = 4000;
/** Milliseconds for those who wait, in each turn. */
const roundLength = 5;

export class BusyConnections {
  readonly #waiting = new Set<Connection>();
  #isScheduled = false;
  #turn = -1;
  #work = 0;

  /** It gets a turn of its own soon. */
  add(connection: Connection): void {
    this.#waiting.add(connection);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(this.#round);
  }

  /** What was done in this turn. By work, not by the clock: that other programs had the processor is nobody's fault here. */
  addWork(units: number): void {
    const turn = countTurns();
    if (turn !== this.#turn) {
      this.#turn = turn;
      this.#work = 0;
    }
    this.#work += units;
  }

  /** Whether it has been much already. */
  get isTurnLong(): boolean {
    return this.#work > longTurn && this.#turn === countTurns();
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
