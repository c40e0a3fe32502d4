// Asks for a passphrase on the terminal, without echo.
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { KeylineError, Secret } from '@keyline/kernel';

/** Where to ask: the process's own streams unless a test puts others here. */
export interface PassphraseTerminal {
  readonly input: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly output: NodeJS.WritableStream;
}

export interface PromptOptions {
  /** Ask twice and compare: for a passphrase that is being set. */
  readonly confirm?: boolean | undefined;
  /** Throws for one that will not do: before it is asked for again. */
  readonly judge?: ((passphrase: string) => void) | undefined;
  readonly terminal?: PassphraseTerminal | undefined;
}

// eslint-disable-next-line no-restricted-globals -- there is one terminal, and it belongs to the process
const ownTerminal = (): PassphraseTerminal => ({ input: process.stdin, output: process.stderr });

/** @throws {KeylineError} USAGE without a terminal, for an empty or an unequal second passphrase, and for Ctrl-C */
export async function promptPassphrase(
  question: string,
  options: PromptOptions = {},
): Promise<Secret> {
  const terminal = options.terminal ?? ownTerminal();
  if (terminal.input.isTTY !== true) {
    throw new KeylineError(
      'USAGE',
      'A passphrase is needed and there is no terminal to ask on. Give it in a file (mode 600).',
    );
  }
  const passphrase = await askWithoutEcho(terminal, question);
  if (passphrase === '') {
    throw new KeylineError('USAGE', 'The passphrase is empty; nothing was done.');
  }
  options.judge?.(passphrase);
  if (options.confirm === true && (await askWithoutEcho(terminal, 'Again:')) !== passphrase) {
    throw new KeylineError('USAGE', 'The two passphrases differ; nothing was done.');
  }
  return new Secret(passphrase);
}

async function askWithoutEcho(terminal: PassphraseTerminal, question: string): Promise<string> {
  // readline echoes through its output; one that swallows everything hides the typing.
  const silence = new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const lines = createInterface({ input: terminal.input, output: silence, terminal: true });
  // Only now: before readline has taken the terminal, it echoes what somebody quick types at the question.
  terminal.output.write(question.endsWith(' ') ? question : `${question} `);
  const ended = new Promise<never>((_resolve, reject) => {
    const cancel = (): void => reject(new KeylineError('USAGE', 'Cancelled; nothing was done.'));
    lines.once('SIGINT', cancel);
    lines.once('close', cancel);
  });
  try {
    return await Promise.race([lines.question(''), ended]);
  } finally {
    lines.close();
    terminal.output.write('\n');
  }
}
