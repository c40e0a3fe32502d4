// What the contract needs of a kind of broker: one that runs, that can be taken away, tampered with and looked at from a device's side.
import type { ConnectedTarget, ConnectionEvents } from '../../src/target.ts';

export interface TargetSurroundings {
  /** A new client of the same broker, as after a restart of the service. */
  open(events: ConnectionEvents): ConnectedTarget;
  /** Away until `comeBack`. */
  goAway(): void;
  comeBack(): void;
  /** After so many more calls the answer of one is lost, and whoever asked is away; what was asked was done. */
  loseAnswerAfter(calls: number): void;
  /** Nothing is left of what it had. */
  empty(): Promise<void>;
  /** By somebody else's hand. */
  grant(device: string, role: string): Promise<void>;
  remove(device: string): Promise<void>;
  /** Nothing about this device is done. */
  refuse(device: string): void;
  /** Whether a device is let in with a certificate, and may do something then. */
  letsIn(device: string, serial: string): boolean;
  mayPublish(device: string, topic: string): boolean;
  close(): Promise<void>;
}

/** A broker that answers, or does not. */
export class Reach {
  isAway = false;
  readonly #events = new Set<ConnectionEvents>();
  #callsLeft = Infinity;

  add(events: ConnectionEvents): void {
    this.#events.add(events);
    if (!this.isAway) events.onConnect();
  }

  goAway(): void {
    if (this.isAway) return;
    this.isAway = true;
    for (const { onDisconnect } of this.#events) onDisconnect('the connection was reset');
  }

  comeBack(): void {
    this.#callsLeft = Infinity;
    if (!this.isAway) return;
    this.isAway = false;
    for (const { onConnect } of this.#events) onConnect();
  }

  loseAnswerAfter(calls: number): void {
    this.#callsLeft = calls;
  }

  /** @throws {Error} when it is away, before or after the work */
  async call<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    if (this.isAway) throw new Error('connection refused');
    const result = await work();
    this.#callsLeft--;
    if (this.#callsLeft < 0) {
      this.goAway();
      throw new Error('the connection was reset');
    }
    return result;
  }
}
