// What the commands know of the world around them: the person at the keyboard, the clock, other processes. main.ts provides it.
import type { Clock } from '@keyline/kernel';

export interface Terminal {
  /** Result, to standard output. */
  out(text: string): void;
  /** What a person should know beside the result, to standard error. */
  err(text: string): void;
  /** Whether somebody can answer a question. */
  readonly interactive: boolean;
  /** One line of answer. */
  ask(question: string): Promise<string>;
  /** Everything on standard input, for `--passphrase-file -`. */
  readInput(): string;
}

export interface Surroundings {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly cwd: string;
  readonly pid: number;
  isAlive(pid: number): boolean;
}
