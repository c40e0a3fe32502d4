// `keyline-ca init`: the key of the first issuing authority and the CSR that the offline root signs.
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { replaceFile } from '@keyline/files';
import { keyHashOfCsr } from '@keyline/pki';
import { KeylineError } from '@keyline/kernel';
import {
  caFolderOf,
  firstAuthority,
  openKeys,
  parseHttpUrl,
  relativeTo,
  type CaSettings,
} from '../ca-folder.ts';
import { parseKeyAlgorithm } from '../key-algorithm.ts';

export interface InitOptions {
  readonly data: string;
  readonly passphraseFile: string;
  readonly httpUrl: string;
  readonly name: string;
  readonly algorithm: string;
}

/**
 * The CSR is written last, so an interrupted init is finished by the same call: the key stays.
 * @returns path of the CSR, and of its key what `keyline-root inspect` shows on the machine of the root
 * @throws {KeylineError} FILE_EXISTS, USAGE, FILE_*, KEY_DECRYPT_FAILED
 */
export async function runInit(
  options: InitOptions,
): Promise<{ readonly csr: string; readonly keySha256: string }> {
  const folder = caFolderOf(options.data);
  const settings: CaSettings = {
    version: 1,
    httpUrl: parseHttpUrl(options.httpUrl),
    passphraseFile: relativeTo(folder, options.passphraseFile),
  };
  const algorithm = parseKeyAlgorithm(options.algorithm);
  if (existsSync(folder.csr)) {
    throw new KeylineError(
      'FILE_EXISTS',
      `There is an issuing CA in ${folder.path} already. Its CSR is ${folder.csr}; nothing was changed.`,
    );
  }
  await mkdir(folder.path, { recursive: true, mode: 0o700 });
  const keys = openKeys(folder, settings);
  await replaceFile(folder.settings, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o644 });
  const csrPem = await keys.create({
    id: firstAuthority,
    commonName: options.name,
    algorithm,
  });
  await replaceFile(folder.csr, csrPem, { mode: 0o644 });
  return { csr: folder.csr, keySha256: keyHashOfCsr(csrPem) };
}
