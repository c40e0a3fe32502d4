// Answers in the order of what they answer [MQTT-4.6.0-2, MQTT-4.6.0-3], though some have to wait for the disk and some do not.

export interface Slot {
  /** Empty: there is no answer. */
  bytes: Buffer | undefined;
}

export class Acknowledgements {
  readonly #slots: Slot[] = [];
  readonly #send: (bytes: Buffer) => void;

  constructor(send: (bytes: Buffer) => void) {
    this.#send = send;
  }

  /** Those that are owed. */
  get size(): number {
    return this.#slots.length;
  }

  open(): Slot {
    const slot: Slot = { bytes: undefined };
    this.#slots.push(slot);
    return slot;
  }

  /** Answers, as soon as everything before is answered. @param bytes empty when nothing is to be said */
  settle(slot: Slot, bytes: Buffer): void {
    slot.bytes = bytes;
    for (let first = this.#slots[0]; first?.bytes !== undefined; first = this.#slots[0]) {
      this.#slots.shift();
      if (first.bytes.length > 0) this.#send(first.bytes);
    }
  }
}
