// How long a fuzzer runs, from which seed, and how what it found is found again.
//
// As a part of `make test` each target runs a fixed number of rounds from a new seed, which it prints. `make fuzz` runs them for a
// time; FUZZ_SEED and FUZZ_ROUND play one round again.
import { randomInt } from 'node:crypto';
import { Dice } from './dice.ts';

const given = (name: string): number | undefined => {
  const text = process.env[name];
  return text === undefined || text === '' ? undefined : Number(text);
};

const seconds = given('FUZZ_SECONDS');
const seed = given('FUZZ_SEED') ?? randomInt(2 ** 31);
const onlyRound = given('FUZZ_ROUND');

/** A run of hours measures what a run of seconds beside other tests can not: memory and the event loop. */
export const isLongRun = seconds !== undefined;

/** For `it`: milliseconds that all rounds of a target may take. */
export const fuzzTimeout = (seconds ?? 0) * 1000 + 240_000;

/** Rounds of one target have nothing in common but the process they run against. */
const seedOf = (round: number): number => (seed + Math.imul(round, 0x9e3779b1)) | 0;

/**
 * @param target for its name: the file that holds it, without `.test.ts`
 * @returns how many rounds were run
 */
export async function fuzz(
  target: string,
  rounds: number,
  run: (dice: Dice, round: number) => Promise<void>,
): Promise<number> {
  const again = `FUZZ_SEED=${seed} make fuzz ONLY=${target}`;
  console.log(`fuzz ${target}: the same again with ${again}`);
  const until = performance.now() + (seconds ?? 0) * 1000;
  let round = onlyRound ?? 0;
  const isOver = (): boolean => {
    if (onlyRound !== undefined) return round > onlyRound;
    return isLongRun ? performance.now() > until : round >= rounds;
  };
  for (; !isOver(); round += 1) {
    try {
      await run(new Dice(seedOf(round)), round);
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      throw new Error(`round ${round} of ${target} (FUZZ_ROUND=${round} ${again}): ${message}`, {
        cause: error,
      });
    }
  }
  console.log(`fuzz ${target}: ${round - (onlyRound ?? 0)} rounds`);
  return round;
}
