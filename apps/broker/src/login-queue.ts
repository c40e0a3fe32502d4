// Passwords to be checked: a few at a time, in turn between the addresses they come from, and no more guesses than are allowed. What is
// beyond the limits is refused without being checked, at the moment its turn comes: so those that wait do not get around them.

export interface GuessLimits {
  /** Wrong guesses a minute from one address; as many may come at once. */
  readonly perAddress: number;
  /** Wrong guesses a minute at one name, from addresses that did not get in under it lately. */
  readonly perName: number;
}

export type LoginAnswer = 'right' | 'wrong' | 'too-many-guesses';

interface Job {
  readonly address: string;
  readonly name: string;
  readonly check: () => Promise<boolean>;
  readonly isGone: () => boolean;
  readonly done: (answer: LoginAnswer) => void;
  readonly failed: (error: unknown) => void;
}

const atOnce = 2;
/** Addresses and names that are remembered; the oldest is forgotten first. */
const mostRemembered = 50_000;

export class LoginQueue {
  readonly #waiting = new Map<string, Job[]>();
  readonly #byAddress: Failures;
  readonly #byName: Failures;
  /** The address from which somebody was let in last, by name: a stranger's guesses do not lock that one out. */
  readonly #lastAddress = new Map<string, string>();
  #running = 0;

  /** @param now milliseconds of the monotonic clock */
  constructor(limits: GuessLimits, now: () => number = () => performance.now()) {
    this.#byAddress = new Failures(limits.perAddress, now);
    this.#byName = new Failures(limits.perName, now);
  }

  /** @param isGone whether nobody waits for the answer any more: whoever hangs up must not leave work behind */
  check(
    address: string,
    name: string,
    check: () => Promise<boolean>,
    isGone: () => boolean = () => false,
  ): Promise<LoginAnswer> {
    return new Promise((done, failed) => {
      const jobs = this.#waiting.get(address) ?? [];
      jobs.push({ address, name, check, isGone, done, failed });
      this.#waiting.set(address, jobs);
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < atOnce) {
      const job = this.#take();
      if (job === undefined) return;
      const { address, name } = job;
      if (job.isGone()) {
        job.done('wrong');
        continue;
      }
      const isAtHome = this.#lastAddress.get(name) === address;
      if (this.#byAddress.areTooMany(address) || (!isAtHome && this.#byName.areTooMany(name))) {
        job.done('too-many-guesses');
        continue;
      }
      this.#running += 1;
      void this.#run(job);
    }
  }

  /** The first of the address that has waited longest for its turn. */
  #take(): Job | undefined {
    for (const [address, jobs] of this.#waiting) {
      const job = jobs.shift();
      this.#waiting.delete(address);
      if (jobs.length > 0) this.#waiting.set(address, jobs);
      if (job !== undefined) return job;
    }
    return undefined;
  }

  async #run({ address, name, check, done, failed }: Job): Promise<void> {
    try {
      const right = await check();
      if (right) remember(this.#lastAddress, name, address);
      else {
        this.#byAddress.add(address);
        this.#byName.add(name);
      }
      done(right ? 'right' : 'wrong');
    } catch (error) {
      failed(error);
    }
    this.#running -= 1;
    this.#next();
  }
}

/** Failures of late, by whom: each is forgiven after its share of a minute. */
class Failures {
  readonly #limit: number;
  readonly #now: () => number;
  readonly #counts = new Map<string, { readonly count: number; readonly at: number }>();

  constructor(limit: number, now: () => number) {
    this.#limit = limit;
    this.#now = now;
  }

  areTooMany(who: string): boolean {
    return this.#count(who) > this.#limit - 1;
  }

  add(who: string): void {
    remember(this.#counts, who, { count: this.#count(who) + 1, at: this.#now() });
  }

  #count(who: string): number {
    const known = this.#counts.get(who);
    if (known === undefined) return 0;
    return Math.max(0, known.count - ((this.#now() - known.at) * this.#limit) / 60_000);
  }
}

function remember<Value>(map: Map<string, Value>, key: string, value: Value): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= mostRemembered) return;
  const [oldest] = map.keys();
  if (oldest !== undefined) map.delete(oldest);
}
