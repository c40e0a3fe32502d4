import { isKeylineError } from '@keyline/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { der, encodeIpAddress, encodeName, parseName, readSequence } from '../src/index.ts';
import { decodeIpAddress } from '../src/ip-address.ts';
import type { NameAttribute } from '../src/name.ts';

const read = (name: Uint8Array): readonly string[] => parseName(readSequence(name)).commonNames;
const cn = (value: string): Uint8Array => encodeName([{ attribute: 'CN', value }]);

describe('a name', () => {
  it('is one attribute per RDN, in the order given, UTF8String but where PrintableString is the type', () => {
    const name = encodeName([
      { attribute: 'C', value: 'DE' },
      { attribute: 'O', value: 'Müller' },
      { attribute: 'serialNumber', value: '4711' },
    ]);
    const hex = Buffer.from(name).toString('hex');
    expect(hex).toBe(
      [
        '3034',
        '310b3009' + '0603550406' + '13024445',
        '3110300e' + '060355040a' + '0c074dc3bc6c6c6572',
        '310d300b' + '0603550405' + '130434373131',
      ]
        .join('')
        .replace('3034', `30${(hex.length / 2 - 2).toString(16)}`),
    );
    expect(parseName(readSequence(name))).toEqual({ commonNames: [], isEmpty: false });
    expect(parseName(readSequence(encodeName([])))).toEqual({ commonNames: [], isEmpty: true });
  });

  it.each<[NameAttribute, string]>([
    ['CN', ''],
    ['CN', 'x'.repeat(65)],
    ['CN', '💥'.repeat(65)],
    ['CN', 'a\nb'],
    ['CN', 'a\0b'],
    ['CN', '\u0085'],
    ['CN', '\ud800'],
    ['O', 'x'.repeat(65)],
    ['OU', '\u007f'],
    ['C', 'D'],
    ['C', 'DEU'],
    ['C', 'Ü2'],
    ['serialNumber', 'a@b'],
    ['serialNumber', 'ä'],
  ])('has no %s like %j: PROFILE_VIOLATION (RFC 5280 Appendix A.1)', (attribute, value) => {
    expect(() => encodeName([{ attribute, value }])).toThrow(/^PROFILE_VIOLATION/);
  });

  it('counts characters, not octets or halves of pairs', () => {
    for (const value of ['x'.repeat(64), 'ä'.repeat(64), '💥'.repeat(64)]) {
      expect(read(cn(value))).toEqual([value]);
    }
  });

  it('comes back from its bytes, or is refused with PROFILE_VIOLATION', () => {
    const unit = fc.constantFrom(
      'a',
      'Z',
      ' ',
      ',',
      '=',
      '+',
      '"',
      'ß',
      '漢',
      '💥',
      '\n',
      '\0',
      '\ud83d',
    );
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 70 }), (value) => {
        try {
          expect(read(cn(value))).toEqual([value]);
        } catch (error) {
          expect(isKeylineError(error) && error.code).toBe('PROFILE_VIOLATION');
        }
      }),
    );
  });

  it('may have several CNs, also in one RDN, and none that is no text', () => {
    const attribute = (value: Uint8Array): Uint8Array => der.sequence(der.oid('2.5.4.3'), value);
    const set = der.element(
      0x31,
      attribute(der.utf8String('a')),
      attribute(der.printableString('b')),
    );
    expect(read(der.sequence(set))).toEqual(['a', 'b']);
    const number = der.element(0x31, attribute(der.integer(1)));
    expect(() => read(der.sequence(number))).toThrow(/^DER_MALFORMED/);
  });
});

describe('an IP address', () => {
  it.each([
    ['192.0.2.7', 'c0000207'],
    ['::', '00'.repeat(16)],
    ['::1', `${'00'.repeat(15)}01`],
    ['2001:db8::1', '20010db8000000000000000000000001'],
    ['::ffff:192.0.2.1', '00000000000000000000ffffc0000201'],
  ])('%s is written as %s', (text, hex) => {
    expect(Buffer.from(encodeIpAddress(text)).toString('hex')).toBe(hex);
  });

  it.each([
    '',
    '1.2.3',
    '1.2.3.4.5',
    '256.1.1.1',
    '01.2.3.4',
    '1.2.3.4 ',
    ':',
    ':::',
    '1::2::3',
    '1:2:3:4:5:6:7',
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8:9',
    'g::',
    '::1%eth0',
    '12345::',
    '1.2.3.4::',
  ])('%j is none: REQUEST_INVALID', (text) => {
    expect(() => encodeIpAddress(text)).toThrow(/^REQUEST_INVALID/);
  });

  it('comes back in the text of RFC 5952, and as the same octets', () => {
    const octet = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 255 }));
    const address = fc
      .constantFrom(4, 16)
      .chain((length) => fc.array(octet, { minLength: length, maxLength: length }));
    fc.assert(
      fc.property(address, (octets) => {
        const text = decodeIpAddress(Uint8Array.from(octets))!;
        expect([...encodeIpAddress(text)]).toEqual(octets);
        if (octets.length === 16)
          expect(text).toBe(new URL(`http://[${text}]`).hostname.slice(1, -1));
      }),
    );
    expect(decodeIpAddress(new Uint8Array(5))).toBeUndefined();
  });
});
