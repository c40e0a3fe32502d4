// What the commands know of the world around them: the person at the keyboard, the clock, other processes. main.ts provides it.
import type { Clock } from '@keyline/kernel';

export interface Terminal {
  /** Result, to standard output. */
  readonly out: (text: string) => void;
  /** What a person should know beside the result, to standard error. */
  readonly err: (text: string) => void;
  /** Whether somebody can answer a question. */
  readonly interactive: boolean;
  /** One line of answer. */
  readonly ask: (question: string) => Promise<string>;
  /** Everything on standard input, for `--passphrase-file -`. */
  readonly readInput: () => string;
}

export interface Surroundings {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly cwd: string;
  readonly pid: number;
  readonly isAlive: (pid: number) => boolean;
}
