// CSRs as devices really send them: odd wherever nothing is taken over, and issued nevertheless.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isKeylineError } from '@keyline/kernel';
import { algorithms, der, encodePem, oids } from '@keyline/x509';
import { describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { parseCsr, readRequestedExtensions } from '../src/index.ts';
import { createTestSigner, Workbench } from './hierarchy.ts';
import { assembleCsr, attribute } from './made-csr.ts';

const fixture = (name: string): string =>
  readFileSync(new URL(`fixtures/csr/${name}.csr`, import.meta.url), 'latin1');

function refusalOf(input: string | Uint8Array): { code: string; detail: string } | undefined {
  try {
    parseCsr(input);
    return undefined;
  } catch (error) {
    if (!isKeylineError(error)) throw error;
    return { code: error.code, detail: error.detail };
  }
}

describe('a CSR from the field is taken', () => {
  it.each([
    ['ecdsa-with-null-mbedtls-2.28', 'mbed-1', 'NULL beside ECDSA (against RFC 5758 §3.2)'],
    ['printable-string-ampersand-in-o', 'ps-o-amp', 'characters that O may not have'],
    ['no-attributes', 'noattrs-1', 'no attributes (against RFC 2986 §4.1)'],
    ['openssl-req-text', 'txt-1', 'text before the PEM block (RFC 7468 §2)'],
    ['san-empty', 'san-empty', 'a subjectAltName of no names'],
    ['er-valset-empty', 'er-valset-empty', 'an attribute of no values'],
    ['rsa-pss', 'rsa-pss', 'a signature by RSASSA-PSS (RFC 4055 §3)'],
  ])('%s, for %s: %s', (name, commonName) => {
    expect(parseCsr(fixture(name)).commonName).toBe(commonName);
  });
});

describe('text around the PEM block is skipped (RFC 7468 §2)', () => {
  const pem = encodePem('CERTIFICATE REQUEST', assembleCsr());
  const { spkiSha256 } = parseCsr(pem);
  it.each([
    ['a byte order mark', `\ufeff${pem}`],
    ['its three octets', Buffer.from(`\ufeff${pem}`)],
    ['a NUL at the end, as C strings have', `${pem}\0`],
    ['a Ctrl-Z at the end', `${pem}\u001a`],
    ['text after it', `${pem}\nsent by unit 4711\n`],
    ['text before it that begins as DER does', Buffer.from(`0 errors\n${pem}`)],
    ['UTF-16, as PowerShell redirects', Buffer.from(`\ufeff${pem}`, 'utf16le')],
    ['no newline at the end', pem.trimEnd()],
    ['CRLF', pem.replaceAll('\n', '\r\n')],
    ['lines of 1, 2, 3 … characters', pem.replace(/(?<=-\n)[^-]+(?=-)/, oddLines)],
    [
      'one long line',
      pem.replace(/(?<=-\n)[^-]+(?=-)/, (body) => `${body.replaceAll('\n', '')}\n`),
    ],
    ['spaces and tabs', pem.replaceAll('\n', ' \t\n')],
    ['the older label', pem.replaceAll('CERTIFICATE', 'NEW CERTIFICATE')],
  ])('%s', (_title, input) => {
    expect(parseCsr(input).spkiSha256).toBe(spkiSha256);
  });

  function oddLines(body: string): string {
    const characters = body.replaceAll('\n', '');
    const lines: string[] = [];
    for (let at = 0, length = 1; at < characters.length; at += length++) {
      lines.push(characters.slice(at, at + length));
    }
    return `${lines.join('\n')}\n`;
  }

  it('but two blocks are refused, with their labels', () => {
    const key = encodePem('EC PRIVATE KEY', Uint8Array.of(0x30, 0));
    for (const [text, labels] of [
      [pem + pem, 'found 2: "CERTIFICATE REQUEST", "CERTIFICATE REQUEST"'],
      [key + pem, 'found 2: "EC PRIVATE KEY", "CERTIFICATE REQUEST"'],
    ] as const) {
      expect(refusalOf(text)).toMatchObject({
        code: 'CSR_MALFORMED',
        detail: expect.stringContaining(labels),
      });
    }
  });
});

describe('a subject is not judged but for its CN', () => {
  const rdn = (type: string, ...values: Uint8Array[]): Uint8Array =>
    der.element(der.tags.set, ...values.map((value) => der.sequence(der.oid(type), value)));
  const commonName = rdn(oids.commonName, der.utf8String('pump-1'));
  const text = (tag: number, octets: string): Uint8Array =>
    der.element(tag, Buffer.from(octets, 'latin1'));

  it.each<[string, Uint8Array]>([
    ['an e-mail address beyond ASCII', rdn(oids.emailAddress, text(der.tags.ia5String, 'é@x'))],
    [
      'a PrintableString with _ * @ and NUL',
      rdn('2.5.4.10', text(der.tags.printableString, '_*@\0')),
    ],
    ['UTF-8 that is none', rdn('2.5.4.10', text(der.tags.utf8String, '\xff'))],
    ['TeletexString', rdn('2.5.4.10', text(der.tags.teletexString, 'Müller'))],
    ['BMPString of odd length', rdn('2.5.4.10', text(der.tags.bmpString, 'a'))],
    ['UniversalString', rdn('2.5.4.10', text(der.tags.universalString, '\0\0\0a'))],
    ['a number', rdn('2.5.4.5', der.integer(4711))],
    ['an empty value', rdn('2.5.4.11', der.utf8String(''))],
    [
      'an unknown attribute with a structure',
      rdn('1.3.6.1.4.1.99999.1', der.sequence(der.nullValue())),
    ],
    ['a country of three letters', rdn('2.5.4.6', text(der.tags.printableString, 'DEU'))],
    ['an RDN of nothing', der.element(der.tags.set)],
  ])('%s', (_title, part) => {
    for (const subject of [der.sequence(part, commonName), der.sequence(commonName, part)]) {
      expect(parseCsr(assembleCsr({ subject })).commonName).toBe('pump-1');
    }
  });

  it.each<[string, Uint8Array, string | undefined]>([
    ['PrintableString with an underscore', text(der.tags.printableString, 'pump_1'), 'pump_1'],
    ['IA5String', text(der.tags.ia5String, 'pump-1'), 'pump-1'],
    ['TeletexString', text(der.tags.teletexString, 'pump-1'), 'pump-1'],
    ['BMPString', text(der.tags.bmpString, '\0p\x001'), 'p1'],
    ['UniversalString', text(der.tags.universalString, '\0\0\0p\0\0\x001'), 'p1'],
    ['NumericString', text(der.tags.numericString, '4711'), '4711'],
    ['nothing, which is no CN', der.utf8String(''), undefined],
  ])('its CN is read as %s', (_title, value, expected) => {
    const subject = der.sequence(rdn(oids.commonName, value));
    expect(parseCsr(assembleCsr({ subject })).commonName).toBe(expected);
  });

  it.each<[string, Uint8Array]>([
    ['UTF-8 that is none', text(der.tags.utf8String, '\xff')],
    ['a number', der.integer(1)],
    ['bits', der.bitString(Uint8Array.of(1))],
  ])('its CN is refused as %s', (_title, value) => {
    const subject = der.sequence(rdn(oids.commonName, value));
    expect(refusalOf(assembleCsr({ subject }))?.code).toBe('CSR_MALFORMED');
  });
});

describe('attributes are not judged, since nothing is taken from them', () => {
  const extensions = (...parts: Uint8Array[]): Uint8Array =>
    attribute(oids.extensionRequest, der.sequence(...parts));
  const extension = (oid: string, valueDer: Uint8Array): Uint8Array =>
    der.sequence(der.oid(oid), der.boolean(true), der.octetString(valueDer));

  it.each<[string, Uint8Array[]]>([
    ['a challenge password', [attribute(oids.challengePassword, der.utf8String('hunter2'))]],
    ['an unstructured name (PKCS#9)', [attribute('1.2.840.113549.1.9.2', der.utf8String('x'))]],
    [
      "Microsoft's enrollment attributes",
      [
        attribute(
          '1.3.6.1.4.1.311.13.2.3',
          der.element(der.tags.ia5String, Buffer.from('10.0.19045.2')),
        ),
        attribute('1.3.6.1.4.1.311.21.20', der.sequence(der.integer(5), der.utf8String('certreq'))),
        attribute(
          '1.3.6.1.4.1.311.2.1.14',
          der.sequence(extension('1.3.6.1.4.1.311.20.2', der.nullValue())),
        ),
      ],
    ],
    ['an unknown critical extension', [extensions(extension('1.2.3.4', der.nullValue()))]],
    [
      'an extension twice',
      [extensions(extension('1.2.3', der.nullValue()), extension('1.2.3', der.nullValue()))],
    ],
    [
      'an extension request that asks to be an authority',
      [extensions(extension(oids.basicConstraints, der.sequence(der.boolean(true))))],
    ],
    ['two extension requests', [extensions(), extensions()]],
    [
      'an attribute twice',
      [attribute('1.2.3', der.nullValue()), attribute('1.2.3', der.nullValue())],
    ],
    ['lengths that are no DER', [Uint8Array.of(0x30, 0x80, 0x06, 0x81, 0x01, 0x2a, 0, 0)]],
    ['noise', [Uint8Array.of(0xff, 0xff, 0xff)]],
  ])('%s', (_title, attributes) => {
    const csr = parseCsr(assembleCsr({ attributes: der.explicit(0, ...attributes) }));
    expect(csr.commonName).toBe('pump-1');
  });

  it('and who asks for the extensions is told that they can not be read', () => {
    const csr = parseCsr(assembleCsr({ attributes: der.explicit(0, Uint8Array.of(0xff)) }));
    expect(() => readRequestedExtensions(csr)).toThrow(/^CSR_MALFORMED/);
    expect(readRequestedExtensions(parseCsr(fixture('no-attributes')))).toEqual([]);
    expect(readRequestedExtensions(parseCsr(fixture('san-empty')))).toHaveLength(1);
  });

  it.each([1, 2])('a version of %d, as sample code writes it', (version) => {
    expect(parseCsr(assembleCsr({ version: der.integer(version) })).commonName).toBe('pump-1');
  });

  it.each(['ec-p256', 'ed25519', 'ml-dsa-44'] as const)(
    'NULL in the signature algorithm of %s',
    (name) => {
      const { oid } = algorithms[name].signature;
      const signer = createTestSigner(name);
      const signatureAlgorithm = der.sequence(der.oid(oid), der.nullValue());
      expect(parseCsr(assembleCsr({ signer, signatureAlgorithm })).algorithm).toBe(name);
    },
  );
});

describe('a key has one form, whatever the CSR writes', () => {
  it.each(['ec-p256', 'ec-p384'] as const)(
    '%s: a compressed point is uncompressed (RFC 5480 §2.2)',
    (name) => {
      const signer = createTestSigner(name);
      const { spkiAlgorithmDer, publicKeyBytes = 0 } = algorithms[name];
      const point = Buffer.from(signer.spkiDer.subarray(-publicKeyBytes));
      const x = point.subarray(1, (publicKeyBytes + 1) / 2);
      const compressed = Buffer.concat([Buffer.of(2 + (point.at(-1)! & 1)), x]);
      const csr = parseCsr(
        assembleCsr({
          signer,
          spki: der.sequence(spkiAlgorithmDer, der.bitString(compressed)),
          signatureAlgorithm: algorithms['ec-p256'].signature.identifierDer,
        }),
      );
      expect(Buffer.compare(csr.spkiDer, signer.spkiDer)).toBe(0);
    },
  );

  it('RSA without NULL gets it (RFC 3279 §2.3.1)', () => {
    const signer = createTestSigner('rsa-2048');
    const spki = Buffer.from(signer.spkiDer);
    const bits = spki.subarray(spki.indexOf('05000382', 'hex') + 2);
    const csr = parseCsr(
      assembleCsr({
        signer,
        spki: der.sequence(der.sequence(der.oid('1.2.840.113549.1.1.1')), bits),
        signatureAlgorithm: algorithms['rsa-2048'].signature.identifierDer,
      }),
    );
    expect(Buffer.compare(csr.spkiDer, signer.spkiDer)).toBe(0);
  });
});

describe('a key of a kind that is not issued is refused by its name', () => {
  const keys: [string, { publicKey: KeyObject }][] = [
    ['P-521', generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['secp256k1', generateKeyPairSync('ec', { namedCurve: 'secp256k1' })],
    [
      'the name of a curve',
      generateKeyPairSync('ec', { namedCurve: 'P-256', paramEncoding: 'explicit' }),
    ],
    ['Ed448', generateKeyPairSync('ed448')],
    ['X25519', generateKeyPairSync('x25519')],
    ['RSASSA-PSS', generateKeyPairSync('rsa-pss', { modulusLength: 2048 })],
  ];
  it.each(keys)('%s', (name, { publicKey }) => {
    const spki = publicKey.export({ format: 'der', type: 'spki' });
    expect(refusalOf(assembleCsr({ spki }))).toMatchObject({
      code: 'CSR_ALGORITHM_NOT_ALLOWED',
      detail: expect.stringContaining(name),
    });
  });

  it('RSA of 1,024 bits is CSR_KEY_WEAK, and so is a modulus without its sign octet', () => {
    const small = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
    const spki = small.export({ format: 'der', type: 'spki' });
    expect(refusalOf(assembleCsr({ spki }))).toMatchObject({
      code: 'CSR_KEY_WEAK',
      detail: expect.stringContaining('1024 bits'),
    });
    const negative = der.sequence(der.element(0x02, Buffer.alloc(256, 0xc1)), der.integer(65537));
    expect(
      refusalOf(
        assembleCsr({
          spki: der.sequence(algorithms['rsa-2048'].spkiAlgorithmDer, der.bitString(negative)),
        }),
      ),
    ).toMatchObject({ code: 'CSR_KEY_WEAK', detail: expect.stringContaining('negative') });
  });
});

describe.skipIf(!has('openssl'))('what OpenSSL writes', () => {
  const request = async (...parameters: string[]): Promise<string> => {
    const bench = await Workbench.create();
    const made = await bench.run(
      'openssl',
      ...['req', '-new', '-nodes', '-keyout', 'key.pem', '-subj', '/CN=pump-1'],
      ...parameters,
      ...['-out', 'csr.pem'],
    );
    expect(made.code, made.output).toBe(0);
    return readFileSync(bench.path('csr.pem'), 'latin1');
  };
  const pss = ['-newkey', 'rsa:2048', '-sigopt', 'rsa_padding_mode:pss'];
  it.each([
    ['PSS with SHA-256', [...pss, '-sha256']],
    ['PSS with SHA-384 and its salt', [...pss, '-sha384', '-sigopt', 'rsa_pss_saltlen:-1']],
    ['PSS with SHA-512 and the longest salt', [...pss, '-sha512', '-sigopt', 'rsa_pss_saltlen:-2']],
    ['P-384 with SHA-512', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-384', '-sha512']],
    ['a password, -text and the older label', ['-newkey', 'ed25519', '-text', '-newhdr']],
  ])('%s is taken', async (_title, parameters) => {
    expect(parseCsr(await request(...parameters)).commonName).toBe('pump-1');
  });
  it.each([
    ['PSS with SHA-1', [...pss, '-sha1']],
    ['PSS with two digests', [...pss, '-sha256', '-sigopt', 'rsa_mgf1_md:sha512']],
  ])('%s is refused by that name', async (_title, parameters) => {
    expect(refusalOf(await request(...parameters))).toMatchObject({
      code: 'CSR_ALGORITHM_NOT_ALLOWED',
      detail: expect.stringContaining('PSS'),
    });
  });
  it('PSS without parameters, which means SHA-1, is refused by that name (RFC 4055 §3.1)', () => {
    for (const parameters of [[], [der.sequence()]]) {
      const signatureAlgorithm = der.sequence(der.oid(oids.rsassaPss), ...parameters);
      const signer = createTestSigner('rsa-2048');
      expect(refusalOf(assembleCsr({ signer, signatureAlgorithm }))).toMatchObject({
        code: 'CSR_ALGORITHM_NOT_ALLOWED',
        detail: expect.stringContaining('PSS'),
      });
    }
  });
  it('PSS over something else is refused', async () => {
    const pem = await request(...pss, '-sha256');
    const other = await request(...pss, '-sha256');
    const bytes = (text: string): Buffer =>
      Buffer.from(text.replaceAll(/-----.*-----|\s/g, ''), 'base64');
    const forged = Buffer.concat([bytes(pem).subarray(0, -256), bytes(other).subarray(-256)]);
    expect(refusalOf(forged)?.code).toBe('CSR_SIGNATURE_INVALID');
  });
  it.each([
    [
      'EC with explicit parameters',
      ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-pkeyopt', 'ec_param_enc:explicit'],
    ],
    ['P-521', ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-521']],
    ['an RSA-PSS key', ['-newkey', 'rsa-pss', '-pkeyopt', 'rsa_keygen_bits:2048']],
  ])('%s is refused as no key of ours', async (_title, parameters) => {
    expect(refusalOf(await request(...parameters))?.code).toBe('CSR_ALGORITHM_NOT_ALLOWED');
  });
});
