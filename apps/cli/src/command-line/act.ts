// How a command's action is given to commander: the run function loads its code only when it is called.
import type { CliContext } from '../context.ts';

/** Answers with an exit code, or nothing for 0. Arguments are commander's: positional ones, then the options. */
export type Run<Args extends readonly unknown[]> = (
  context: CliContext,
  ...args: Args
) => Promise<number | undefined> | Promise<void>;

export type Act = <Args extends readonly unknown[]>(
  run: Run<Args>,
) => (...args: Args) => Promise<void>;
