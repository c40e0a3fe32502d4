// The row of a certificate that is revoked, and of which nobody here has seen more than its serial.
import type { SerialHex } from '@keyline/kernel';
import type { RevocationReason } from '@keyline/pki';
import type { NewCertificate } from './model.ts';

/** Stands where the profile of such a certificate would. It is none of ca-config's, so nobody is let in by it. */
const noProfile = 'not-on-record';

/** It stays on the CRL until its authority ends: its own end is not known. */
export function revokedUnseen(given: {
  readonly serial: SerialHex;
  readonly owner: string;
  readonly authority: { readonly id: string; readonly notAfter: number };
  readonly shard: string | undefined;
  readonly revokedAt: number;
  readonly reason: RevocationReason;
}): NewCertificate {
  const { serial, owner, authority, shard, revokedAt, reason } = given;
  return {
    ...{ serial, owner, kind: 'service', profile: noProfile, authority: authority.id },
    ...{ notBefore: revokedAt, notAfter: authority.notAfter },
    ...{ spkiSha256: '', der: new Uint8Array(), crlShard: shard ?? null },
    ...{ state: 'revoked', revokedAt, reason },
  };
}
