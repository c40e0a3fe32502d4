// The OCSP answers that the roots signed ahead with their CRLs, by the question they answer.
import { readRootAnswers } from '@keyline/fleet';
import type { OcspAnswerAbout, OcspCertId } from '@keyline/pki';

export interface RootAnswers {
  /** Undefined also before the answer's time and after it. @param now epoch milliseconds */
  find(certId: OcspCertId, now: number): OcspAnswerAbout | undefined;
}

/** @param brought what came with each root's CRL: DER, one after the other. @throws {KeylineError} DER_MALFORMED */
export function createRootAnswers(brought: readonly Uint8Array[]): RootAnswers {
  const answers = new Map<string, OcspAnswerAbout>();
  for (const answer of brought.flatMap(readRootAnswers)) {
    answers.set(questionOf(answer.certId), answer);
  }
  return {
    find(certId, now) {
      const found = answers.get(questionOf(certId));
      const isInForce = found !== undefined && now >= found.thisUpdate && now < found.nextUpdate;
      return isInForce ? found : undefined;
    },
  };
}

/** The same also where one writes the digest's parameters as NULL and the other leaves them out. */
function questionOf({ hashAlgorithm, issuerNameHash, issuerKeyHash, serial }: OcspCertId): string {
  return [hashAlgorithm, issuerNameHash, issuerKeyHash, serial].join(' ');
}
