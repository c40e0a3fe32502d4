// The service's own certificates (TLS server, OCSP responder, client of the broker): keys live in memory only, a new one at each
// start and at each renewal, so there is no key file to guard and nothing to expire unseen.
import { issueCertificate, type Certificate, type FleetContext } from '@keyline/fleet';
import { createSigner, generateKey } from '@keyline/keys';
import type { Signer } from '@keyline/pki';
import { createCsr } from '@keyline/x509';
import type { KeyObject } from 'node:crypto';

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
  /** Renews when two thirds of the lifetime have passed, or it has not begun (the clock was set back); tells whether it did. */
  renewIfDue(): Promise<boolean>;
}

async function issueOwn(context: FleetContext, spec: OwnCertificateSpec): Promise<OwnCertificate> {
  const privateKey = generateKey('ec-p256');
  const signer = createSigner(privateKey);
  const certificate = await issueCertificate(context, {
    caller: 'keyline',
    ...spec,
    csr: await createCsr({ signer, commonName: spec.name }),
  });
  return { certificate, privateKey, signer };
}

export async function createOwnCertificate(
  context: FleetContext,
  spec: OwnCertificateSpec,
): Promise<OwnCertificates> {
  let own = await issueOwn(context, spec);
  return {
    current: () => own,
    async renewIfDue() {
      const { notBefore, notAfter } = own.certificate;
      const now = context.clock.now();
      const due = notBefore + ((notAfter - notBefore) * 2) / 3;
      if (now >= notBefore && now < due) return false;
      own = await issueOwn(context, spec);
      return true;
    },
  };
}
