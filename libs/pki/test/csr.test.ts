import { generateKeyPairSync } from 'node:crypto';
import { isKeylineError } from '@keyline/kernel';
import {
  algorithms,
  createCsr,
  der,
  encodeAlternativeNames,
  encodeExtension,
  encodeName,
  encodePem,
  keyAlgorithms,
  oids,
  parseAlternativeNames,
  type KeyAlgorithm,
} from '@keyline/x509';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { parseCsr, readRequestedExtensions } from '../src/index.ts';
import { createTestSigner, Workbench } from './hierarchy.ts';
import { assembleCsr, attribute, madeSigner as signer } from './made-csr.ts';

const sanExtension = encodeExtension({
  oid: oids.subjectAltName,
  critical: false,
  valueDer: encodeAlternativeNames([{ dns: 'a.example' }]),
});

function codeOf(input: string | Uint8Array, maxBytes?: number): string | undefined {
  try {
    parseCsr(input, { maxBytes });
    return undefined;
  } catch (error) {
    if (!isKeylineError(error)) throw error;
    return error.code;
  }
}

describe('parseCsr takes', () => {
  it.each(keyAlgorithms.filter((name) => name !== 'rsa-4096'))('a request by %s', async (name) => {
    const own = createTestSigner(name);
    const csr = parseCsr(
      await createCsr({
        signer: own,
        commonName: 'pump-1',
        dnsNames: ['a.example'],
        ipAddresses: ['10.0.0.1', '2001:db8::1'],
      }),
    );
    expect(csr).toMatchObject({ commonName: 'pump-1', algorithm: name });
    const [san] = readRequestedExtensions(csr);
    expect(parseAlternativeNames(san!.valueDer)).toMatchObject({
      dns: ['a.example'],
      ip: ['10.0.0.1', '2001:db8::1'],
    });
    expect(Buffer.compare(csr.spkiDer, own.spkiDer)).toBe(0);
  });

  it('PEM text, PEM bytes, the older label and CRLF', async () => {
    const csrDer = await createCsr({ signer, commonName: 'pump-1' });
    const pem = encodePem('CERTIFICATE REQUEST', csrDer);
    const { spkiSha256 } = parseCsr(csrDer);
    for (const input of [
      pem,
      Buffer.from(pem),
      pem.replaceAll('CERTIFICATE', 'NEW CERTIFICATE'),
      pem.replaceAll('\n', '\r\n'),
      `\n\n${pem}\n`,
    ]) {
      expect(parseCsr(input).spkiSha256).toBe(spkiSha256);
    }
  });

  it('an empty subject and attributes that it does not know', () => {
    const csr = parseCsr(
      assembleCsr({
        subject: der.sequence(),
        attributes: der.explicit(0, attribute(oids.challengePassword, der.utf8String('hunter2'))),
      }),
    );
    expect(csr.commonName).toBeUndefined();
  });

  it('RSA signature identifiers without NULL (RFC 4055 §5)', async () => {
    const rsa = createTestSigner('rsa-2048');
    const csr = await createCsr({ signer: rsa, commonName: 'x' });
    const marker = Buffer.from('300d06092a864886f70d01010b0500', 'hex');
    const at = Buffer.from(csr).lastIndexOf(marker);
    const without = Buffer.concat([
      csr.subarray(4, at),
      Buffer.from('300b06092a864886f70d01010b', 'hex'),
      csr.subarray(at + marker.length),
    ]);
    expect(parseCsr(der.sequence(without)).algorithm).toBe('rsa-2048');
  });
});

describe('parseCsr refuses', () => {
  const flip = (bytes: Uint8Array, fromEnd: number): Uint8Array => {
    const copy = Uint8Array.from(bytes);
    const at = copy.length - fromEnd;
    copy[at] = (copy[at] ?? 0) ^ 1;
    return copy;
  };
  const weakRsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).publicKey;
  const oddRsa = generateKeyPairSync('rsa', { modulusLength: 2056 }).publicKey;
  const lowExponent = generateKeyPairSync('rsa', { modulusLength: 2048, publicExponent: 3 });
  const p521 = generateKeyPairSync('ec', { namedCurve: 'P-521' }).publicKey;
  const spki = (key: typeof p521): Buffer => key.export({ format: 'der', type: 'spki' });
  const point = Buffer.from(signer.spkiDer.subarray(-65));
  const ecSpki = (bytes: Uint8Array): Uint8Array =>
    der.sequence(algorithms['ec-p256'].spkiAlgorithmDer, der.bitString(bytes));
  const compressed = Buffer.concat([Buffer.of(2 + (point[64]! & 1)), point.subarray(1, 33)]);
  const explicitCurve = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    paramEncoding: 'explicit',
  }).publicKey;
  const valid = assembleCsr();

  const refusals: [string, string | Uint8Array, string][] = [
    ['nothing', new Uint8Array(), 'CSR_MALFORMED'],
    ['text that is no PEM', 'hello', 'CSR_MALFORMED'],
    ['a certificate’s PEM label', encodePem('CERTIFICATE', valid), 'CSR_MALFORMED'],
    [
      'two requests in one text',
      encodePem('CERTIFICATE REQUEST', valid).repeat(2),
      'CSR_MALFORMED',
    ],
    [
      'a private key beside the request',
      encodePem('PRIVATE KEY', valid) + encodePem('CERTIFICATE REQUEST', valid),
      'CSR_MALFORMED',
    ],
    [
      'base64 with holes',
      encodePem('CERTIFICATE REQUEST', valid).replace('MI', 'M!'),
      'CSR_MALFORMED',
    ],
    ['trailing bytes', Buffer.concat([valid, Buffer.of(0)]), 'CSR_MALFORMED'],
    ['trailing bytes inside', assembleCsr({ tail: der.nullValue() }), 'CSR_MALFORMED'],
    ['trailing elements in the info', assembleCsr({ infoTail: der.nullValue() }), 'CSR_MALFORMED'],
    ['a cut request', valid.subarray(0, -1), 'CSR_MALFORMED'],
    [
      'a version of its own (RFC 2986 §4.1)',
      assembleCsr({ version: der.integer(3) }),
      'CSR_MALFORMED',
    ],
    ['a negative version', assembleCsr({ version: der.integer(-1) }), 'CSR_MALFORMED'],
    ['a version that is no number', assembleCsr({ version: der.nullValue() }), 'CSR_MALFORMED'],
    [
      'two CNs',
      assembleCsr({
        subject: encodeName([
          { attribute: 'CN', value: 'a' },
          { attribute: 'CN', value: 'b' },
        ]),
      }),
      'CSR_MALFORMED',
    ],
    ['another signature', flip(valid, 1), 'CSR_SIGNATURE_INVALID'],
    [
      'a key that did not sign',
      assembleCsr({ spki: createTestSigner('ec-p256').spkiDer }),
      'CSR_SIGNATURE_INVALID',
    ],
    [
      'a signature algorithm of another kind of key',
      assembleCsr({ signatureAlgorithm: algorithms.ed25519.signature.identifierDer }),
      'CSR_SIGNATURE_INVALID',
    ],
    [
      'SHA-1',
      assembleCsr({ signatureAlgorithm: der.sequence(der.oid('1.2.840.10045.4.1')) }),
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    [
      'MD5 with RSA',
      assembleCsr({
        signatureAlgorithm: der.sequence(der.oid('1.2.840.113549.1.1.4'), der.nullValue()),
      }),
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    [
      'parameters beside ECDSA that are no NULL (RFC 5758 §3.2)',
      assembleCsr({
        signatureAlgorithm: der.sequence(der.oid('1.2.840.10045.4.3.2'), der.integer(1)),
      }),
      'CSR_MALFORMED',
    ],
    ['RSA below 2048 bits', assembleCsr({ spki: spki(weakRsa) }), 'CSR_KEY_WEAK'],
    ['RSA of an unlisted size', assembleCsr({ spki: spki(oddRsa) }), 'CSR_ALGORITHM_NOT_ALLOWED'],
    ['RSA with exponent 3', assembleCsr({ spki: spki(lowExponent.publicKey) }), 'CSR_KEY_WEAK'],
    [
      'a curve that is not in the table',
      assembleCsr({ spki: spki(p521) }),
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    [
      'explicit curve parameters (RFC 5480 §2.1.1)',
      assembleCsr({ spki: spki(explicitCurve) }),
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    ['a point off the curve', assembleCsr({ spki: ecSpki(flip(point, 1)) }), 'CSR_KEY_WEAK'],
    [
      'the point at infinity',
      assembleCsr({ spki: ecSpki(Uint8Array.of(0)) }),
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    [
      'a compressed point of another key',
      assembleCsr({
        spki: ecSpki(Buffer.concat([Buffer.of(compressed[0]! ^ 1), compressed.subarray(1)])),
      }),
      'CSR_SIGNATURE_INVALID',
    ],
    [
      'a compressed point off the curve',
      assembleCsr({ spki: ecSpki(Buffer.concat([Buffer.of(2), Buffer.alloc(32, 0xff)])) }),
      'CSR_KEY_WEAK',
    ],
    [
      'a point in hybrid form (RFC 5480 §2.2)',
      assembleCsr({
        spki: ecSpki(Buffer.concat([Buffer.of(6 + (point[64]! & 1)), point.subarray(1)])),
      }),
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
  ];
  it.each(refusals)('%s', (_title, input, code) => {
    expect(codeOf(input)).toBe(code);
  });

  it('more bytes than it is told to take', () => {
    expect(codeOf(valid, valid.length)).toBeUndefined();
    expect(codeOf(valid, valid.length - 1)).toBe('CSR_TOO_LARGE');
    expect(codeOf('x'.repeat(16 * 1024 + 1))).toBe('CSR_TOO_LARGE');
  });
});

describe('hostile bytes', () => {
  it('never throw anything but a KeylineError', () => {
    const valid = assembleCsr({
      attributes: der.explicit(0, attribute(oids.extensionRequest, der.sequence(sanExtension))),
    });
    const mutation = fc.record({
      at: fc.nat(valid.length - 1),
      octets: fc.uint8Array({ minLength: 1, maxLength: 4 }),
    });
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 400 }), mutation), (input) => {
        if (input instanceof Uint8Array) {
          expect(codeOf(input)).toMatch(/^CSR_/);
          return;
        }
        const bytes = Uint8Array.from(valid);
        bytes.set(input.octets.subarray(0, bytes.length - input.at), input.at);
        const code = codeOf(bytes);
        if (code !== undefined) expect(code).toMatch(/^CSR_/);
        else expect(Buffer.compare(bytes, valid)).toBe(0);
      }),
      { numRuns: 1500 },
    );
  });

  it('as text neither', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc
            .base64String()
            .map(
              (text) =>
                `-----BEGIN CERTIFICATE REQUEST-----\n${text}\n-----END CERTIFICATE REQUEST-----`,
            ),
        ),
        (text) => {
          expect(codeOf(text)).toMatch(/^CSR_/);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe.skipIf(!has('openssl', 'certtool'))('beside OpenSSL and GnuTLS', () => {
  const commands: [KeyAlgorithm, string[]][] = [
    ['ec-p256', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256']],
    ['ec-p384', ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['rsa-2048', ['rsa:2048']],
    ['ed25519', ['ed25519']],
  ];
  it.each(commands)(
    'parseCsr reads what "openssl req" writes with %s',
    async (algorithm, newkey) => {
      const bench = await Workbench.create();
      const made = await bench.run(
        'openssl',
        ...['req', '-new', '-newkey', ...newkey, '-nodes', '-keyout', 'key.pem', '-out', 'csr.pem'],
        ...['-subj', '/O=Plant/CN=pump-1', '-addext', 'subjectAltName=DNS:a.example,IP:::1'],
      );
      expect(made).toMatchObject({ code: 0 });
      const { output } = await bench.run('openssl', 'req', '-in', 'csr.pem');
      const csr = parseCsr(output);
      expect(csr).toMatchObject({ commonName: 'pump-1', algorithm });
      const [san] = readRequestedExtensions(csr);
      expect(parseAlternativeNames(san!.valueDer)).toMatchObject({
        dns: ['a.example'],
        ip: ['::1'],
      });
    },
  );

  it.each(['ec-p256', 'ec-p384', 'ed25519', 'rsa-2048'] as const)(
    'both verify what createCsr writes with %s',
    async (algorithm) => {
      const bench = await Workbench.create();
      const csrDer = await createCsr({
        signer: createTestSigner(algorithm),
        commonName: 'pump-1',
        dnsNames: ['a.example'],
      });
      await bench.put('csr.pem', { label: 'CERTIFICATE REQUEST', der: csrDer });
      const openssl = await bench.run(
        'openssl',
        'req',
        '-in',
        'csr.pem',
        '-verify',
        '-noout',
        '-text',
      );
      expect(openssl).toMatchObject({ code: 0, output: expect.stringContaining('DNS:a.example') });
      const gnutls = await bench.run('certtool', '--crq-info', '--infile', 'csr.pem');
      expect(gnutls.output).toContain('Self signature: verified');
    },
  );
});
