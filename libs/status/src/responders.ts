// A delegated OCSP responder for each authority, certified by that authority itself (RFC 6960 §4.2.2.2) and renewed in time.
import {
  createOwnCertificate,
  type Authorities,
  type OwnCertificates,
  type RunningAuthority,
} from '@keyline/authorities';
import type { FleetContext } from '@keyline/fleet';
import { createOcspResponder, type OcspResponder } from '@keyline/pki';

export interface AuthorityResponder {
  readonly authority: string;
  readonly responder: OcspResponder;
  /** When the authority began, epoch milliseconds: before that the clock is wrong. */
  readonly notBefore: number;
}

export interface Responders {
  list(): readonly AuthorityResponder[];
  own(): readonly OwnCertificates[];
  /** Makes those of new authorities, renews those that are due. */
  refresh(): Promise<void>;
}

interface Kept {
  readonly own: OwnCertificates;
  readonly answering: AuthorityResponder;
}

export async function createResponders(
  fleet: FleetContext,
  authorities: Authorities,
): Promise<Responders> {
  const kept = new Map<string, Kept>();

  function answering(
    { id, authority, certificate: { notBefore } }: RunningAuthority,
    own: OwnCertificates,
  ): AuthorityResponder {
    const { certificate, signer } = own.current();
    const responder = createOcspResponder({
      authority,
      responder: { certificateDer: certificate.der, signer },
    });
    return { authority: id, responder, notBefore };
  }

  async function refresh(): Promise<void> {
    for (const running of authorities.all()) {
      const known = kept.get(running.id);
      if (known !== undefined && !(await known.own.renewIfDue())) continue;
      const own =
        known?.own ??
        (await createOwnCertificate(
          fleet,
          { profile: 'ocsp-responder', name: `ocsp.${running.id}@keyline` },
          // Also a revoked one: what it issued is asked for until its last leaf ends.
          { issuer: () => running, isRevoked: () => false },
        ));
      kept.set(running.id, { own, answering: answering(running, own) });
    }
  }

  await refresh();
  return {
    refresh,
    list: () => [...kept.values()].map((one) => one.answering),
    own: () => [...kept.values()].map(({ own }) => own),
  };
}
