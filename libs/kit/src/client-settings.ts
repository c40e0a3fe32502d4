// One row for each client that a kit has settings for.
import type { ClientFacts } from './kit-facts.ts';

export interface ClientSettings {
  /** As people call it. */
  readonly name: string;
  /** What to type in the folder of the kit, one command a line. */
  readonly run: (facts: ClientFacts) => readonly string[];
  /** Below settings/, with what is in each. */
  readonly files: (facts: ClientFacts) => Readonly<Record<string, string>>;
}

/**
 * A text as JavaScript, Python, C, Java, TOML and JSON all read it: topics and names have no control characters, and the rest of JSON's
 * escapes they share. A question mark can't begin a trigraph of C.
 */
export function quote(text: string): string {
  return JSON.stringify(text);
}

export function quoteList(texts: readonly string[]): string {
  return texts.map(quote).join(', ');
}
