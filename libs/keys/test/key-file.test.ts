// What a key file's mode and existence have to say, passphrase files, and keys as signers.
import { Secret } from '@keyline/kernel';
import { algorithms, keyAlgorithms, verifyWith } from '@keyline/x509';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, createPublicKey } from 'node:crypto';
import { chmodSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  createSigner,
  encryptPrivateKey,
  generateKey,
  loadEncryptedKey,
  loadPassphraseFile,
  loadPlainKey,
  takeUpKeyFile,
  writeKeyFile,
} from '../src/index.ts';

const passphrase = new Secret('open sesame');
// RSA-3072 and 4096 take seconds to make and differ in nothing but length.
const quick = keyAlgorithms.filter((name) => name !== 'rsa-3072' && name !== 'rsa-4096');

let folder: string;
const at = (name: string): string => join(folder, name);
const write = (name: string, text: string, mode = 0o600): string => {
  writeFileSync(at(name), text);
  chmodSync(at(name), mode);
  return at(name);
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-keys-'));
});
afterEach(() => rm(folder, { recursive: true }));

describe('a key file', () => {
  it('is for its owner alone, whatever the umask would give', async () => {
    await writeKeyFile(at('key.pem'), 'secret');
    expect(statSync(at('key.pem')).mode & 0o777).toBe(0o600);
    expect(readFileSync(at('key.pem'), 'utf8')).toBe('secret');
  });

  it('is taken up by who goes on, unless a stop left it empty: then it makes room', async () => {
    expect(await takeUpKeyFile(at('key.pem'))).toBe(false);
    write('whole.pem', '');
    await writeKeyFile(at('key.pem'), 'secret');
    expect(await takeUpKeyFile(at('key.pem'))).toBe(true);
    expect(await takeUpKeyFile(at('whole.pem'))).toBe(false);
    await writeKeyFile(at('whole.pem'), 'secret');
  });

  it('is never written over another: FILE_EXISTS, also where that is empty or a dangling link', async () => {
    write('key.pem', 'the only copy');
    await expect(writeKeyFile(at('key.pem'), 'new')).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(readFileSync(at('key.pem'), 'utf8')).toBe('the only copy');
    write('empty.pem', '');
    await expect(writeKeyFile(at('empty.pem'), 'n')).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    symlinkSync('elsewhere', at('link.pem'));
    await expect(writeKeyFile(at('link.pem'), 'n')).rejects.toMatchObject({ code: 'FILE_EXISTS' });
  });

  it('is written once when many try at once', async () => {
    const tries = await Promise.allSettled(
      Array.from({ length: 10 }, (_, n) => writeKeyFile(at('key.pem'), String(n))),
    );
    const winners = tries.flatMap(({ status }, n) => (status === 'fulfilled' ? [String(n)] : []));
    expect(winners).toEqual([readFileSync(at('key.pem'), 'utf8')]);
  });

  it('says what is wrong with the place: no folder, no file, a folder', async () => {
    const inNoFolder = at('none/key.pem');
    await expect(writeKeyFile(inNoFolder, 'x')).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
    await expect(loadEncryptedKey(at('none'), passphrase)).rejects.toMatchObject({
      code: 'FILE_NOT_FOUND',
    });
    mkdirSync(at('folder'));
    await expect(loadPlainKey(at('folder'))).rejects.toMatchObject({ code: 'FILE_UNREADABLE' });
  });

  it('may hold an unencrypted key of a device; one that is encrypted is KEY_UNSUPPORTED there', async () => {
    const key = generateKey('ec-p256');
    write('plain.pem', key.export({ format: 'pem', type: 'pkcs8' }));
    expect((await loadPlainKey(at('plain.pem'))).equals(key)).toBe(true);
    write('key.pem', encryptPrivateKey(key, passphrase));
    await expect(loadPlainKey(at('key.pem'))).rejects.toMatchObject({ code: 'KEY_UNSUPPORTED' });
  });
});

describe('a passphrase file', () => {
  it.each([
    ['secret\n', 'secret'],
    ['secret\r\n', 'secret'],
    ['secret', 'secret'],
    ['  two words  \n', '  two words  '],
  ])('of %j holds %j', (text, word) => {
    expect(loadPassphraseFile(write('pass', text)).reveal()).toBe(word);
  });

  it.each(['', '\n', '\r\n', 'one\ntwo\n', 'one\n\n', '\nsecret'])(
    'of %j is not one line with something on it: USAGE',
    (text) => {
      expect(() => loadPassphraseFile(write('pass', text))).toThrow(/^USAGE/);
    },
  );

  it.each([0o640, 0o604, 0o644, 0o660, 0o610])('of mode %o is not read', (mode) => {
    expect(() => loadPassphraseFile(write('pass', 'secret', mode))).toThrow(
      /^FILE_UNREADABLE.*chmod 600/,
    );
  });

  it('may be for its owner to read only', () => {
    expect(loadPassphraseFile(write('pass', 'secret', 0o400)).reveal()).toBe('secret');
  });

  it('is FILE_NOT_FOUND, or FILE_UNREADABLE when it is huge or a folder', () => {
    expect(() => loadPassphraseFile(at('none'))).toThrow(/^FILE_NOT_FOUND/);
    expect(() => loadPassphraseFile(write('pass', 'x'.repeat(5000)))).toThrow(/^FILE_UNREADABLE/);
    expect(() => loadPassphraseFile(folder)).toThrow(/^FILE_UNREADABLE/);
  });
});

describe('a signer', () => {
  it.each(quick)('of %s signs what its public key verifies', async (algorithm) => {
    const key = generateKey(algorithm);
    const signer = createSigner(key);
    expect(signer.algorithm).toBe(algorithm);
    expect(
      Buffer.from(signer.spkiDer).equals(
        createPublicKey(key).export({ format: 'der', type: 'spki' }),
      ),
    ).toBe(true);
    const tbsDer = Buffer.from('to be signed');
    const signature = await signer.sign(tbsDer);
    const check = (bytes: Uint8Array): boolean =>
      verifyWith(algorithms[algorithm].signature, {
        tbsDer: bytes,
        signature,
        spkiDer: signer.spkiDer,
      });
    expect(check(tbsDer)).toBe(true);
    expect(check(Buffer.from('something else'))).toBe(false);
  });

  it.skipIf(!has('openssl')).each(['EC on secp256k1', 'RSA-1024'])(
    'is not made of a key of %s',
    (kind) => {
      const type = kind.startsWith('EC') ? 'ec' : 'rsa';
      const options = type === 'ec' ? 'ec_paramgen_curve:secp256k1' : 'rsa_keygen_bits:1024';
      const pem = execFileSync('openssl', ['genpkey', '-algorithm', type, '-pkeyopt', options], {
        encoding: 'utf8',
        stdio: 'pipe',
      });
      expect(() => createSigner(createPrivateKey(pem))).toThrow(/^KEY_UNSUPPORTED/);
    },
  );
});
