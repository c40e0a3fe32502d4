// Whether an identity whose certificate held in the handshake still may be here: asked at CONNECT, and of everybody again whenever the
// authorities or the administrators' keys change.
import { setTimeout as sleep } from 'node:timers/promises';
import type { DynsecEngine } from '@keyline/dynsec';
import type { AdminCertificates } from './admin-certificates.ts';
import type { ClientAuthorities } from './client-authorities.ts';
import type { Identity, PeerIdentity } from './peer-identity.ts';
import { refuse, type Refusal } from './refusal.ts';

interface PeerRulesOptions {
  readonly authorities: Pick<ClientAuthorities, 'has'>;
  readonly admins: ReadonlySet<string>;
  readonly adminCertificates: Pick<AdminCertificates, 'areGiven' | 'isPinned' | 'check'>;
  /** Looks at the authorities' file now. */
  readonly refreshAuthorities: () => Promise<void>;
  readonly dynsec: Pick<DynsecEngine, 'checkCertificate' | 'reportUnlisted'>;
}

/** Milliseconds that a certificate may be ahead of the news of it: a device connects right after it was issued. */
const newsPatience = 3000;
const lookEvery = 50;

export class PeerRules {
  readonly #options: PeerRulesOptions;

  constructor(options: PeerRulesOptions) {
    this.#options = options;
  }

  refusalOf(identity: Identity): Refusal | undefined {
    const { login, name, serialHex, issuerId } = identity;
    // Whoever came with a password has neither an authority nor a key.
    if (login === 'password') return undefined;
    if (!this.#options.authorities.has(issuerId)) {
      return refuse(
        'unknown-ca',
        `The certificate of "${name}" (serial ${serialHex}) is of an authority that is let in no more.`,
      );
    }
    if (this.#isUnknownAdmin(identity)) {
      return refuse(
        'admin-key',
        `The certificate of "${name}" (serial ${serialHex}) has the name of an administrator and another key.`,
      );
    }
    return undefined;
  }

  /**
   * What has to be read again before a refusal can be the last word, if anything: an authority may have been installed just now, and an
   * administrator may have got a new key.
   * @param chainHolds whether OpenSSL found the chain to be good
   */
  prepare(
    verdict: PeerIdentity['verdict'],
    { chainHolds, address }: { readonly chainHolds: boolean; readonly address: string },
  ): Promise<void> | undefined {
    if ('refusal' in verdict) {
      return chainHolds && verdict.refusal.reason === 'unknown-ca'
        ? this.#options.refreshAuthorities()
        : undefined;
    }
    const { identity } = verdict;
    if (this.#isUnknownAdmin(identity)) return this.#options.adminCertificates.check();
    return this.#isListed(identity) ? undefined : this.#waitForNews(identity, address);
  }

  #isListed({ name, serialHex }: Identity): boolean {
    const { dynsec, admins } = this.#options;
    return admins.has(name) || dynsec.checkCertificate(name, serialHex) !== 'unlisted';
  }

  /** The issuing CA hears of it at once: it may know better, and what is not known to it is an alert. */
  async #waitForNews(identity: Identity, address: string): Promise<void> {
    const { name, serialHex } = identity;
    this.#options.dynsec.reportUnlisted(name, serialHex, address);
    const deadline = performance.now() + newsPatience;
    while (!this.#isListed(identity) && performance.now() < deadline) await sleep(lookEvery);
  }

  #isUnknownAdmin({ name, keyId }: Identity): boolean {
    const { admins, adminCertificates } = this.#options;
    return (
      admins.has(name) && adminCertificates.areGiven && !adminCertificates.isPinned(name, keyId)
    );
  }
}
