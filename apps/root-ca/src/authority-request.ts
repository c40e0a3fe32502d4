// Whether a CSR asks for an authority. What it asks for never reaches the certificate; but one that plainly asks for something else was
// handed to the wrong signer, and its key must not become a CA's.
import { KeylineError } from '@keyline/kernel';
import { parseCsr, readRequestedExtensions, type Csr } from '@keyline/pki';
import { oids, parseBasicConstraints, parseKeyUsage } from '@keyline/x509';

/**
 * @throws {KeylineError} as parseCsr; CSR_KEY_WEAK for a key too weak for an authority; PROFILE_VIOLATION for a CSR that asks for
 *   a device's or a server's certificate
 */
export function parseAuthorityRequest(input: Uint8Array): Csr {
  const csr = parseCsr(input);
  // 112 bits of strength end in 2030 (NIST SP 800-131A); an authority lives longer.
  if (csr.algorithm === 'rsa-2048') {
    throw new KeylineError(
      'CSR_KEY_WEAK',
      'An RSA key of 2048 bits is too weak for an authority that lasts for years. Make the CSR with rsa-3072 or an EC key; nothing was signed.',
    );
  }
  const extensions = readRequestedExtensions(csr);
  const value = (oid: string): Uint8Array | undefined =>
    extensions.find((extension) => extension.oid === oid)?.valueDer;
  const constraints = value(oids.basicConstraints);
  const usage = value(oids.keyUsage);
  const asksFor =
    constraints !== undefined && !parseBasicConstraints(constraints).isCa
      ? 'basicConstraints says CA:FALSE'
      : usage !== undefined && !parseKeyUsage(usage).includes('keyCertSign')
        ? 'keyUsage has no keyCertSign'
        : value(oids.subjectAltName) !== undefined
          ? 'it has a subjectAltName'
          : undefined;
  if (asksFor === undefined) return csr;
  throw new KeylineError(
    'PROFILE_VIOLATION',
    `This CSR is not an authority's: ${asksFor}. Signed here, a device or server would become a CA. Take the CSR that the issuing CA wrote; nothing was signed.`,
  );
}
