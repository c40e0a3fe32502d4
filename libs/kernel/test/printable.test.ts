// What others wrote appears on a terminal and does nothing there.
import { describe, expect, it } from 'vitest';
import fc from 'fast-check';
import { escapeLine, escapeUnprintable } from '../src/index.ts';

describe('text of others', () => {
  it.each([
    ['an escape sequence', 'a\u001b[2Jb', String.raw`a\u001b[2Jb`],
    ['the same as one C1 character', 'a\u009b2Jb', String.raw`a\u009b2Jb`],
    ['a carriage return, which writes over the line', 'bad\rgood', String.raw`bad\u000dgood`],
    ['a backspace and a delete', 'a\b\u007f', String.raw`a\u0008\u007f`],
    ['an override of direction', 'pump\u202egpj', String.raw`pump\u202egpj`],
    ['an isolate of direction', '\u2066x\u2069', String.raw`\u2066x\u2069`],
    ['separators of lines and paragraphs', 'a\u2028b\u2029', String.raw`a\u2028b\u2029`],
  ])('with %s is shown escaped', (_, text, shown) => {
    expect(escapeUnprintable(text)).toBe(shown);
  });

  it('keeps its letters, line feeds and tabs; on one line also those are escaped', () => {
    const text = 'Pumpe 7 – Zürich 東京 🚰\n\tok';
    expect(escapeUnprintable(text)).toBe(text);
    expect(escapeLine(text)).toBe(String.raw`Pumpe 7 – Zürich 東京 🚰\u000a\u0009ok`);
  });

  it('as JSON stays JSON of the same value', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(JSON.parse(escapeUnprintable(JSON.stringify({ text }, null, 2)))).toEqual({ text });
      }),
    );
  });
});
