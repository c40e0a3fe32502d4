// Whether the certificate that a root signed is for the key that is here: another would be found out by nobody until something is signed.
import { KeylineError } from '@keyline/kernel';
import type { AuthorityKeys } from '@keyline/keys';
import { equalBytes, parseCertificate } from '@keyline/x509';

/** @throws {KeylineError} PATH_INVALID */
export async function assertOwnKey(
  keys: AuthorityKeys,
  id: string,
  certificateDer: Uint8Array,
): Promise<void> {
  const { spkiDer } = await keys.load(id);
  if (equalBytes(spkiDer, parseCertificate(certificateDer).spkiDer)) return;
  throw new KeylineError(
    'PATH_INVALID',
    `The certificate is for another key than that of "${id}". Have the root sign the CSR of this authority.`,
  );
}
