// Roots and issuing authorities come and go while everything runs: the files that clients and the broker trust follow.
import { readTextIfThere, replaceFile } from '@keyline/files';
import { callAsAdmin, keepFresh, type Issuing, type KeptCertificate } from './certificates.ts';
import type { Layout } from './layout.ts';

/**
 * Brings the trust anchor, the broker's CA bundle and the list of its CRLs up to date, and replaces certificates of authorities that
 * were revoked.
 * @param kept certificates that `up` keeps
 * @returns a sentence about what changed, undefined when nothing did
 * @throws {KeylineError}
 */
export async function refreshTrust(
  layout: Layout,
  issuing: Issuing,
  kept: readonly KeptCertificate[],
): Promise<string | undefined> {
  const { said, revoked } = await bringTrust(layout, issuing);
  const sentences = [said];
  for (const one of revoked.length === 0 ? [] : kept) {
    sentences.push(await keepFresh(one, issuing, revoked));
  }
  return sentences.filter((sentence) => sentence !== undefined).join('; ') || undefined;
}

async function bringTrust(
  layout: Layout,
  issuing: Issuing,
): Promise<{ readonly said: string | undefined; readonly revoked: readonly string[] }> {
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
        issuers
          .flatMap(({ crl }) => (crl === null ? [] : [`${innerOf(crl.url, issuing)}\n`]))
          .join(''),
      ),
    ];
    const revoked = items
      .filter(({ state }) => state === 'revoked')
      .map(({ certificate }) => certificate);
    if (!changed.includes(true)) return { said: undefined, revoked };
    const said = `the trust bundle changed: ${String(issuers.length)} issuing ${issuers.length === 1 ? 'authority' : 'authorities'} now`;
    return { said, revoked };
  });
}

/** Where the broker of this machine fetches what certificates name by an outer address. */
function innerOf(url: string, { http: { outer, inner } }: Issuing): string {
  return url.startsWith(`${outer}/`) ? inner + url.slice(outer.length) : url;
}

async function bring(file: string, text: string): Promise<boolean> {
  const known = await readTextIfThere(file, 'what the broker trusts');
  if (known?.trim() === text.trim()) return false;
  await replaceFile(file, text);
  return true;
}
