// The OCSP answers that a root signed offline with its CRL (RFC 6960 §4.2.2.2, RFC 5019 §2.2): believed only when they say what the CRL says.
import { KeylineError, type SerialHex } from '@keyline/kernel';
import { createCertId, parseOcspAnswer, type OcspAnswerAbout } from '@keyline/pki';
import {
  DerReader,
  equalBytes,
  verifySignature,
  type ParsedCertificate,
  type ParsedCrl,
} from '@keyline/x509';

/** Of what was checked when it was brought: DER, one after the other. @throws {KeylineError} DER_MALFORMED */
export function readRootAnswers(answers: Uint8Array): OcspAnswerAbout[] {
  const found: OcspAnswerAbout[] = [];
  const reader = new DerReader(answers);
  while (!reader.isAtEnd()) found.push(parseOcspAnswer(reader.whole(reader.read())));
  return found;
}

/**
 * Checks the answers that came with a CRL.
 * @param given.crl of the root, verified
 * @param given.before the CRL that it takes the place of
 * @returns DER, one after the other
 * @throws {KeylineError} DER_MALFORMED; PATH_INVALID unless the root signed each of them, for the CRL's time, to say the same
 */
export function checkRootAnswers(given: {
  readonly answers: readonly Uint8Array[];
  readonly root: ParsedCertificate;
  readonly crl: ParsedCrl;
  readonly before: ParsedCrl | undefined;
}): Uint8Array {
  for (const answerDer of given.answers) {
    const answer = parseOcspAnswer(answerDer);
    const fault = faultOf(answer, given);
    if (fault === undefined) continue;
    throw new KeylineError(
      'PATH_INVALID',
      `The OCSP answer about ${answer.certId.serial} is not one to serve with this CRL: ${fault}. Bring both files of one run of "keyline-root crl"; nothing was changed.`,
    );
  }
  return Buffer.concat(given.answers);
}

function faultOf(
  answer: OcspAnswerAbout,
  { root, crl, before }: { root: ParsedCertificate; crl: ParsedCrl; before: ParsedCrl | undefined },
): string | undefined {
  const { certId, status, thisUpdate, nextUpdate } = answer;
  // Its CertID as a question would have it: the root's name and key.
  const { hashAlgorithm, serial, certIdDer } = certId;
  if (
    hashAlgorithm === 'other' ||
    !equalBytes(createCertId(root, serial as SerialHex, hashAlgorithm).certIdDer, certIdDer)
  ) {
    return "it is not about a certificate of the CRL's root";
  }
  if (!verifySignature({ ...answer, spkiDer: root.spkiDer })) return 'the root did not sign it';
  if (thisUpdate !== crl.thisUpdate || nextUpdate !== crl.nextUpdate) {
    return 'it was made at another time, or ends at another';
  }
  const isListed = (list: ParsedCrl | undefined): boolean =>
    list?.entries.some((entry) => entry.serial === serial) === true;
  if (status !== (isListed(crl) ? 'revoked' : 'good')) {
    return `it says "${status}", and the CRL says otherwise`;
  }
  // Revoked is for good (RFC 6960 §2.2), also where a root's state was taken back to an earlier day.
  if (status === 'good' && isListed(before)) return 'the CRL before this one has it revoked';
  return undefined;
}
