// What a command may touch of the outside world, handed in by main.ts so that tests can hand in their own.
import { escapeUnprintable, type Clock } from '@keyline/kernel';

/**
 * Machine output goes to `out`, everything a person should read beside it to `err`. Names and messages of others are in both, so what
 * would act on a terminal is escaped on the way (`printable`).
 */
export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** To the same place as `err`, as it is: for progress bars, never for text of others. */
  readonly draw: (text: string) => void;
  /** Whether `err` is a terminal: progress bars are drawn only there. */
  readonly interactive: boolean;
  /** Whether a person can be asked: `err` and the standard input are terminals. */
  readonly canAsk: boolean;
}

export interface CliContext {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Absolute; relative file names of the command line start here. */
  readonly cwd: string;
  readonly stdin: AsyncIterable<Uint8Array | string>;
  readonly terminal: Terminal;
  readonly clock: Clock;
  /** Process id of this command, for locks and messages. */
  readonly pid: number;
  /** Sends a signal to another process; whether it was there. */
  readonly signalProcess: (pid: number, signal: 'SIGTERM' | 'SIGKILL') => boolean;
  /** Calls back on SIGINT, SIGTERM and SIGHUP; answers with what takes the handler away again. */
  onStopSignal(handler: (signal: string) => void): () => void;
}

/** Every command with a machine-readable answer has it. */
export interface JsonOption {
  readonly json?: boolean;
}

/** Prints one JSON document on stdout. */
export function printJson(context: CliContext, value: unknown): void {
  context.terminal.out(`${JSON.stringify(value, null, 2)}\n`);
}

/**
 * The same terminal, on which text of others does nothing but appear, and command lines work where they are printed.
 * @param given.nameCommands rewrites the command lines in a text (`commandNamer`)
 * @param given.isMachineRead what goes to `out` is a document, which is nobody's to rewrite
 */
export function printable(
  terminal: Terminal,
  given: { readonly nameCommands: (text: string) => string; readonly isMachineRead: boolean },
): Terminal {
  return {
    ...terminal,
    out: (text) => {
      terminal.out(escapeUnprintable(given.isMachineRead ? text : given.nameCommands(text)));
    },
    err: (text) => {
      terminal.err(escapeUnprintable(given.nameCommands(text)));
    },
  };
}
