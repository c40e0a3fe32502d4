// What to say when this machine's clock and a new certificate do not go together.
import type { ClockVerdict } from '@keyline/client';

/** A sentence for stderr; empty when there is nothing to say. */
export function describeClock(clock: ClockVerdict): string {
  if (clock === 'right') return '';
  return `This machine's clock is ${clock}: by it the certificate is ${clock === 'behind' ? 'not valid yet' : 'over already'}, and nothing here can connect with it. Set the clock (UTC).\n`;
}
