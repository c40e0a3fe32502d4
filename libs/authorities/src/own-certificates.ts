// The service's own certificates (TLS server, OCSP responder, client of the broker): keys live in memory only, a new one at each
// start and at each renewal, so there is no key file to guard and nothing to expire unseen. One that is active no more is replaced.
import { issueCertificate, type Certificate, type FleetContext } from '@keyline/fleet';
import { createSigner, generateKey } from '@keyline/keys';
import { createCsr, type Signer } from '@keyline/x509';
import type { KeyObject } from 'node:crypto';
import { withIssuer, type RunningAuthority } from './authorities.ts';

export interface OwnCertificate {
  readonly certificate: Certificate;
  readonly privateKey: KeyObject;
  readonly signer: Signer;
}

export interface OwnCertificateSpec {
  readonly profile: string;
  readonly name: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

export interface OwnCertificates {
  /** The one in force. */
  current(): OwnCertificate;
  /**
   * Renews when two thirds of the lifetime have passed, it has not begun (the clock was set back), it was revoked, or its authority was and
   * another issues its like now; tells whether it did.
   */
  renewIfDue(): Promise<boolean>;
}

export interface OwnIssuing {
  /** The authority that issues it now. */
  readonly issuer: () => RunningAuthority;
  /** Whether an authority is revoked. */
  readonly isRevoked: (authority: string) => boolean;
}

async function issueOwn(
  fleet: FleetContext,
  spec: OwnCertificateSpec,
  issuer: RunningAuthority,
): Promise<OwnCertificate> {
  const privateKey = generateKey('ec-p256');
  const signer = createSigner(privateKey);
  const certificate = await issueCertificate(withIssuer(fleet, issuer), {
    caller: 'keyline',
    evenIfRevoked: true,
    ...spec,
    csr: await createCsr({ signer, commonName: spec.name }),
  });
  return { certificate, privateKey, signer };
}

export async function createOwnCertificate(
  fleet: FleetContext,
  spec: OwnCertificateSpec,
  { issuer, isRevoked }: OwnIssuing,
): Promise<OwnCertificates> {
  let own = await issueOwn(fleet, spec, issuer());
  let turn: Promise<unknown> = Promise.resolve();

  async function isDue(): Promise<boolean> {
    const { serial, authority, notBefore, notAfter } = own.certificate;
    const now = withIssuer(fleet, issuer()).clock.now();
    if (now < notBefore || now >= notBefore + ((notAfter - notBefore) * 2) / 3) return true;
    // Of one that retired it is still good; clients may not know the root of the one after it yet.
    if (isRevoked(authority) && issuer().id !== authority) return true;
    return (await fleet.store.findCertificate(serial))?.state !== 'active';
  }

  return {
    current: () => own,
    renewIfDue() {
      // One after the other: what is due is renewed once, however many ask.
      const renewed = turn.then(async () => {
        if (!(await isDue())) return false;
        own = await issueOwn(fleet, spec, issuer());
        return true;
      });
      turn = renewed.catch(() => undefined);
      return renewed;
    },
  };
}
