// Mosquitto 2.0 is started again for a new CRL, at a moment of its own: until it was, a session may be cut, which looks like a refusal.
import { expect } from 'vitest';

const patience = { timeout: 80_000, interval: 100 };

/**
 * @param metrics base URL of the broker's figures
 * @param changes answers of the API with the evidence of what was changed: the broker refuses by their CRLs afterwards
 */
export async function untilCrlsInForce(
  metrics: () => string | undefined,
  changes: readonly { readonly evidence: { readonly crl?: { readonly number: number | null } } }[],
): Promise<void> {
  const wanted = Math.max(...changes.map(({ evidence }) => evidence.crl?.number ?? 0));
  await expect
    .poll(async () => {
      const answer = await fetch(`${String(metrics())}/metrics`).catch(() => undefined);
      const text = (await answer?.text()) ?? '';
      if (!/^keyline_broker_up 1$/m.test(text)) return 0;
      return Number(/^keyline_broker_crl_number\{crl="issuing-1.crl"\} (\d+)$/m.exec(text)?.[1]);
    }, patience)
    .toBeGreaterThanOrEqual(wanted);
}
