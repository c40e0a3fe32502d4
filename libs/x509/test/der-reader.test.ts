// The strict reader over bytes of anybody: what it takes, what it refuses, and that nothing but a KeylineError comes out of it.
import { isKeylineError } from '@keyline/kernel';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeText } from '../src/der-reader.ts';
import {
  decodePem,
  decodePemChain,
  der,
  DerReader,
  encodePem,
  encodePemInPieces,
  keyAlgorithmOf,
  parseCertificate,
  parseCrl,
  parseExtensions,
  parseName,
  pemSize,
  readSequence,
  readSubjectPublicKeyInfo,
} from '../src/index.ts';
import { sampleCertificate } from './samples.ts';

const bytes = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const reader = (hex: string): DerReader => new DerReader(bytes(hex));

describe('lengths (X.690 §8.1.3, §10.1)', () => {
  it.each([
    ['short', '04 03 010203', 3],
    ['long, one octet', `04 81 80 ${'00'.repeat(128)}`, 128],
    ['long, two octets', `04 82 0100 ${'00'.repeat(256)}`, 256],
  ])('are read: %s', (_form, hex, length) => {
    expect(reader(hex).readOctetString()).toHaveLength(length);
  });

  it.each([
    ['indefinite', '30 80 0000'],
    ['not minimal, one octet', '04 81 03 010203'],
    ['not minimal, leading zero', `04 82 0080 ${'00'.repeat(128)}`],
    ['past the end', '04 04 010203'],
    ['huge', '04 84 ffffffff 00'],
    ['five octets', '04 85 0000000001 00'],
    ['cut short', '04 82 01'],
    ['absent', '04'],
    ['nothing at all', ''],
    ['a tag above 30', '1f 81 01 00'],
  ])('are refused: %s', (_form, hex) => {
    expect(() => reader(hex).read()).toThrow(/^DER_MALFORMED/);
  });

  it('may not let an element reach past its container, where there are bytes beyond', () => {
    const inner = reader('30 03 04 02 01 02').enter();
    expect(() => inner.readOctetString()).toThrow(/^DER_MALFORMED.*container/);
  });
});

describe('one value', () => {
  it.each(['02 01 00', '02 01 7f', '02 02 0080', '02 01 ff', '02 02 ff7f'])(
    'INTEGER %s is minimal',
    (hex) => {
      expect(() => reader(hex).readInteger()).not.toThrow();
    },
  );
  it.each(['02 00', '02 02 0000', '02 02 007f', '02 02 ff80', '02 02 ffff'])(
    'INTEGER %s is not minimal (X.690 §8.3.2)',
    (hex) => {
      expect(() => reader(hex).readInteger()).toThrow(/^DER_MALFORMED/);
    },
  );
  it('a small INTEGER is not negative and fits 31 bits', () => {
    expect(reader('02 04 7fffffff').readSmallInteger()).toBe(0x7fffffff);
    for (const hex of ['02 01 ff', '02 05 0080000000']) {
      expect(() => reader(hex).readSmallInteger()).toThrow(/^DER_MALFORMED/);
    }
  });

  it('a BOOLEAN is 00 or FF (X.690 §11.1)', () => {
    expect(reader('01 01 ff').readBoolean()).toBe(true);
    expect(reader('01 01 00').readBoolean()).toBe(false);
    for (const hex of ['01 01 01', '01 00', '01 02 ffff']) {
      expect(() => reader(hex).readBoolean()).toThrow(/^DER_MALFORMED/);
    }
  });

  it('a BIT STRING has zero unused bits (X.690 §11.2.1)', () => {
    expect(reader('03 02 05 a0').readBits()).toMatchObject({ unusedBits: 5 });
    for (const hex of ['03 00', '03 01 01', '03 02 08 00', '03 02 05 a1']) {
      expect(() => reader(hex).readBits()).toThrow(/^DER_MALFORMED/);
    }
    expect(() => reader('03 02 05 a0').readBitString()).toThrow(/^DER_MALFORMED/);
  });

  it('a NULL is empty', () => {
    reader('05 00').readNull();
    expect(() => reader('05 01 00').readNull()).toThrow(/^DER_MALFORMED/);
  });

  it.each([
    ['06 03 550403', '2.5.4.3'],
    ['06 09 608648016503040313', '2.16.840.1.101.3.4.3.19'],
    ['06 01 27', '0.39'],
    ['06 01 4f', '1.39'],
    ['06 02 8837', '2.999'],
  ])('OBJECT IDENTIFIER %s is %s, and is written so', (hex, text) => {
    expect(reader(hex).readOid()).toBe(text);
    expect(Buffer.from(der.oid(text)).equals(bytes(hex))).toBe(true);
  });
  it.each(['06 00', '06 02 5580', '06 03 558003', '06 01 80', `06 41 ${'01'.repeat(65)}`])(
    'OBJECT IDENTIFIER %s is malformed',
    (hex) => {
      expect(() => reader(hex).readOid()).toThrow(/^DER_MALFORMED/);
    },
  );

  it('a number comes back from its bytes, whatever its size and sign', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }), (value) => {
        const content = new DerReader(der.integer(value)).readInteger();
        const read = BigInt.asIntN(
          content.length * 8,
          BigInt(`0x${Buffer.from(content).toString('hex')}`),
        );
        expect(read).toBe(value);
      }),
    );
  });

  it('nesting ends at a bounded depth', () => {
    let deep = der.nullValue();
    for (let n = 0; n < 200; n++) deep = der.sequence(deep);
    const walk = (at: DerReader): void => walk(at.enter());
    expect(() => walk(new DerReader(deep))).toThrow(/^DER_MALFORMED.*nested/);
  });

  it('nothing may follow where one value belongs', () => {
    expect(() => readSequence(bytes('30 00 00'))).toThrow(/^DER_MALFORMED.*trailing/);
  });
});

describe('times (RFC 5280 §4.1.2.5)', () => {
  const timeOf = (tag: string, text: string): number =>
    new DerReader(
      Buffer.concat([Buffer.from(tag, 'hex'), Buffer.from([text.length]), Buffer.from(text)]),
    ).readTime();

  it.each([
    ['17', '260601120000Z', Date.UTC(2026, 5, 1, 12)],
    ['17', '491231235959Z', Date.UTC(2049, 11, 31, 23, 59, 59)],
    ['17', '500101000000Z', Date.UTC(1950, 0, 1)],
    ['18', '20500101000000Z', Date.UTC(2050, 0, 1)],
    ['18', '99991231235959Z', Date.UTC(9999, 11, 31, 23, 59, 59)],
  ])('%s %s is read', (tag, text, instant) => {
    expect(timeOf(tag, text)).toBe(instant);
  });

  it.each([
    ['17', '2606011200Z'],
    ['17', '260601120000+0000'],
    ['17', '260601120060Z'],
    ['17', '260231120000Z'],
    ['17', '260601240000Z'],
    ['18', '20500101000000.5Z'],
    ['18', '20500101000000'],
    ['04', '260601120000Z'],
  ])('%s %s is refused', (tag, text) => {
    expect(() => timeOf(tag, text)).toThrow(/^DER_MALFORMED/);
  });

  it('come back from what is written, in the form their year wants', () => {
    const seconds = fc.integer({
      min: Date.UTC(1950, 0, 1) / 1000,
      max: Date.UTC(9999, 11, 31) / 1000,
    });
    fc.assert(
      fc.property(seconds, (at) => {
        const written = der.time(at * 1000);
        expect(new DerReader(written).readTime()).toBe(at * 1000);
        expect(written[0]).toBe(new Date(at * 1000).getUTCFullYear() < 2050 ? 0x17 : 0x18);
      }),
    );
  });
});

describe('text', () => {
  it.each([
    [0x0c, 'c3a4', 'ä'],
    [0x12, '3420', '4 '],
    [0x13, '4142', 'AB'],
    [0x13, '26402a5f', '&@*_'],
    [0x14, 'e4', 'ä'],
    [0x16, '4142', 'AB'],
    [0x1a, '41', 'A'],
    [0x1c, '000000e40001f355', 'ä🍕'],
    [0x1e, '00e4d83cdf55', 'ä🍕'],
    [0x04, '41', undefined],
  ])('of tag 0x%s', (tag, hex, text) => {
    expect(decodeText(tag, bytes(hex))).toBe(text);
  });
  it.each([
    ['UTF8String', 0x0c, 'c3'],
    ['UTF8String with a surrogate', 0x0c, 'eda080'],
    ['BMPString', 0x1e, '00'],
    ['UniversalString', 0x1c, '000041'],
    ['UniversalString of Unicode', 0x1c, '00110000'],
  ])('that is no %s is refused', (_type, tag, hex) => {
    expect(() => decodeText(tag, bytes(hex))).toThrow(/^DER_MALFORMED/);
  });
});

it('reads the public key of a certificate without the rest of it', async () => {
  const { der, spkiDer } = parseCertificate(await sampleCertificate());
  expect(readSubjectPublicKeyInfo(der)).toEqual(spkiDer);
  expect(() => readSubjectPublicKeyInfo(der.subarray(0, der.length - 1))).toThrow(/DER/);
});

describe('bytes of anybody', () => {
  const parsers: Record<string, (input: Uint8Array) => unknown> = {
    certificate: parseCertificate,
    CRL: parseCrl,
    'public key': keyAlgorithmOf,
    'public key of a certificate': readSubjectPublicKeyInfo,
    name: (input) => parseName(readSequence(input)),
    extensions: (input) => parseExtensions(readSequence(input)),
    'every reader': (input) => {
      const read = new DerReader(input);
      while (!read.isAtEnd()) readAnything(read);
    },
  };
  const onlyKeylineErrors = (parse: (input: Uint8Array) => unknown, input: Uint8Array): void => {
    try {
      parse(input);
    } catch (error) {
      expect(isKeylineError(error), String(error)).toBe(true);
    }
  };

  function readAnything(read: DerReader): void {
    const tag = read.peekTag();
    if (tag === 0x01) read.readBoolean();
    else if (tag === 0x02) read.readInteger();
    else if (tag === 0x03) read.readBits();
    else if (tag === 0x05) read.readNull();
    else if (tag === 0x06) read.readOid();
    else if (tag === 0x17 || tag === 0x18) read.readTime();
    else if (tag !== undefined && (tag & 0x20) !== 0) {
      const inner = read.enter(tag);
      while (!inner.isAtEnd()) readAnything(inner);
    } else {
      const value = read.read();
      decodeText(value.tag, read.content(value));
    }
  }

  it.each(Object.entries(parsers))('as %s give a value or a KeylineError', (_what, parse) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (input) => onlyKeylineErrors(parse, input)),
      { numRuns: 300 },
    );
  });

  it.each(Object.entries(parsers))(
    'made of a good certificate by changing some, as %s, give a value or a KeylineError',
    async (_what, parse) => {
      const good = await sampleCertificate();
      const change = fc.record({
        at: fc.nat({ max: good.length - 1 }),
        to: fc.integer({ min: 0, max: 255 }),
        cut: fc.constantFrom(0, 0, 0, 1, 2, 40),
      });
      fc.assert(
        fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
          let input = Uint8Array.from(good);
          for (const { at, to, cut } of changes) {
            if (at < input.length) input[at] = to;
            if (cut > 0) input = Uint8Array.from([...input.slice(0, at), ...input.slice(at + cut)]);
          }
          onlyKeylineErrors(parse, input);
        }),
        { numRuns: 300 },
      );
    },
  );
});

describe('PEM (RFC 7468)', () => {
  it('comes back from its armour, whatever the bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 300 }), (content) => {
        const pem = encodePem('X509 CRL', content);
        for (const line of pem.split('\n')) expect(line.length).toBeLessThanOrEqual(64);
        expect(Buffer.from(decodePem(pem, 'X509 CRL')).equals(content)).toBe(true);
        const mangled = `\n ${pem.replaceAll('\n', '\r\n')}\t\n`;
        expect(Buffer.from(decodePem(mangled, ['A', 'X509 CRL'])).equals(content)).toBe(true);
      }),
    );
  });

  it('is written in pieces as it is at once, and of the size foretold', () => {
    const content = fc.array(fc.uint8Array({ maxLength: 200 }), { maxLength: 6 });
    fc.assert(
      fc.property(content, (pieces) => {
        const whole = Buffer.concat(pieces);
        const lines = whole.toString('base64').match(/.{1,64}/g) ?? [];
        const expected = ['-----BEGIN A B-----', ...lines, '-----END A B-----', ''].join('\n');
        expect([...encodePemInPieces('A B', pieces)].join('')).toBe(expected);
        expect(encodePem('A B', whole)).toBe(expected);
        expect(pemSize('A B', whole.length)).toBe(expected.length);
      }),
    );
    const large = [Buffer.alloc(1_000_001, 7), Buffer.alloc(17, 8), Buffer.alloc(400_000, 9)];
    const texts = [...encodePemInPieces('X', large)];
    expect(Math.max(...texts.map(({ length }) => length))).toBeLessThan(300_000);
    expect(Buffer.from(decodePem(texts.join(''), 'X')).equals(Buffer.concat(large))).toBe(true);
    expect(texts.join('').length).toBe(pemSize('X', 1_400_018));
  });

  const one = encodePem('CERTIFICATE', bytes('3000'));
  it.each([
    ['two blocks', one + one],
    ['another label', encodePem('PRIVATE KEY', bytes('3000'))],
    ['no end', one.replace(/-----END.*/s, '')],
    ['another end', one.replace('END CERTIFICATE', 'END CERTIFICATES')],
    ['no base64', one.replace('MAA=', 'M!A=')],
    ['base64 cut short', one.replace('MAA=', 'MAA')],
    ['nothing inside', one.replace('MAA=\n', '')],
    ['nothing', ''],
    ['more than 4 MiB', one.padEnd(4 * 1024 * 1024 + 1)],
  ])('is refused with %s', (_what, text) => {
    expect(() => decodePem(text, 'CERTIFICATE')).toThrow(/^DER_MALFORMED/);
  });

  it.each([`hello\n${one}`, `${one}hello`, `\ufeff${one}\0`, `${one}\u001a`])(
    'comes back from among other text (§2): %j',
    (text) => {
      expect(Buffer.from(decodePem(text, 'CERTIFICATE')).toString('hex')).toBe('3000');
    },
  );

  it('gives a chain in order, with what openssl writes between', () => {
    const two = encodePem('CERTIFICATE', bytes('310 0'.replace(' ', '')));
    const chain = decodePemChain(`subject=CN = a\n${one}\nissuer=CN = b\n${two}`);
    expect(chain.map((block) => block[0])).toEqual([0x30, 0x31]);
    expect(() => decodePemChain('')).toThrow(/^DER_MALFORMED/);
    expect(() => decodePemChain(one + encodePem('PRIVATE KEY', bytes('3000')))).toThrow(
      /^DER_MALFORMED/,
    );
  });

  it('gives a block or a KeylineError for any text', () => {
    const piece = fc.constantFrom(
      '-----BEGIN ',
      '-----END ',
      'CERTIFICATE',
      '-----',
      '\n',
      'MAA=',
      ' ',
      'x',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 14 }), (pieces) => {
        const text = pieces.join('');
        for (const read of [() => decodePem(text, 'CERTIFICATE'), () => decodePemChain(text)]) {
          try {
            read();
          } catch (error) {
            expect(isKeylineError(error)).toBe(true);
          }
        }
      }),
      { numRuns: 500 },
    );
  });
});
