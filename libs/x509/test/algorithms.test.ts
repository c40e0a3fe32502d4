// The table of algorithms: every key it names is found again, signs and verifies, and what is not in it is refused.
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import {
  algorithms,
  der,
  keyAlgorithmOf,
  keyAlgorithms,
  parsePublicKey,
  signatureAlgorithms,
  verifySignature,
} from '../src/index.ts';
import { createTestSigner } from './samples.ts';

// RSA-3072 and 4096 take seconds to make and differ in nothing but length.
const quick = keyAlgorithms.filter((name) => name !== 'rsa-3072' && name !== 'rsa-4096');
const signers = new Map(quick.map((name) => [name, createTestSigner(name)]));
const message = Buffer.from('to be signed');
const spkiOf = (algorithm: Buffer | Uint8Array, key: Uint8Array): Uint8Array =>
  der.sequence(algorithm, der.bitString(key));
const importKey = (spkiDer: Uint8Array) => () =>
  createPublicKey({ key: Buffer.from(spkiDer), format: 'der', type: 'spki' });

describe.each(quick)('%s', (name) => {
  const signer = signers.get(name)!;
  const details = algorithms[name];

  it('is told by its SubjectPublicKeyInfo', () => {
    const { algorithm, publicKey } = parsePublicKey(signer.spkiDer);
    expect(algorithm).toBe(name);
    if (details.publicKeyBytes !== undefined) {
      expect(publicKey).toHaveLength(details.publicKeyBytes);
      const again = spkiOf(details.spkiAlgorithmDer, publicKey);
      expect(Buffer.from(again).equals(signer.spkiDer)).toBe(true);
    }
    expect(importKey(signer.spkiDer)).not.toThrow();
  });

  it('signs what verifies, and only that', async () => {
    const parts = {
      tbsDer: message,
      signatureAlgorithmOid: details.signature.oid,
      signature: await signer.sign(message),
      spkiDer: signer.spkiDer,
    };
    expect(verifySignature(parts)).toBe(true);
    expect(verifySignature({ ...parts, tbsDer: Buffer.from('something else') })).toBe(false);
    expect(verifySignature({ ...parts, signature: parts.signature.slice(1) })).toBe(false);
    expect(verifySignature({ ...parts, signature: new Uint8Array() })).toBe(false);
    expect(verifySignature({ ...parts, signatureAlgorithmOid: '1.2.840.113549.1.1.5' })).toBe(
      false,
    );
    for (const [other, { spkiDer }] of signers) {
      if (other !== name) expect(verifySignature({ ...parts, spkiDer })).toBe(false);
    }
  });
});

describe('a public key', () => {
  const p256 = parsePublicKey(signers.get('ec-p256')!.spkiDer).publicKey;
  const ecAlgorithm = algorithms['ec-p256'].spkiAlgorithmDer;

  it('of an unknown algorithm or curve is CSR_ALGORITHM_NOT_ALLOWED', () => {
    const others = [
      generateKeyPairSync('ec', { namedCurve: 'secp256k1' }),
      generateKeyPairSync('ec', { namedCurve: 'P-521' }),
      generateKeyPairSync('x25519'),
      generateKeyPairSync('ed448'),
    ];
    for (const { publicKey } of others) {
      const spki = publicKey.export({ format: 'der', type: 'spki' });
      expect(() => keyAlgorithmOf(spki)).toThrow(/^CSR_ALGORITHM_NOT_ALLOWED/);
    }
  });

  it('has one spelling: a compressed point, or one of another length, is refused (RFC 5480 §2.2)', () => {
    const compressed = Uint8Array.of(2 + (p256[64]! & 1), ...p256.slice(1, 33));
    for (const key of [
      compressed,
      p256.slice(0, -1),
      Uint8Array.of(...p256, 0),
      new Uint8Array(),
    ]) {
      expect(() => keyAlgorithmOf(spkiOf(ecAlgorithm, key))).toThrow(/^CSR_ALGORITHM_NOT_ALLOWED/);
    }
  });

  it('off its curve passes the table, and is not importable', () => {
    const off = Uint8Array.from(p256);
    off[64]! ^= 1;
    expect(keyAlgorithmOf(spkiOf(ecAlgorithm, off))).toBe('ec-p256');
    expect(importKey(spkiOf(ecAlgorithm, off))).toThrow();
  });

  it('of RSA is CSR_KEY_WEAK below 2048 bits or with an odd exponent, and of a known size above', () => {
    const rsa = (modulusLength: number, publicExponent = 65537): Buffer =>
      generateKeyPairSync('rsa', { modulusLength, publicExponent }).publicKey.export({
        format: 'der',
        type: 'spki',
      });
    expect(() => keyAlgorithmOf(rsa(1024))).toThrow(/^CSR_KEY_WEAK/);
    expect(() => keyAlgorithmOf(rsa(2048, 3))).toThrow(/^CSR_KEY_WEAK/);
    expect(() => keyAlgorithmOf(rsa(2056))).toThrow(/^CSR_ALGORITHM_NOT_ALLOWED/);
    const modulus = (bits: number, last: number): Uint8Array => {
      const octets = new Uint8Array(bits / 8 + 1).fill(0xff, 1);
      octets[octets.length - 1] = last;
      return octets;
    };
    const made = (octets: Uint8Array, exponent: number): Uint8Array =>
      spkiOf(
        algorithms['rsa-2048'].spkiAlgorithmDer,
        der.sequence(der.element(2, octets), der.integer(exponent)),
      );
    expect(keyAlgorithmOf(made(modulus(4096, 0xff), 65537))).toBe('rsa-4096');
    expect(keyAlgorithmOf(made(modulus(3072, 0xff), 65539))).toBe('rsa-3072');
    expect(() => keyAlgorithmOf(made(modulus(2048, 0xfe), 65537))).toThrow(/^CSR_KEY_WEAK/);
    for (const exponent of [1, 3, 65536, -65537]) {
      expect(() => keyAlgorithmOf(made(modulus(2048, 0xff), exponent))).toThrow(/^CSR_KEY_WEAK/);
    }
    // Without its zero in front, the number is negative.
    const negative = modulus(2048, 0xff).slice(1);
    negative[0] = 0x80;
    expect(() => keyAlgorithmOf(made(negative, 65537))).toThrow(/^CSR_KEY_WEAK/);
  });
});

it('knows no signature with SHA-1 or MD5, and each by an identifier with its own OID', () => {
  for (const oid of ['1.2.840.113549.1.1.4', '1.2.840.113549.1.1.5', '1.2.840.10045.4.1']) {
    expect(signatureAlgorithms.has(oid)).toBe(false);
  }
  for (const [oid, { identifierDer }] of signatureAlgorithms) {
    expect(Buffer.from(identifierDer).includes(Buffer.from(der.oid(oid)))).toBe(true);
  }
  expect(createPublicKey(signers.get('ml-dsa-65')!.privateKey).asymmetricKeyType).toBe('ml-dsa-65');
});
