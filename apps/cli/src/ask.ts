// Questions on a terminal: one line each, an empty one takes what is suggested.
import { KeylineError } from '@keyline/kernel';
import type { CliContext } from './context.ts';

export interface Asker {
  /**
   * @param judge what is wrong with an answer, undefined when it will do; asked again until then
   * @throws {KeylineError} USAGE when the input ends
   */
  ask(
    question: string,
    suggested: string,
    judge?: (answer: string) => string | undefined,
  ): Promise<string>;
  close(): Promise<void>;
}

const longestLine = 4096;

export function createAsker({ stdin, terminal }: CliContext): Asker {
  const chunks = stdin[Symbol.asyncIterator]();
  const decoder = new TextDecoder();
  let waiting = '';
  async function readLine(): Promise<string> {
    for (;;) {
      const end = waiting.indexOf('\n');
      if (end >= 0) {
        const line = waiting.slice(0, end);
        waiting = waiting.slice(end + 1);
        return line.trim();
      }
      const next = await chunks.next();
      if (next.done === true || waiting.length > longestLine) {
        throw new KeylineError('USAGE', 'The answers ended too early; nothing was written.');
      }
      const { value } = next;
      waiting += typeof value === 'string' ? value : decoder.decode(value, { stream: true });
    }
  }
  return {
    async ask(question, suggested, judge = () => undefined) {
      for (;;) {
        terminal.err(`${question} [${suggested}] `);
        const answer = (await readLine()) || suggested;
        const wrong = judge(answer);
        if (wrong === undefined) return answer;
        terminal.err(`  ${wrong}\n`);
      }
    },
    async close() {
      await chunks.return?.();
    },
  };
}
