// The keys of authorities: encrypted files in a folder, one for each, named by its id, and the CSR of each beside it.
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { readText, replaceFile } from '@keyline/files';
import { KeylineError, type Secret } from '@keyline/kernel';
import { createCsr, encodePem, type KeyAlgorithm, type Signer } from '@keyline/x509';
import { encryptPrivateKeyAside } from './encrypted-key.ts';
import { generateKeyAside } from './generate-key.ts';
import { loadEncryptedKey, takeUpKeyFile, writeKeyFile } from './key-file.ts';
import { createSigner } from './signer.ts';

export interface AuthorityKeys {
  /** A new key and its CSR, PEM. A key that is there already is kept: an interrupted creation is finished. */
  create(given: {
    readonly id: string;
    readonly commonName: string;
    readonly algorithm: KeyAlgorithm;
  }): Promise<string>;
  /** The CSR that `create` made. @throws {KeylineError} FILE_NOT_FOUND */
  loadCsr(id: string): Promise<string>;
  /** @throws {KeylineError} FILE_NOT_FOUND, KEY_DECRYPT_FAILED */
  load(id: string): Promise<Signer>;
}

/**
 * @param options.folder made when the first key is
 */
export function openAuthorityKeys(options: {
  readonly folder: string;
  readonly passphrase: Secret;
}): AuthorityKeys {
  const { folder, passphrase } = options;
  const fileOf = (id: string): string => join(folder, `${id}.key`);
  const csrFileOf = (id: string): string => join(folder, `${id}.csr`);
  const load = async (id: string): Promise<Signer> =>
    createSigner(await loadEncryptedKey(fileOf(id), passphrase));
  const createKey = async (path: string, algorithm: KeyAlgorithm): Promise<Signer> => {
    const key = await generateKeyAside(algorithm);
    await writeKeyFile(path, await encryptPrivateKeyAside(key, passphrase));
    return createSigner(key);
  };
  return {
    load,
    loadCsr: (id) => readText(csrFileOf(id), 'the CSR of the authority'),
    async create({ id, commonName, algorithm }) {
      if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(id) || id === 'root') {
        throw new KeylineError(
          'REQUEST_INVALID',
          `"${id.slice(0, 60)}" can't name an issuing authority in URLs: 1 to 32 of a-z, 0-9 and "-", and not "root".`,
        );
      }
      await mkdir(folder, { recursive: true, mode: 0o700 });
      const signer = (await takeUpKeyFile(fileOf(id)))
        ? await load(id)
        : await createKey(fileOf(id), algorithm);
      const csrDer = await createCsr({ signer, commonName });
      const csrPem = encodePem('CERTIFICATE REQUEST', csrDer);
      await replaceFile(csrFileOf(id), csrPem, { mode: 0o644 });
      return csrPem;
    },
  };
}
