// A progress bar on stderr, only on a terminal.
import type { Terminal } from '../context.ts';

export interface ProgressBar {
  advanceTo(done: number): void;
  /** Takes the bar off the screen. */
  clear(): void;
}

const width = 30;

export function createProgressBar(terminal: Terminal, total: number): ProgressBar {
  let drawn = '';
  const draw = (text: string): void => {
    if (!terminal.interactive || text === drawn) return;
    terminal.draw(`\r${text.padEnd(drawn.length)}`);
    drawn = text;
  };
  return {
    advanceTo(done) {
      const share = total === 0 ? 1 : done / total;
      const filled = Math.floor(share * width);
      const bar = '█'.repeat(filled) + '░'.repeat(width - filled);
      draw(
        `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${String(done)} of ${String(total)}`,
      );
    },
    clear() {
      if (drawn !== '') terminal.draw(`\r${' '.repeat(drawn.length)}\r`);
      drawn = '';
    },
  };
}
