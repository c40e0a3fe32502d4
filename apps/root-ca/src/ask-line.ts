// One question on the terminal, one line of answer.
import { createInterface } from 'node:readline/promises';
import { KeylineError } from '@keyline/kernel';

/** @throws {KeylineError} USAGE for Ctrl-C and the end of the input */
export async function askLine(
  question: string,
  terminal: { readonly input: NodeJS.ReadableStream; readonly output: NodeJS.WritableStream },
): Promise<string> {
  const lines = createInterface(terminal);
  const ended = new Promise<never>((_resolve, reject) => {
    const cancel = (): void => reject(new KeylineError('USAGE', 'Cancelled; nothing was done.'));
    lines.once('SIGINT', cancel);
    lines.once('close', cancel);
  });
  try {
    return await Promise.race([lines.question(question), ended]);
  } finally {
    lines.close();
  }
}
