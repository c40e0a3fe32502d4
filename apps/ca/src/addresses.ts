// How the service is called and was called before: what certificates that are out name, and until when.
import type { AddressesView } from '@keyline/api';
import type { Authorities } from '@keyline/authorities';
import { formatInstant, type Clock } from '@keyline/kernel';
import type { ParsedCertificate } from '@keyline/x509';
import type { CaSettings } from './ca-folder.ts';

export function createAddresses(given: {
  readonly settings: Pick<CaSettings, 'httpUrl' | 'earlier'>;
  readonly names: readonly string[];
  readonly brokerUrl: string | undefined;
  readonly authorities: Pick<Authorities, 'all'>;
  readonly clock: Clock;
}): () => AddressesView {
  const { settings, names, brokerUrl, authorities, clock } = given;
  const { httpUrl, earlier = [] } = settings;
  return () => ({
    names: [...names],
    http: httpUrl,
    broker: brokerUrl ?? '',
    earlier: earlier.map(({ httpUrl: http, leftAt, until }) => ({
      http,
      leftAt,
      until: until ?? null,
      authorities: authorities
        .all()
        .filter(
          ({ certificate }) => clock.now() < certificate.notAfter && isNamedBy(certificate, http),
        )
        .map(({ id, certificate }) => ({ id, notAfter: formatInstant(certificate.notAfter) })),
    })),
  });
}

function isNamedBy(certificate: ParsedCertificate, origin: string): boolean {
  const { crlDistributionPoints, ocspUrls, caIssuersUrls } = certificate;
  return [...crlDistributionPoints, ...ocspUrls, ...caIssuersUrls].some((url) =>
    url.startsWith(`${origin}/`),
  );
}
