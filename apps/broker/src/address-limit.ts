// How many connections one address may have at once, whatever they are: a fixed limit, for who wants one.
import type { Socket } from 'node:net';

export class AddressLimit {
  readonly #limit: number;
  readonly #counts = new Map<string, number>();

  /** @param limit 0: none */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /**
   * @param address as `peerKeyOf` gives it
   * @returns whether the address may have this one too; it is counted until it closes
   */
  take(socket: Pick<Socket, 'once'>, address: string): boolean {
    if (this.#limit === 0) return true;
    const count = (this.#counts.get(address) ?? 0) + 1;
    if (count > this.#limit) return false;
    this.#counts.set(address, count);
    socket.once('close', () => {
      const left = (this.#counts.get(address) ?? 1) - 1;
      if (left === 0) this.#counts.delete(address);
      else this.#counts.set(address, left);
    });
    return true;
  }
}
