// Whether the keys of the issuing authorities open with a passphrase, and are those of their certificates.
import { createPublicKey, X509Certificate, type KeyObject } from 'node:crypto';
import { KeylineError, type Secret } from '@keyline/kernel';
import { decryptPrivateKey } from '@keyline/keys';

/**
 * @param keyOf PEM of an authority's key; undefined when there is none
 * @throws {KeylineError} KEY_DECRYPT_FAILED, FILE_UNREADABLE for a key that is missing or another's
 */
export async function assertIssuingKeys(
  authorities: readonly { readonly id: string; readonly certificate: Uint8Array }[],
  keyOf: (id: string) => Promise<string | undefined> | string | undefined,
  passphrase: Secret,
): Promise<void> {
  for (const { id, certificate } of authorities) {
    const pem = await keyOf(id);
    if (pem === undefined) {
      throw new KeylineError(
        'FILE_UNREADABLE',
        `The key of the issuing authority "${id}" is missing (authorities/${id}.key): without it nothing can be issued or revoked.`,
      );
    }
    const key = createPublicKey(opened(id, pem, passphrase));
    if (!key.equals(new X509Certificate(certificate).publicKey)) {
      throw new KeylineError(
        'FILE_UNREADABLE',
        `The key authorities/${id}.key is not the one of the certificate of "${id}".`,
      );
    }
  }
}

function opened(id: string, pem: string, passphrase: Secret): KeyObject {
  try {
    return decryptPrivateKey(pem, passphrase);
  } catch (cause) {
    throw new KeylineError(
      'KEY_DECRYPT_FAILED',
      `The passphrase does not open the key of the issuing authority "${id}", or that key is damaged. Give what was in secrets/ca.pass when the backup was made.`,
      { cause },
    );
  }
}
