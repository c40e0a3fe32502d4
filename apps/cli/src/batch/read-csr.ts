// One CSR file, PEM or DER, and what else it may turn out to be.
import { readBounded } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';
import { encodePem } from '@keyline/x509';

const maxCsrBytes = 16_000;
const labels = ['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'];

/** PEM. @throws {KeylineError} FILE_UNREADABLE for what is no CSR by its looks, too large or empty; whether it holds is the service's matter */
export async function readCsr(path: string): Promise<string> {
  const bytes = await readBounded(path, 'the CSR', maxCsrBytes);
  const refuse = (why: string): KeylineError => new KeylineError('FILE_UNREADABLE', why);
  if (bytes.length === 0) throw refuse('It is empty.');
  const text = bytes.toString('utf8');
  const found = [...text.matchAll(/-----BEGIN ([A-Z0-9 ]{1,40})-----/g)].map(
    ([, label = '']) => label,
  );
  if (found.length === 0) return encodePem('CERTIFICATE REQUEST', bytes);
  if (found.some((label) => label.endsWith('PRIVATE KEY'))) {
    throw refuse('It holds a private key, which should leave its device for nobody.');
  }
  const csrs = found.filter((label) => labels.includes(label));
  if (csrs.length === 0) throw refuse(`It holds no CSR but: ${[...new Set(found)].join(', ')}.`);
  if (csrs.length > 1) throw refuse('It holds several CSRs. Write each into a file of its own.');
  return text;
}
