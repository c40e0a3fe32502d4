// A passphrase as the age format has it: the library opens what is closed here, and the other way round.
import { Decrypter, Encrypter, Stanza } from 'age-encryption';
import { beforeAll, describe, expect, it } from 'vitest';
import { Secret } from '@keyline/kernel';
import { scryptIdentity, scryptRecipient } from '../src/scrypt-lock.ts';

const passphrase = new Secret('five words that are long');
let sealed: Stanza;
beforeAll(async () => {
  const [stanza] = await scryptRecipient(passphrase, Stanza).wrapFileKey(new Uint8Array(16));
  if (stanza === undefined) throw new Error('there is one');
  sealed = stanza;
});

function decrypt(file: Uint8Array, given: Secret): Promise<string> {
  const decrypter = new Decrypter();
  decrypter.addIdentity(scryptIdentity(given));
  return decrypter.decrypt(file, 'text');
}

async function byLibrary(work: number): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.setScryptWorkFactor(work);
  encrypter.setPassphrase(passphrase.reveal());
  return encrypter.encrypt('text');
}

describe('the passphrase of a backup', () => {
  it('is the age format’s: the library opens it', async () => {
    const encrypter = new Encrypter();
    encrypter.addRecipient(scryptRecipient(passphrase, Stanza));
    const file = await encrypter.encrypt('text');
    const decrypter = new Decrypter();
    decrypter.addPassphrase(passphrase.reveal());
    expect(await decrypter.decrypt(file, 'text')).toBe('text');
  });

  it('opens what the library closed, and no other one does', async () => {
    const file = await byLibrary(10);
    expect(await decrypt(file, passphrase)).toBe('text');
    await expect(decrypt(file, new Secret('another'))).rejects.toThrow(/no identity matched/);
  });

  it.each([
    ['more work than anybody needs', '30', /more work/],
    ['no number', 'x', /damaged/],
    ['a number with a zero before it', '010', /damaged/],
  ])('is refused where the file asks for %s', async (_, work, words) => {
    const stanza = new Stanza(['scrypt', sealed.args[1] ?? '', work], sealed.body);
    await expect(
      (async () => scryptIdentity(passphrase).unwrapFileKey([stanza]))(),
    ).rejects.toThrow(words);
  });

  it('stands alone in a file', async () => {
    const other = new Stanza(['X25519', 'x'], new Uint8Array(32));
    await expect(
      (async () => scryptIdentity(passphrase).unwrapFileKey([sealed, other]))(),
    ).rejects.toThrow(/damaged/);
  });
});
