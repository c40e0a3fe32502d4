// Whether the machine's clock can be right at all: an authority did not sign before it was there.
import { formatInstant, KeylineError } from '@keyline/kernel';
import type { ParsedCertificate } from '@keyline/x509';

/**
 * A machine without a battery for its clock starts in 1970, or when its system was built. What is signed then has ended when the clock is
 * right, and a CRL of then locks everybody out.
 * @throws {KeylineError} CLOCK_WRONG before the authority's own certificate begins
 */
export function assertClock(authority: ParsedCertificate, now: number): void {
  if (now >= authority.notBefore) return;
  throw new KeylineError(
    'CLOCK_WRONG',
    `The clock of the issuing CA says ${formatInstant(now)}, and the certificate of its authority "${authority.commonName ?? authority.serial}" begins at ${formatInstant(authority.notBefore)}. Nothing is signed before that. Set the clock of that machine (timedatectl); it then goes on by itself.`,
  );
}
