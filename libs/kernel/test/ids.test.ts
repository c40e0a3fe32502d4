import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createId, isDeviceId, parseDeviceId, parseSerialHex } from '../src/index.ts';

const characters = [
  'a',
  'Z',
  '9',
  '.',
  '_',
  ':',
  '-',
  '/',
  '+',
  '#',
  '$',
  '@',
  ' ',
  '\n',
  '\0',
  'ß',
  '\u202e',
  '💥',
];

describe('a device id', () => {
  it.each(['a', 'A1', '0', 'pump-7', 'urn:dev:mac:0024befffe804ff1', 'x_y.z', 'a'.repeat(64)])(
    'may be %s',
    (text) => {
      expect(parseDeviceId(text)).toBe(text);
      expect(isDeviceId(text)).toBe(true);
    },
  );

  it.each([
    '',
    '-a',
    '.a',
    '_a',
    'a b',
    'a/b',
    'a+',
    'a#',
    '$a',
    'a@b',
    'ä',
    'a\n',
    'a\0',
    '%u',
    'a'.repeat(65),
  ])('may not be %j: DEVICE_ID_INVALID', (text) => {
    expect(() => parseDeviceId(text)).toThrow(/^DEVICE_ID_INVALID/);
    expect(isDeviceId(text)).toBe(false);
  });

  it('is always one MQTT topic level, a common name (at most 64 characters) and no name of a service', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 66, unit: fc.constantFrom(...characters) }), (text) => {
        if (!isDeviceId(text)) return;
        expect(text).not.toMatch(/[/+#$@\s\p{C}]/u);
        expect(text.length).toBeLessThanOrEqual(64);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('a serial', () => {
  it.each([
    ['0A:1B:2C', '0a1b2c'],
    ['4F', '4f'],
    ['abc', '0abc'],
    ['7'.repeat(40), '7'.repeat(40)],
  ])('%s is read as %s', (text, hex) => {
    expect(parseSerialHex(text)).toBe(hex);
  });

  it.each(['', ':', '0x12', 'xyz', '-1', ' 1', '1'.repeat(41)])(
    'is not %j: REQUEST_INVALID',
    (text) => {
      expect(() => parseSerialHex(text)).toThrow(/^REQUEST_INVALID/);
    },
  );

  it('is the same however openssl or a browser prints its bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 20 }), (bytes) => {
        const hex = Buffer.from(bytes).toString('hex');
        expect(parseSerialHex(hex.toUpperCase())).toBe(hex);
        expect(parseSerialHex(hex.match(/../g)!.join(':'))).toBe(hex);
      }),
    );
  });
});

it('makes ids that name their kind and do not repeat', () => {
  const ids = Array.from({ length: 1000 }, () => createId('tok'));
  for (const id of ids) expect(id).toMatch(/^tok_[0-9a-f]{24}$/);
  expect(new Set(ids).size).toBe(ids.length);
});
