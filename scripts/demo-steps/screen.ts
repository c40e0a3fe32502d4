// What the demo prints: steps, verified facts with their times, and plain words when one does not hold.
import { performance } from 'node:perf_hooks';

export interface Screen {
  step(title: string): void;
  /**
   * One fact: printed with a check mark when `check` resolves, and the end of the demo when it rejects. A text that it resolves with is
   * put behind the fact: the proof, or what came out.
   */
  verify(fact: string, check: () => unknown): Promise<void>;
  /** A line that is no fact. */
  note(text: string): void;
  print(text: string): void;
}

/** A fact that did not hold; it was printed already. */
export class NotVerified extends Error {}

const timeColumn = 84;

export function createScreen(options: {
  write: (text: string) => void;
  isTerminal: boolean;
  hasColor: boolean;
}): Screen & { readonly facts: number } {
  const { write, isTerminal, hasColor } = options;
  const paint = (code: number, text: string): string =>
    hasColor ? `\u001b[${code}m${text}\u001b[0m` : text;
  const print = (text: string): void => write(`${text}\n`);
  let steps = 0;
  let facts = 0;

  async function verify(fact: string, check: () => unknown): Promise<void> {
    const begun = performance.now();
    if (isTerminal) write(`   ${paint(2, `… ${fact}`)}`);
    const clear = isTerminal ? '\r\u001b[K' : '';
    try {
      const detail = await check();
      const behind = typeof detail === 'string' ? ` · ${detail}` : '';
      const took = formatTook(performance.now() - begun);
      const gap = ' '.repeat(Math.max(1, timeColumn - fact.length - behind.length - took.length));
      print(`${clear}   ${paint(32, '✓')} ${fact}${paint(36, behind)}${gap}${paint(2, took)}`);
      facts += 1;
    } catch (error) {
      print(`${clear}   ${paint(31, '✗')} ${fact}`);
      print(`     ${error instanceof Error ? error.message : String(error)}`);
      throw new NotVerified(fact, { cause: error });
    }
  }

  return {
    print,
    verify,
    step(title) {
      steps += 1;
      print(`\n${paint(1, `${steps}  ${title}`)}`);
    },
    note: (text) => print(`     ${paint(2, text)}`),
    get facts() {
      return facts;
    },
  };
}

function formatTook(milliseconds: number): string {
  return milliseconds < 1000
    ? `${Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(1)} s`;
}
