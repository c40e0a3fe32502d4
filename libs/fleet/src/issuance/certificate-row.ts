// The row of a certificate that was issued to a device, service, operator or station.
import type { IssuedCertificate } from '@keyline/pki';
import type { NewCertificate } from '../model.ts';

export function certificateRow(
  issued: IssuedCertificate,
  holder: Pick<NewCertificate, 'owner' | 'profile' | 'kind'>,
): NewCertificate {
  return {
    serial: issued.serial,
    kind: holder.kind,
    owner: holder.owner,
    profile: holder.profile,
    authority: issued.authority,
    notBefore: issued.notBefore,
    notAfter: issued.notAfter,
    spkiSha256: issued.spkiSha256,
    der: issued.der,
    crlShard: issued.crlShard ?? null,
    state: 'active',
    revokedAt: null,
    reason: null,
  };
}
