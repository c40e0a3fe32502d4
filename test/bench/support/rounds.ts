// Several short rounds with L measured between them: the machine has other work, so the best of each is what it can do.
import { measureBareCrypto } from './bare-crypto.ts';

export interface Rounds {
  /** Best of the rounds, in units per second of CPU. */
  readonly best: number;
  /** Best L of the same run. */
  readonly limit: number;
}

export async function bestOf(rounds: number, round: () => Promise<number>): Promise<Rounds> {
  let limit = measureBareCrypto();
  let best = 0;
  for (let i = 0; i < rounds; i++) {
    best = Math.max(best, await round());
    limit = Math.max(limit, measureBareCrypto());
  }
  return { best, limit };
}
