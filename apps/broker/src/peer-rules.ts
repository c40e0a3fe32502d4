// Whether an identity whose certificate held in the handshake still may be here: asked at CONNECT, and of everybody again whenever the
// authorities or the administrators' keys change.
import type { AdminCertificates } from './admin-certificates.ts';
import type { ClientAuthorities } from './client-authorities.ts';
import type { Identity, Passport } from './passport.ts';
import { refuse, type Refusal } from './refusal.ts';

interface PeerRulesOptions {
  readonly authorities: Pick<ClientAuthorities, 'has'>;
  readonly admins: ReadonlySet<string>;
  readonly adminCertificates: Pick<AdminCertificates, 'areGiven' | 'isPinned' | 'check'>;
  /** Looks at the authorities' file now. */
  readonly refreshAuthorities: () => Promise<void>;
}

export class PeerRules {
  readonly #options: PeerRulesOptions;

  constructor(options: PeerRulesOptions) {
    this.#options = options;
  }

  refusalOf(identity: Identity): Refusal | undefined {
    const { name, serialHex, issuerId } = identity;
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
  prepare(verdict: Passport['verdict'], chainHolds: boolean): Promise<void> | undefined {
    if ('refusal' in verdict) {
      return chainHolds && verdict.refusal.reason === 'unknown-ca'
        ? this.#options.refreshAuthorities()
        : undefined;
    }
    return this.#isUnknownAdmin(verdict.identity)
      ? this.#options.adminCertificates.check()
      : undefined;
  }

  #isUnknownAdmin({ name, keyId }: Identity): boolean {
    const { admins, adminCertificates } = this.#options;
    return (
      admins.has(name) && adminCertificates.areGiven && !adminCertificates.isPinned(name, keyId)
    );
  }
}
