// Which of an authority's partial CRLs speaks of a certificate. Decided when the certificate is issued and written into it, never again.
import { KeylineError } from '@keyline/kernel';

/** One of `count` CRLs that share an authority's certificates among them. */
export interface CrlShard {
  /** 0 to `count - 1`. */
  readonly index: number;
  readonly count: number;
}

const mostShards = 4096;

/** @throws {KeylineError} PROFILE_VIOLATION */
export function assertShardCount(count: number): void {
  if (!Number.isInteger(count) || count < 1 || count > mostShards) {
    throw new KeylineError(
      'PROFILE_VIOLATION',
      `An authority's CRL may be shared among 1 to ${String(mostShards)} shards, not ${String(count)}.`,
    );
  }
}

/** Serial modulo count, of the serial's octets: every serial has one shard, and the serials are random, so the shards are of one size. */
export function shardIndexOf(serial: Uint8Array, count: number): number {
  let rest = 0;
  for (const octet of serial) rest = (rest * 256 + octet) % count;
  return rest;
}

/** `3of16`: for rows and file names. The count is part of it, so that shards of another count never are mistaken for these. */
export function crlShardName({ index, count }: CrlShard): string {
  return `${String(index)}of${String(count)}`;
}

/** `…/issuing-1.crl` → `…/issuing-1-3of16.crl`: distribution point of the certificates and of the CRL, identical in both (RFC 5280 §5.2.5). */
export function crlShardUrl(crlUrl: string, shard: CrlShard): string {
  return withSuffix(crlUrl, crlShardName(shard));
}

/** `…/issuing-1.crl` → `…/issuing-1-delta.crl`, for a base's FreshestCRL; the same for a shard's URL. */
export function deltaCrlUrl(crlUrl: string): string {
  return withSuffix(crlUrl, 'delta');
}

function withSuffix(crlUrl: string, suffix: string): string {
  return crlUrl.endsWith('.crl')
    ? `${crlUrl.slice(0, -4)}-${suffix}.crl`
    : `${crlUrl}-${suffix}.crl`;
}

/** The shard that a certificate with this serial names, of so many. */
export function shardNameOf(serial: Uint8Array, count: number): string {
  return crlShardName({ index: shardIndexOf(serial, count), count });
}
