// The passphrase of an age file (age-encryption.org/v1, "scrypt recipient stanza"), with scrypt as OpenSSL has it: the library's own is written in
// JavaScript, takes three times as long, and lets nothing else run meanwhile. Format, limits and everything else are the library's.
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { KeylineError, type Secret } from '@keyline/kernel';
import type { Identity, Recipient, Stanza } from 'age-encryption';

type StanzaMaker = typeof Stanza;

const kind = 'scrypt';
const label = 'age-encryption.org/v1/scrypt';
/** 2^18: what the age program takes, and the most that it opens without asking. */
const workFactor = 18;
/** A file may not ask for hours of work, or gigabytes. */
const mostWork = 20;
const saltBytes = 16;
const tagBytes = 16;
const fileKeyBytes = 16;
const cipher = 'chacha20-poly1305';
/** A key is used once. */
const nonce = Buffer.alloc(12);

const derive = promisify(scrypt) as (
  passphrase: Buffer,
  salt: Buffer,
  length: number,
  options: object,
) => Promise<Buffer>;

function wrappingKey(passphrase: Secret, salt: Uint8Array, work: number): Promise<Buffer> {
  const N = 2 ** work;
  const options = { N, r: 8, p: 1, maxmem: 128 * 8 * N * 2 };
  const salted = Buffer.concat([Buffer.from(label), salt]);
  return derive(Buffer.from(passphrase.reveal(), 'utf8'), salted, 32, options);
}

export function scryptRecipient(passphrase: Secret, StanzaOf: StanzaMaker): Recipient {
  return {
    async wrapFileKey(fileKey) {
      const salt = randomBytes(saltBytes);
      const key = await wrappingKey(passphrase, salt, workFactor);
      const sealer = createCipheriv(cipher, key, nonce, { authTagLength: tagBytes });
      const body = Buffer.concat([sealer.update(fileKey), sealer.final(), sealer.getAuthTag()]);
      return [new StanzaOf([kind, base64(salt), String(workFactor)], Uint8Array.from(body))];
    },
  };
}

/** Answers with nothing for another passphrase. */
export function scryptIdentity(passphrase: Secret): Identity {
  return {
    async unwrapFileKey(stanzas) {
      const [stanza, ...others] = stanzas.filter(({ args }) => args[0] === kind);
      if (stanza === undefined) return null;
      const [, salt = '', work = ''] = stanza.args;
      const saltOf = Buffer.from(salt, 'base64');
      // A passphrase stands alone: beside another recipient, whoever has that could have made the file.
      if (others.length > 0 || stanzas.length > 1 || base64(saltOf) !== salt) throw malformed();
      if (saltOf.length !== saltBytes || !/^[1-9][0-9]?$/.test(work)) throw malformed();
      if (stanza.body.length !== fileKeyBytes + tagBytes) throw malformed();
      if (Number(work) > mostWork) throw malformed('it asks for more work than any passphrase');
      const key = await wrappingKey(passphrase, saltOf, Number(work));
      const opener = createDecipheriv(cipher, key, nonce, { authTagLength: tagBytes });
      opener.setAuthTag(stanza.body.subarray(fileKeyBytes));
      try {
        const opened = Buffer.concat([
          opener.update(stanza.body.subarray(0, fileKeyBytes)),
          opener.final(),
        ]);
        return Uint8Array.from(opened);
      } catch {
        return null;
      }
    },
  };
}

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes).toString('base64').replaceAll('=', '');

function malformed(what = 'its head is not of the age format'): KeylineError {
  return new KeylineError('FILE_UNREADABLE', `The backup is damaged: ${what}.`);
}
