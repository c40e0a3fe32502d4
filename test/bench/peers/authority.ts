// An issuing authority in files, as other programs take one.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSigner, generateKey } from '@keyline/keys';
import { createRootCertificate } from '@keyline/pki';
import { encodePem } from '@keyline/x509';

export interface AuthorityFiles {
  readonly certificate: string;
  readonly key: string;
  readonly certificateDer: Uint8Array;
}

/** P-256, SEC 1 key: older programs read no other. */
export async function writeAuthority(folder: string): Promise<AuthorityFiles> {
  const privateKey = generateKey('ec-p256');
  const certificateDer = await createRootCertificate({
    signer: createSigner(privateKey),
    commonName: 'Bench peer',
    now: Date.now(),
    validity: 365 * 24 * 3600 * 1000,
  });
  const certificate = join(folder, 'peer-ca.pem');
  const key = join(folder, 'peer-ca.key');
  writeFileSync(certificate, encodePem('CERTIFICATE', certificateDer));
  writeFileSync(key, privateKey.export({ type: 'sec1', format: 'pem' }), { mode: 0o600 });
  return { certificate, key, certificateDer };
}
