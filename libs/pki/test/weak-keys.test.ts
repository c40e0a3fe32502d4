import { checkPrimeSync, createPrivateKey, generatePrimeSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { algorithms, der, encodeName } from '@keyline/x509';
import { describe, expect, it } from 'vitest';
import { parseCsr } from '../src/index.ts';
import { assembleCsr } from './made-csr.ts';

const bits = 1024n;
const exponent = 65537n;

function modularInverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n];
  while (a > 1n) {
    const quotient = b / a;
    [a, b, x, y] = [b - quotient * a, a, y - quotient * x, x];
  }
  return ((x % modulus) + modulus) % modulus;
}

function modularPower(base: bigint, power: bigint, modulus: bigint): bigint {
  let result = 1n;
  for (let square = base % modulus, rest = power; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

const octets = (value: bigint): Buffer => {
  const hex = value.toString(16);
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
};

/** A CSR whose signature is right, by a key of these two factors (of which one may be no prime). */
function csrOf(p: bigint, q: bigint, totient = (p - 1n) * (q - 1n)): Uint8Array {
  const modulus = p * q;
  const secret = modularInverse(exponent, totient);
  const info = der.sequence(
    der.integer(0),
    encodeName([{ attribute: 'CN', value: 'pump-1' }]),
    der.sequence(
      algorithms['rsa-2048'].spkiAlgorithmDer,
      der.bitString(
        der.sequence(der.unsignedInteger(octets(modulus)), der.unsignedInteger(octets(exponent))),
      ),
    ),
    der.explicit(0),
  );
  const base64 = (value: bigint): string => octets(value).toString('base64url');
  const privateKey = createPrivateKey({
    format: 'jwk',
    key: {
      kty: 'RSA',
      n: base64(modulus),
      e: base64(exponent),
      d: base64(secret),
      p: base64(p),
      q: base64(q),
      dp: base64(secret % (p - 1n)),
      dq: base64(secret % (q - 1n)),
      qi: base64(modularInverse(q, p)),
    },
  });
  return der.sequence(
    info,
    algorithms['rsa-2048'].signature.identifierDer,
    der.bitString(sign('sha256', info, privateKey)),
  );
}

/** A prime whose two highest bits are set, so that two of them make 2,048 bits. */
function primeFrom(start: bigint, step = 2n): bigint {
  let candidate = start;
  while (!checkPrimeSync(candidate)) candidate += step;
  return candidate;
}
const randomPrime = (): bigint =>
  generatePrimeSync(Number(bits), { bigint: true, add: 2n, rem: 1n }) | 0n;
function largePrime(): bigint {
  for (;;) {
    const prime = randomPrime();
    if (prime >> (bits - 2n) === 3n) return prime;
  }
}

describe('an RSA key is refused as CSR_KEY_WEAK', () => {
  it('when its primes are close to each other: the fixture falls in the first round of Fermat', () => {
    const csr = readFileSync(
      new URL('fixtures/csr/rsa-close-primes.csr', import.meta.url),
      'latin1',
    );
    expect(() => parseCsr(csr)).toThrow(/^CSR_KEY_WEAK.*close/);
  });

  it('when the method of Fermat finds them within 100 rounds, and not after', () => {
    const p = largePrime();
    // Rounds taken: about (q - p)² / (8 · p).
    const distance = (rounds: bigint): bigint => {
      const square = rounds * 8n * p;
      let root = 1n << (BigInt(square.toString(2).length) / 2n + 1n);
      for (;;) {
        const next = (root + square / root) >> 1n;
        if (next >= root) return root & ~1n;
        root = next;
      }
    };
    expect(() => parseCsr(csrOf(p, primeFrom(p + distance(90n))))).toThrow(/^CSR_KEY_WEAK.*close/);
    expect(parseCsr(csrOf(p, primeFrom(p + distance(400n)))).algorithm).toBe('rsa-2048');
  });

  it('when its two primes are one', () => {
    const p = largePrime();
    // No library signs with such a key; it is refused before its signature is looked at.
    const spki = der.sequence(
      algorithms['rsa-2048'].spkiAlgorithmDer,
      der.bitString(
        der.sequence(der.unsignedInteger(octets(p * p)), der.unsignedInteger(octets(exponent))),
      ),
    );
    const signatureAlgorithm = algorithms['rsa-2048'].signature.identifierDer;
    expect(() => parseCsr(assembleCsr({ spki, signatureAlgorithm }))).toThrow(
      /^CSR_KEY_WEAK.*close/,
    );
  });

  it.each([3n, 751n, 9973n])('when %d divides its modulus', (factor) => {
    let q = (1n << 2047n) / factor;
    q = primeFrom(q | 1n);
    if ((factor * q).toString(2).length !== 2048) q = primeFrom(((3n << 2046n) / factor) | 1n);
    expect(() => parseCsr(csrOf(factor, q))).toThrow(
      new RegExp(`^CSR_KEY_WEAK.*${String(factor)} divides`),
    );
  });

  it('when its primes are of the generator known as ROCA (CVE-2017-15361)', () => {
    // As the paper describes them: k · M + (65537^a mod M), M the product of the first 126 primes.
    const small: bigint[] = [];
    for (let candidate = 2n; small.length < 126; candidate++) {
      if (small.every((prime) => candidate % prime !== 0n)) small.push(candidate);
    }
    const product = small.reduce((total, prime) => total * prime, 1n);
    const rocaPrime = (power: bigint): bigint =>
      primeFrom(
        ((3n << (bits - 2n)) / product + 1n) * product + modularPower(exponent, power, product),
        product,
      );
    const csr = csrOf(rocaPrime(123_457n), rocaPrime(9_876_543n));
    expect(() => parseCsr(csr)).toThrow(/^CSR_KEY_WEAK.*ROCA/);
  });

  it('but not when it is an ordinary one', () => {
    for (let i = 0; i < 5; i++) {
      expect(parseCsr(csrOf(largePrime(), largePrime())).algorithm).toBe('rsa-2048');
    }
  });
});

describe('an Ed25519 key of small order', () => {
  it.each([
    `01${'00'.repeat(31)}`,
    '00'.repeat(32),
    `ec${'ff'.repeat(30)}7f`,
    `ed${'ff'.repeat(30)}ff`,
    '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  ])('proves nothing, though its signature is for anything: %s (RFC 8032 §5.1)', (y) => {
    const identity = `01${'00'.repeat(31)}`;
    const csr = der.sequence(
      der.sequence(
        der.integer(0),
        encodeName([{ attribute: 'CN', value: 'pump-1' }]),
        der.sequence(algorithms.ed25519.spkiAlgorithmDer, der.bitString(Buffer.from(y, 'hex'))),
        der.explicit(0),
      ),
      algorithms.ed25519.signature.identifierDer,
      der.bitString(Buffer.from(identity + '00'.repeat(32), 'hex')),
    );
    expect(() => parseCsr(csr)).toThrow(/^CSR_/);
  });
});
