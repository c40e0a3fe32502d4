// Whether this machine's clock and a certificate that was just issued go together: the service's clock is in the certificate.
import { X509Certificate } from 'node:crypto';
import type { Clock } from '@keyline/kernel';

/** `right`, or how this machine's clock must be wrong: then no TLS connection comes about with the certificate. */
export type ClockVerdict = 'right' | 'behind' | 'ahead';

/** @param pem a certificate that the service has just said is valid now */
export function judgeClock(pem: string, clock: Clock): ClockVerdict {
  const { validFromDate, validToDate } = new X509Certificate(pem);
  const now = clock.now();
  if (now < validFromDate.getTime()) return 'behind';
  return now >= validToDate.getTime() ? 'ahead' : 'right';
}
