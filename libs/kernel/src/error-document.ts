// A failure for scripts: what --json prints on stdout in place of an answer, in all programs alike.
import { isKeylineError, KeylineError, messageOf, type ErrorCode } from './errors.ts';
import { exitCodeOf } from './exit-code.ts';

interface ErrorDocument {
  readonly error: {
    readonly code: ErrorCode;
    /** With which the program ends. */
    readonly exitCode: number;
    /** What happened, with which input, and what to do next. */
    readonly detail: string;
    /** What else is known of it: the status of the service's answer, a request's id. */
    readonly [more: string]: unknown;
  };
}

/** @param judge who said no, as for `exitCodeOf` */
export function errorDocument(error: unknown, judge: 'service' | 'here'): ErrorDocument {
  const { code, detail, context } = isKeylineError(error)
    ? error
    : { code: 'INTERNAL' as const, detail: messageOf(error), context: {} };
  return { error: { ...context, code, exitCode: exitCodeOf(error, judge), detail } };
}

/**
 * What commander says of a command line, as an error of ours.
 * @param error a CommanderError: this room knows no commander
 */
export function usageErrorOf(error: {
  readonly code: string;
  readonly message: string;
}): KeylineError {
  const detail =
    error.code === 'commander.help'
      ? 'A command is missing: --help lists them.'
      : error.message === "error: unknown option '--json'"
        ? 'There is no command here that --json goes with: --help lists them.'
        : error.message.replace(/^error: /, '');
  return new KeylineError('USAGE', detail);
}
