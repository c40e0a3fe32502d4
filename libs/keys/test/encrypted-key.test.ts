// Keys at rest, with OpenSSL as the other reader and writer.
import { Secret } from '@keyline/kernel';
import { execFileSync } from 'node:child_process';
import { createPrivateKey } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  decryptPrivateKey,
  decryptPrivateKeyAside,
  encryptPrivateKeyAside,
} from '../src/encrypted-key.ts';
import { generateKeyAside } from '../src/generate-key.ts';
import { encryptPrivateKey, generateKey, loadEncryptedKey } from '../src/index.ts';

const passphrase = new Secret('öffne dich, Sesam');

let folder: string;
const at = (name: string): string => join(folder, name);
const write = (name: string, text: string): void => writeFileSync(at(name), text);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-keys-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('an encrypted key', () => {
  const pem = encryptPrivateKey(generateKey('ec-p256'), passphrase);

  it.each(['ec-p256', 'rsa-2048', 'ml-dsa-65'] as const)(
    'of %s comes back with its passphrase',
    (algorithm) => {
      const key = generateKey(algorithm);
      const encrypted = encryptPrivateKey(key, passphrase);
      expect(encrypted).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----\n/);
      expect(decryptPrivateKey(encrypted, passphrase).equals(key)).toBe(true);
    },
  );

  it('is KEY_DECRYPT_FAILED with another passphrase, an empty one, or a byte changed', () => {
    const bytes = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');
    bytes[bytes.length - 1]! ^= 1;
    const damaged = `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
    for (const [text, word] of [
      [pem, 'öffne dich, sesam'],
      [pem, ''],
      [damaged, passphrase.reveal()],
    ] as const) {
      expect(() => decryptPrivateKey(text, new Secret(word))).toThrow(/^KEY_DECRYPT_FAILED/);
    }
  });

  it('is DER_MALFORMED when it is an unencrypted key, or no PEM', () => {
    const plain = generateKey('ec-p256').export({ format: 'pem', type: 'pkcs8' });
    for (const text of [plain, '', 'hello']) {
      expect(() => decryptPrivateKey(text, passphrase)).toThrow(/^DER_MALFORMED/);
    }
  });

  it('never says the passphrase in an error', () => {
    try {
      decryptPrivateKey(pem, new Secret('wrong-but-private'));
      expect.unreachable();
    } catch (error) {
      expect(JSON.stringify([error, String(error), (error as Error).cause])).not.toContain(
        'wrong-but',
      );
    }
  });

  it('uses a salt and an IV of its own every time', () => {
    const key = generateKey('ed25519');
    expect(encryptPrivateKey(key, passphrase)).not.toBe(encryptPrivateKey(key, passphrase));
  });

  it('takes a passphrase of up to 1024 bytes, and refuses one that could never be given again', () => {
    const key = generateKey('ec-p256');
    const longest = new Secret('ä'.repeat(512));
    expect(decryptPrivateKey(encryptPrivateKey(key, longest), longest).equals(key)).toBe(true);
    for (const word of ['', 'x'.repeat(1025), 'ä'.repeat(513)]) {
      expect(() => encryptPrivateKey(key, new Secret(word))).toThrow(/^USAGE/);
    }
  });
});

describe.skipIf(!has('openssl'))('beside OpenSSL', () => {
  const openssl = (...parameters: string[]): string =>
    execFileSync('openssl', parameters, { cwd: folder, encoding: 'utf8', stdio: 'pipe' });

  // Post-quantum keys are not for Debian 12's OpenSSL.
  it.each(['ec-p256', 'rsa-2048'] as const)(
    'a key of %s that Keyline encrypted is read',
    (algorithm) => {
      const key = generateKey(algorithm);
      write('key.pem', encryptPrivateKey(key, passphrase));
      write('pass', passphrase.reveal());
      const plain = openssl('pkey', '-in', 'key.pem', '-passin', 'file:pass');
      expect(createPrivateKey(plain).equals(key)).toBe(true);
    },
  );

  it.each([
    ['scrypt', ['-scrypt']],
    ['PBKDF2', ['-v2', 'aes-256-cbc', '-v2prf', 'hmacWithSHA256']],
  ])('a key that it encrypted with %s is read by Keyline', async (_kind, options) => {
    const key = generateKey('ec-p384');
    write('plain.pem', key.export({ format: 'pem', type: 'pkcs8' }));
    write('pass', passphrase.reveal());
    const encrypt = ['pkcs8', '-topk8', '-in', 'plain.pem', '-out', 'key.pem'];
    openssl(...encrypt, ...options, '-passout', 'file:pass');
    expect((await loadEncryptedKey(at('key.pem'), passphrase)).equals(key)).toBe(true);
  });
});

it('is made and encrypted aside as well, while the event loop goes on', async () => {
  let turns = 0;
  const counting = setInterval(() => (turns += 1), 1);
  const key = await generateKeyAside('rsa-2048');
  const pem = await encryptPrivateKeyAside(key, passphrase);
  clearInterval(counting);
  expect(turns).toBeGreaterThan(0);
  expect(decryptPrivateKey(pem, passphrase).equals(key)).toBe(true);
  expect((await generateKeyAside('ed25519')).asymmetricKeyType).toBe('ed25519');
  await expect(encryptPrivateKeyAside(key, new Secret(''))).rejects.toMatchObject({
    code: 'USAGE',
  });
});

describe('a key that is decrypted aside', () => {
  it('is the same, and the event loop goes on meanwhile', async () => {
    const key = generateKey('ec-p256');
    const pem = encryptPrivateKey(key, passphrase);
    const order: string[] = [];
    const decrypted = decryptPrivateKeyAside(pem, passphrase).then((found) => {
      order.push('decrypted');
      return found;
    });
    setImmediate(() => order.push('turn'));
    expect((await decrypted).equals(key)).toBe(true);
    expect(order).toEqual(['turn', 'decrypted']);
  });

  it('is refused as otherwise: wrong passphrase, damage, no such PEM', async () => {
    const pem = encryptPrivateKey(generateKey('ec-p256'), passphrase);
    await expect(decryptPrivateKeyAside(pem, new Secret('wrong'))).rejects.toMatchObject({
      code: 'KEY_DECRYPT_FAILED',
    });
    const bytes = Buffer.from(pem.split('\n').slice(1, -2).join(''), 'base64');
    const pemOf = (damaged: Buffer) =>
      `-----BEGIN ENCRYPTED PRIVATE KEY-----\n${damaged.toString('base64')}\n-----END ENCRYPTED PRIVATE KEY-----\n`;
    // Cost parameters far above the bound and lengths that lead nowhere among them.
    for (const at of [1, 8, 30, 48, 52, 55, 75, bytes.length - 1]) {
      const damaged = Buffer.from(bytes);
      damaged[at]! ^= 0x41;
      await expect(decryptPrivateKeyAside(pemOf(damaged), passphrase)).rejects.toMatchObject({
        code: 'KEY_DECRYPT_FAILED',
      });
    }
    await expect(decryptPrivateKeyAside('hello', passphrase)).rejects.toMatchObject({
      code: 'DER_MALFORMED',
    });
  });
});
