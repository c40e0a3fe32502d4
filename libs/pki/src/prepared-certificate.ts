// A certificate that may be signed: bytes that were linted, which nobody but this file makes and which are signed once. Nothing else in Keyline
// signs certificates.
import { KeylineError } from '@keyline/kernel';
import {
  algorithms,
  der,
  parseCertificate,
  type ParsedCertificate,
  type Signer,
} from '@keyline/x509';
import type { CompiledProfile } from './compiled-profile.ts';
import { lintSpliced, type SplicedFacts, type SplicedMeaning } from './lint-spliced.ts';
import { assertAuthorityRules, assertAuthoritySignature } from './lint.ts';
import { signTbs } from './sign-tbs.ts';

class PreparedCertificate<Facts> {
  /** What the linted bytes say. */
  readonly facts: Facts;
  readonly #signer: Signer;
  #tbsDer: Uint8Array | undefined;

  constructor(tbsDer: Uint8Array, signer: Signer, facts: Facts) {
    this.#tbsDer = tbsDer;
    this.#signer = signer;
    this.facts = facts;
  }

  /**
   * With the key of the authority for which it was linted. Used up by it, also when signing fails: a serial stands in one certificate.
   * @throws {KeylineError} INTERNAL the second time
   */
  async sign(): Promise<Uint8Array<ArrayBuffer>> {
    const tbsDer = this.#tbsDer;
    if (tbsDer === undefined) {
      throw new KeylineError('INTERNAL', 'A prepared certificate is signed once; prepare another.');
    }
    this.#tbsDer = undefined;
    return signTbs(this.#signer, tbsDer);
  }
}

export type { PreparedCertificate };

/**
 * A leaf, put together here so that nobody else holds the bytes.
 * @param parts of the TBSCertificate, in order
 * @throws {KeylineError} LINT_FAILED
 */
export function prepareLeaf<Facts>(
  parts: readonly Uint8Array[],
  given: {
    readonly signer: Signer;
    readonly compiled: CompiledProfile;
    readonly meaning: SplicedMeaning;
    readonly describe: (linted: SplicedFacts) => Facts;
  },
): PreparedCertificate<Facts> {
  const tbsDer = der.sequence(...parts);
  const linted = lintSpliced(tbsDer, given.compiled, given.meaning);
  return new PreparedCertificate(tbsDer, given.signer, given.describe(linted));
}

/**
 * An authority's, signed once it was linted; its signature is looked at too.
 * @param tbsDer taken over
 * @param issuer absent: a root
 * @throws {KeylineError} LINT_FAILED
 */
export async function signAuthority(
  tbsDer: Uint8Array,
  signer: Signer,
  issuer?: ParsedCertificate,
): Promise<Uint8Array> {
  const { identifierDer } = algorithms[signer.algorithm].signature;
  const unsigned = der.sequence(tbsDer, identifierDer, der.bitString(new Uint8Array(1)));
  assertAuthorityRules(parseCertificate(unsigned), issuer);
  const certificateDer = await new PreparedCertificate(tbsDer, signer, {}).sign();
  assertAuthoritySignature(parseCertificate(certificateDer), issuer);
  return certificateDer;
}
