// What a command waits for, in one line: rewritten in place on a terminal, elsewhere said again only when it changes.
import { escapeUnprintable } from '@keyline/kernel';
import type { Terminal } from '../context.ts';

export interface WaitingLine {
  show(text: string): void;
  /** Takes the line off the terminal, so that what follows begins at the left. */
  clear(): void;
}

/** Beyond this a terminal of 80 columns would wrap the line, and a wrapped line is not rewritten. */
const widest = 79;

export function createWaitingLine(terminal: Terminal): WaitingLine {
  let said = '';
  return {
    show(text) {
      if (text === said) return;
      said = text;
      if (!terminal.interactive) {
        terminal.err(`${text}\n`);
        return;
      }
      // Texts of brokers are in it, and `draw` escapes nothing.
      const line = escapeUnprintable(text).replaceAll('\n', ' ');
      const shown = line.length > widest ? `${line.slice(0, widest - 1)}…` : line;
      terminal.draw(`\r\u001b[K${shown}`);
    },
    clear() {
      if (said !== '' && terminal.interactive) terminal.draw('\r\u001b[K');
      said = '';
    },
  };
}
