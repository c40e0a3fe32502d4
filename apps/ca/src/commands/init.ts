// `keyline-ca init`: the key of an issuing CA and the CSR that the offline root signs.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { KeylineError } from '@keyline/kernel';
import {
  createSigner,
  encryptPrivateKey,
  generateKey,
  loadPassphraseFile,
  writeKeyFile,
} from '@keyline/keys';
import { createCsr, encodePem, keyAlgorithms, type KeyAlgorithm } from '@keyline/x509';
import {
  authorityFolderOf,
  loadAuthorityKey,
  parseHttpUrl,
  relativeTo,
  replaceFile,
  type AuthoritySettings,
} from '../authority-folder.ts';

export interface InitOptions {
  readonly data: string;
  readonly passphraseFile: string;
  readonly httpUrl: string;
  readonly name: string;
  readonly id: string;
  readonly algorithm: string;
}

/**
 * The CSR is written last, so an interrupted init is finished by the same call: the key stays.
 * @returns path of the CSR
 * @throws {KeylineError} FILE_EXISTS, USAGE, FILE_*, KEY_DECRYPT_FAILED
 */
export async function runInit(options: InitOptions): Promise<string> {
  const folder = authorityFolderOf(options.data);
  if (!/^[a-z0-9][a-z0-9-]{0,31}$/.test(options.id)) {
    throw new KeylineError(
      'USAGE',
      `"${options.id}" can't name an authority in URLs: 1 to 32 of a-z, 0-9 and "-".`,
    );
  }
  const settings: AuthoritySettings = {
    version: 1,
    id: options.id,
    httpUrl: parseHttpUrl(options.httpUrl),
    passphraseFile: relativeTo(folder, options.passphraseFile),
  };
  const algorithm = parseAlgorithm(options.algorithm);
  if (existsSync(folder.csr)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `There is an issuing CA in ${folder.path} already. Its CSR is ${folder.csr}; nothing was changed.`,
    );
  }
  const passphrase = loadPassphraseFile(options.passphraseFile);
  await mkdir(folder.path, { recursive: true, mode: 0o700 });
  if (!existsSync(folder.key)) {
    await writeKeyFile(folder.key, encryptPrivateKey(generateKey(algorithm), passphrase));
  }
  await replaceFile(folder.settings, `${JSON.stringify(settings, null, 2)}\n`);
  const signer = createSigner(await loadAuthorityKey(folder, settings));
  const csrDer = await createCsr({ signer, commonName: options.name });
  await replaceFile(folder.csr, encodePem('CERTIFICATE REQUEST', csrDer));
  return folder.csr;
}

function parseAlgorithm(text: string): KeyAlgorithm {
  const algorithm = keyAlgorithms.find((name) => name === text);
  if (algorithm !== undefined) return algorithm;
  throw new KeylineError(
    'USAGE',
    `There is no key algorithm "${text}". Known: ${keyAlgorithms.join(', ')}.`,
  );
}
