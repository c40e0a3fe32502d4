// Connections that have more to do than one turn allows: one turn each, again and again, so that everybody else is served in between.
import type { Connection } from './connection.ts';
import { guard } from './guard.ts';

export class BusyConnections {
  #waiting = new Set<Connection>();
  #isScheduled = false;

  add(connection: Connection): void {
    this.#waiting.add(connection);
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#round();
    });
  }

  #round(): void {
    this.#isScheduled = false;
    const connections = this.#waiting;
    this.#waiting = new Set();
    for (const connection of connections) {
      guard(connection, () => {
        connection.goOn();
      });
    }
  }
}
