// The root's CRL, for as long as the root lies in this folder. Once it was taken away, whoever holds it brings its CRLs
// (keyline ca root-crl), and alerts say when one is due.
import { existsSync } from 'node:fs';
import { readTextIfThere } from '@keyline/files';
import { decodePem, parseCrl } from '@keyline/x509';
import { readRootCrl } from '../files/read-root-crl.ts';
import { callAsAdmin, type Issuing } from './certificates.ts';
import { signRootCrl, type RootWork } from './first-start.ts';

/** Of its life; the rest is time to notice that nobody made the next. */
const renewAtShare = 1 / 2;

/**
 * Signs the next one when half of the life of the last is over, and brings it to the service.
 * @returns a sentence about what was done, undefined when nothing was due
 * @throws {KeylineError}
 */
export async function keepRootCrl(work: RootWork, issuing: Issuing): Promise<string | undefined> {
  const { root, secrets } = work.layout;
  const pem = await readTextIfThere(root.crl, "the root's CRL");
  if (pem === undefined || !existsSync(secrets.root)) return undefined;
  const { thisUpdate, nextUpdate } = parseCrl(decodePem(pem, 'X509 CRL'));
  if (issuing.clock.now() < thisUpdate + (nextUpdate - thisUpdate) * renewAtShare) return undefined;
  await signRootCrl(work);
  const body = await readRootCrl(root.crl);
  const { number } = await callAsAdmin(issuing, (client) => client.call('importRootCrl', { body }));
  return `signed and brought CRL ${String(number)} of the root`;
}
