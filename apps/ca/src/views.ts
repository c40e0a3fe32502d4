// Pieces of what the API shows; a noun's own view is beside its handlers (routes/).
import { formatInstant, type Instant } from '@keyline/kernel';
import { encodePem } from '@keyline/x509';

export function optionalInstant(instant: Instant | null): string | null {
  return instant === null ? null : formatInstant(instant);
}

export function certificatePem(der: Uint8Array): string {
  return encodePem('CERTIFICATE', der);
}
