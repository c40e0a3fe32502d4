// How a caller proves who it is.
import { readSecretText, readText } from '@keyline/files';
import type { Secret } from '@keyline/kernel';

export type Caller =
  | { readonly via: 'certificate'; readonly certificatePem: string; readonly keyPem: string }
  | { readonly via: 'token'; readonly token: Secret }
  | { readonly via: 'nothing' };

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE */
export async function loadCertificateCaller(
  certificateFile: string,
  keyFile: string,
): Promise<Caller> {
  return {
    via: 'certificate',
    certificatePem: await readText(certificateFile, 'the client certificate'),
    keyPem: await readSecretText(keyFile, 'key of the client certificate'),
  };
}
