// Asks for a passphrase on the terminal, without echo.
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { KeylineError, Secret } from '@keyline/kernel';

export interface PromptOptions {
  /** Ask twice and compare: for a passphrase that is being set. */
  readonly confirm?: boolean | undefined;
}

/** @throws {KeylineError} USAGE without a terminal, for an empty or an unequal second passphrase */
export async function promptPassphrase(
  question: string,
  options: PromptOptions = {},
): Promise<Secret> {
  if (!process.stdin.isTTY) {
    throw new KeylineError(
      'USAGE',
      'A passphrase is needed and there is no terminal to ask on. Give it in a file (mode 600).',
    );
  }
  const passphrase = await askWithoutEcho(question);
  if (passphrase === '')
    throw new KeylineError('USAGE', 'The passphrase is empty; nothing was done.');
  if (options.confirm === true && (await askWithoutEcho('Again: ')) !== passphrase) {
    throw new KeylineError('USAGE', 'The two passphrases differ; nothing was done.');
  }
  return new Secret(passphrase);
}

async function askWithoutEcho(question: string): Promise<string> {
  process.stderr.write(question.endsWith(' ') ? question : `${question} `);
  // readline echoes through its output; one that swallows everything hides the typing.
  const output = new Writable({
    write(_chunk, _encoding, done) {
      done();
    },
  });
  const terminal = createInterface({ input: process.stdin, output, terminal: true });
  const cancelled = new Promise<never>((_resolve, reject) => {
    terminal.once('SIGINT', () => {
      reject(new KeylineError('USAGE', 'Cancelled; nothing was done.'));
    });
  });
  try {
    return await Promise.race([terminal.question(''), cancelled]);
  } finally {
    terminal.close();
    process.stderr.write('\n');
  }
}
