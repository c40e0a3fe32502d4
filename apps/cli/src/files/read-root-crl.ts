// What keyline-root crl made: the CRL, and beside it the OCSP answers of the same run.

/**
 * The body of a call that brings both.
 * @param file of the CRL, PEM; the answers are in `<file>.ocsp`, where they were carried along and there are any
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE
 */
import { readText, readTextIfThere } from '@keyline/files';
export async function readRootCrl(file: string): Promise<{ crl: string; ocsp?: string }> {
  const crl = await readText(file, "the root's CRL");
  const ocsp = await readTextIfThere(`${file}.ocsp`, "the root's OCSP answers");
  return ocsp === undefined || ocsp.trim() === '' ? { crl } : { crl, ocsp };
}
