// Roots and issuing authorities come and go while everything runs: the files that clients and the broker trust follow.
import { readTextIfThere } from '../files/read-file.ts';
import { replaceFile } from '../files/write-file.ts';
import { callAsAdmin, type Issuing } from './certificates.ts';
import type { Layout } from './layout.ts';

/**
 * Brings the trust anchor, the broker's CA bundle and the list of its CRLs up to date.
 * @returns a sentence about what changed, undefined when nothing did
 * @throws {KeylineError}
 */
export async function refreshTrust(layout: Layout, issuing: Issuing): Promise<string | undefined> {
  return callAsAdmin(issuing, async (client) => {
    const bundle = await client.getText('/v1/trust-bundle');
    const { items } = await client.call('listAuthorities', {});
    // Nothing that a revoked one issued is accepted: it leaves what the broker trusts, and so does the CRL that spoke for it.
    const issuers = items.filter(({ role, state }) => role === 'issuing' && state !== 'revoked');
    const changed = [
      await bring(layout.trust, bundle),
      // Devices may send their leaf alone, so the broker knows every authority that ever issued one.
      await bring(
        layout.broker.ca,
        issuers.map(({ certificate }) => certificate).join('') + bundle,
      ),
      // One for each of them: a broker that checks CRLs refuses devices of an authority that it has none of.
      await bring(
        layout.broker.crls,
        issuers.flatMap(({ crl }) => (crl === null ? [] : [`${crl.url}\n`])).join(''),
      ),
    ];
    if (!changed.includes(true)) return undefined;
    return `the trust bundle changed: ${String(issuers.length)} issuing ${issuers.length === 1 ? 'authority' : 'authorities'} now`;
  });
}

async function bring(file: string, text: string): Promise<boolean> {
  const known = await readTextIfThere(file, 'what the broker trusts');
  if (known?.trim() === text.trim()) return false;
  await replaceFile(file, text);
  return true;
}
