// Which CRLs Mosquitto was seen to refuse by. What it was told is not what it does yet: between the two lie its event loop, a restart, or a
// file that it could not read.
import type { Logger } from 'pino';
import type { CanaryCertificate, Verdict } from './canary.ts';
import type { WatchedCrl } from './crl-watch.ts';

/** A CRL file as it was written, and the client that it alone revokes. */
export interface WrittenCrls {
  readonly crls: readonly WatchedCrl[];
  readonly canary: CanaryCertificate;
}

interface CrlEvidenceOptions {
  readonly tryCanary: (canary: CanaryCertificate) => Promise<Verdict>;
  /** A file is in force that was not before. */
  readonly onInForce: () => void;
  /** Mosquitto serves, was told, and still lets in whom the file revokes. */
  readonly onNotRead: () => void;
  readonly log: Logger;
}

const firstPause = 5;
const longestPause = 250;
/** It reads its files within a turn of its loop; one that takes this long, while it serves, has not read them. */
const notReadAfter = 5000;

export class CrlEvidence {
  readonly #options: CrlEvidenceOptions;
  #written: WrittenCrls | undefined;
  #told: WrittenCrls | undefined;
  #inForce: WrittenCrls | undefined;
  #complained: WrittenCrls | undefined;
  #round = 0;

  constructor(options: CrlEvidenceOptions) {
    this.#options = options;
  }

  /** Those in force; none while that is not known. */
  get crls(): readonly WatchedCrl[] {
    return this.#inForce?.crls ?? [];
  }

  /** Whether a file is on disk that Mosquitto was not yet seen to refuse by. */
  get isWaiting(): boolean {
    return this.#written !== this.#inForce;
  }

  written(written: WrittenCrls): void {
    this.#written = written;
  }

  /** Mosquitto serves, and was told to read what was written last. */
  told(): void {
    if (this.#written === undefined || this.#told === this.#written) return;
    this.#told = this.#written;
    this.#round += 1;
    void this.#follow(this.#round, this.#told);
  }

  /** It is started anew, or gone: nothing is known of it. */
  forget(): void {
    this.#round += 1;
    this.#told = undefined;
    this.#inForce = undefined;
  }

  async #follow(round: number, wanted: WrittenCrls): Promise<void> {
    const { tryCanary, onInForce, onNotRead, log } = this.#options;
    const begun = performance.now();
    let pause = firstPause;
    for (;;) {
      const verdict = await tryCanary(wanted.canary);
      if (round !== this.#round) return;
      if (verdict === 'refused') {
        this.#inForce = wanted;
        const numbers = wanted.crls.map(({ name, number }) => `${name} number ${String(number)}`);
        log.info(
          { event: 'CRL in force', milliseconds: Math.round(performance.now() - begun) },
          `Mosquitto was seen to refuse by CRL ${numbers.join(', ')}`,
        );
        onInForce();
        return;
      }
      const hadTime = performance.now() - begun > notReadAfter;
      if (verdict === 'let in' && hadTime && this.#complained !== wanted) {
        this.#complained = wanted;
        log.error(
          { event: 'CRL not in force' },
          'Mosquitto was told of a new CRL and still lets in whom it revokes',
        );
        onNotRead();
      }
      await sleep(pause);
      if (round !== this.#round) return;
      pause = Math.min(pause * 2, longestPause);
    }
  }
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, milliseconds).unref();
  });
}
