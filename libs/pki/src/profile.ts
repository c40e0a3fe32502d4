// What a certificate of a kind looks like, as data. Loaded and checked by libs/config, turned into bytes by the issuer.

import type { KeyAlgorithm } from '@keyline/x509';

export { keyAlgorithms, type KeyAlgorithm } from '@keyline/x509';

/** RFC 5280 §4.2.1.3 names. */
export type KeyUsage =
  'digitalSignature' | 'keyEncipherment' | 'keyAgreement' | 'keyCertSign' | 'cRLSign';

export type ExtendedKeyUsage = 'serverAuth' | 'clientAuth' | 'OCSPSigning';
export const extendedKeyUsages = [
  'serverAuth',
  'clientAuth',
  'OCSPSigning',
] as const satisfies readonly ExtendedKeyUsage[];

/** What kind of holder a profile is for; decides what the API lets its certificate do. */
export type ProfileKind = 'device' | 'server' | 'service' | 'operator' | 'station' | 'ocsp';
export const profileKinds = [
  'device',
  'server',
  'service',
  'operator',
  'station',
  'ocsp',
] as const satisfies readonly ProfileKind[];

export interface Profile {
  readonly name: string;
  readonly description: string;
  readonly kind: ProfileKind;
  /** RDNs in order. Values are templates: `{id}`, `{type}`, `{batch}`, `{label.NAME}`; an RDN whose placeholder is empty is left out. */
  readonly subject: readonly {
    readonly attribute: 'CN' | 'O' | 'OU' | 'C' | 'serialNumber';
    readonly value: string;
  }[];
  /** SANs; same templates. `request` entries copy the (allowed) names asked for in the issue request, never from the CSR by itself. */
  readonly san: readonly (
    | { readonly uri: string }
    | { readonly dns: string }
    | { readonly request: 'dns' | 'ip' }
    /** hardwareModuleName (RFC 4108 §5), for IDevIDs: the maker's OID of the hardware, and its serial number as a template. */
    | { readonly hardwareModule: { readonly type: string; readonly serialNumber: string } }
  )[];
  readonly keyAlgorithms: readonly KeyAlgorithm[];
  /** Duration (`90d`), or `until` for a fixed end such as IDevID's 9999-12-31T23:59:59Z. */
  readonly validity: { readonly duration: string } | { readonly until: string };
  /** A request may ask for a shorter validity, never a longer one. */
  readonly allowShorterValidity: boolean;
  /** Duration; how far notBefore lies in the past, for devices with slow clocks. */
  readonly backdate: string;
  readonly keyUsage: readonly KeyUsage[];
  readonly extendedKeyUsage: readonly ExtendedKeyUsage[];
  /** CRL distribution point and AIA (caIssuers, OCSP) from the authority's URLs. */
  readonly crlDistributionPoint: boolean;
  readonly authorityInfoAccess: boolean;
  /** id-pkix-ocsp-nocheck (RFC 6960 §4.2.2.2.1): OCSP responder certificates only. */
  readonly ocspNoCheck: boolean;
  /** noRevAvail (RFC 9608): leaves that live shorter than a revocation takes to arrive; excludes CDP and AIA OCSP. */
  readonly noRevAvail: boolean;
  /** What a holder may do at the REST API; absent: nothing. */
  readonly apiRole?: 'admin' | 'operator' | 'station' | 'auditor' | 'device' | undefined;
  /** Renewal is offered in the last part of the lifetime (share 0 to 1) and accepted for `grace` (a duration) after expiry. */
  readonly renewal: { readonly window: number; readonly grace: string };
}

/** A profile lookup by name, as loaded from ca-config/profiles. */
export type Profiles = ReadonlyMap<string, Profile>;
