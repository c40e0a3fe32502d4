import fc from 'fast-check';
import { expect, it } from 'vitest';
import { matchesGlob } from '../src/glob.ts';

it.each([
  ['*', '', true],
  ['', '', true],
  ['', 'a', false],
  ['line1-*', 'line1-7', true],
  ['line1-*', 'line1-', true],
  ['line1-*', 'line10-7', false],
  ['?', 'a', true],
  ['?', '', false],
  ['a*b*c', 'a-b-b-c', true],
  ['a*b*c', 'a-c-b', false],
  ['a.c', 'abc', false],
  ['A', 'a', false],
  ['[a]', 'a', false],
])('%j against %j: %s', (pattern, text, expected) => {
  expect(matchesGlob(pattern, text)).toBe(expected);
});

it('matches what the regular expression of the same meaning matches', () => {
  // Few letters, so that matches are common; and what would mean something to a regular expression.
  const letters = fc.constantFrom('a', 'b', '-', '.', '+', '(', '\\', '^', '$');
  const pattern = fc.string({ unit: fc.oneof(letters, fc.constantFrom('*', '?')), maxLength: 9 });
  const text = fc.string({ unit: letters, maxLength: 12 });
  let matches = 0;
  fc.assert(
    fc.property(pattern, text, (glob, one) => {
      const expression = glob
        .replace(/[.+()\\^$|[\]{}-]/g, '\\$&')
        .replaceAll('*', '.*')
        .replaceAll('?', '.');
      const expected = new RegExp(`^${expression}$`, 's').test(one);
      if (expected) matches++;
      expect(matchesGlob(glob, one)).toBe(expected);
    }),
    { numRuns: 3000 },
  );
  expect(matches).toBeGreaterThan(20);
});

it('takes no time for a pattern made to take long', () => {
  // By trying every way it would take longer than the world has lasted.
  expect(matchesGlob(`${'*a'.repeat(100)}*b`, 'a'.repeat(2000))).toBe(false);
});
