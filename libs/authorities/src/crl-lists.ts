// Which CRLs there are: one for all of an authority's leaves, and one for each shard that a certificate may name.
import type { AuthorityRecord } from '@keyline/fleet';
import { crlShardName, crlShardUrl, type Authority } from '@keyline/pki';
import { parseCertificate, type ParsedCertificate } from '@keyline/x509';

export interface CrlList {
  /** File name in URLs without its ending, and name of its rows: `issuing-1`, `issuing-1-3of16`. */
  readonly name: string;
  readonly authority: Authority;
  /** The authority's. */
  readonly certificate: ParsedCertificate;
  readonly shard: string | undefined;
  /**
   * URIs that certificates carry as its distribution point, the one of now first; absent for the whole list of a sharded authority, which no
   * certificate names (RFC 5280 §5.2.5).
   */
  readonly distributionPoint: readonly string[] | undefined;
  /** Where it is served, whether certificates name that or not. */
  readonly url: string;
}

export function listName(authority: string, shard: string | null): string {
  return shard === null ? authority : `${authority}-${shard}`;
}

/** @param counts every number of shards that was ever in use */
export function crlListsOf(
  authority: Authority,
  counts: AuthorityRecord['crlShards'],
): readonly CrlList[] {
  const certificate = parseCertificate(authority.certificateDer);
  const { crl, earlierCrls = [] } = authority.urls;
  const shards = counts.flatMap((count) =>
    Array.from({ length: count }, (_, index): CrlList => {
      const shard = crlShardName({ index, count });
      const url = crlShardUrl(crl, { index, count });
      return {
        name: listName(authority.id, shard),
        authority,
        certificate,
        shard,
        distributionPoint: [crl, ...earlierCrls].map((one) => crlShardUrl(one, { index, count })),
        url,
      };
    }),
  );
  const whole: CrlList = {
    name: listName(authority.id, null),
    authority,
    certificate,
    shard: undefined,
    distributionPoint: shards.length === 0 ? [crl, ...earlierCrls] : undefined,
    url: crl,
  };
  return [whole, ...shards];
}
