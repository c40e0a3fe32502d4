// What has to hold while a process is fuzzed: it lives, somebody healthy is served, its loop turns, its memory is flat, its log is calm.
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Of the process under test. */
export interface Patient {
  readonly name: string;
  readonly pid: () => number;
  /** Undefined while it lives; else how it ended. */
  readonly death: () => string | undefined;
  /** Whoever is served beside the fuzzer; rejects when not. */
  readonly serve: () => Promise<void>;
  /** Lines of its log that say that something went wrong. */
  readonly errors: () => readonly unknown[];
  /** Name to value, summed over labels. */
  readonly metrics: () => Promise<(name: string) => number>;
}

const mebibyte = 1024 * 1024;
// A tenth of a second of one core goes to others on a busy machine; these are bounds for a hang, not for slowness.
const hangSeconds = 2;
const longRunSeconds = 0.05;
const mostGrowthMebibytes = 300;

export class Vitals {
  readonly #patient: Patient;
  /** Of a long run: an idle process that shows how late the machine itself is. */
  readonly #idle: ChildProcess | undefined;
  #pid = 0;
  #first = 0;
  #most = 0;
  #longestLag = 0;
  #lateLooks = 0;
  #longestIdleLag = 0;
  #lateIdleLooks = 0;
  #looks = 0;

  constructor(patient: Patient, isLong: boolean) {
    this.#patient = patient;
    this.#idle = isLong ? fork(join(import.meta.dirname, 'idle-loop.ts')) : undefined;
    this.#idle?.unref();
  }

  /** The one thing to ask after every round: whoever talks to a process that is gone sees only that the connection broke. */
  assertLife(): void {
    const ended = this.#patient.death();
    if (ended !== undefined) throw new Error(`${this.#patient.name} ended: ${ended}`);
  }

  /** @throws {Error} that says what does not hold */
  async look(): Promise<void> {
    this.assertLife();
    const { name, pid, serve, metrics } = this.#patient;
    if (this.#looks > 0 && pid() !== this.#pid) throw new Error(`${name} is another process now`);
    this.#pid = pid();
    await serve();
    const value = await metrics();
    const lag = value('nodejs_eventloop_lag_max_seconds');
    const idleLag = await this.#askIdle();
    // What went before the first look was the start.
    if (this.#looks > 0) {
      this.#longestLag = Math.max(this.#longestLag, lag);
      this.#longestIdleLag = Math.max(this.#longestIdleLag, idleLag);
      if (idleLag > longRunSeconds) this.#lateIdleLooks += 1;
      if (lag > longRunSeconds) this.#lateLooks += 1;
      if (lag > hangSeconds) throw new Error(`the event loop of ${name} stood for ${lag} s`);
    }
    const errors = this.#patient.errors();
    if (errors.length > 0) throw new Error(`${name} logged ${JSON.stringify(errors.slice(0, 5))}`);
    const resident = residentMebibytes(this.#pid);
    if (this.#looks === 0) this.#first = resident;
    this.#most = Math.max(this.#most, resident);
    if (resident > this.#first + mostGrowthMebibytes) {
      throw new Error(`${name} grew from ${this.#first} to ${resident} MiB`);
    }
    this.#looks += 1;
  }

  /** For whoever runs it for hours. */
  report(): string {
    const now = residentMebibytes(this.#pid);
    const memory = `memory ${this.#first} MiB at first, ${this.#most} at most, ${now} now`;
    const longest = `longest turn ${milliseconds(this.#longestLag)} ms`;
    if (this.#idle === undefined) return `${this.#patient.name}: ${longest}; ${memory}`;
    return (
      `${this.#patient.name}: ${longest}, above 50 ms in ${this.#lateLooks} of ${this.#looks} looks ` +
      `(an idle process beside it: ${milliseconds(this.#longestIdleLag)} ms, ${this.#lateIdleLooks}); ${memory}`
    );
  }

  /** Ends what was started to compare with. */
  close(): void {
    this.#idle?.disconnect();
  }

  async #askIdle(): Promise<number> {
    if (this.#idle === undefined) return 0;
    const answer = once(this.#idle, 'message');
    this.#idle.send('look');
    return Number((await answer)[0]);
  }
}

const milliseconds = (seconds: number): number => Math.round(seconds * 1000);

function residentMebibytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Math.round((Number(line?.[1]) * 1024) / mebibyte);
}
