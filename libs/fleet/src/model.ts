// The nouns of the fleet as rows: plain data, the same on every store. Times are epoch milliseconds UTC.
import type { DeviceId, SerialHex } from '@keyline/kernel';
import type { AlertSeverity, DeviceState } from '@keyline/ledger';
import type { ProfileKind, RevocationReason } from '@keyline/pki';

export type { AlertSeverity, DeviceState };
export const deviceStates = [
  'registered',
  'active',
  'suspended',
  'revoked',
  'decommissioned',
] as const satisfies readonly DeviceState[];

export type Labels = Readonly<Record<string, string>>;

/** A device, or a service: by its type one can tell which (`identityKindOf`). */
export interface Device {
  readonly id: DeviceId;
  readonly type: string;
  readonly batch: string | null;
  readonly labels: Labels;
  readonly state: DeviceState;
  /** Counts changes of the row; what optimistic conditions compare. */
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
  /** Serial and end of the newest certificate. */
  readonly serial: SerialHex | null;
  readonly notAfter: number | null;
  /** Seq of the ledger entry that the row stands on: of its last change. Null where a unit had none. */
  readonly entry: number | null;
  /** Seq of the entry by which it was last let in: its enrollment or reissue, which says by what. */
  readonly admission: number | null;
  /** The certificate before the newest, which may be used in its place until the newest was first used; null: there is none, or none any more. */
  readonly predecessor: SerialHex | null;
}

/** As it is inserted: the entries are those of the unit. */
export type NewDevice = Omit<Device, 'entry' | 'admission'>;

export type CertificateState = 'active' | 'superseded' | 'revoked';

export interface Certificate {
  readonly serial: SerialHex;
  readonly kind: ProfileKind;
  /** Device id, or the name of a service, operator or station. */
  readonly owner: string;
  readonly profile: string;
  readonly authority: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** SHA-256 of the SPKI, lower-case hex. */
  readonly spkiSha256: string;
  readonly der: Uint8Array;
  /** `3of16` when it names a shard of its authority's CRL. */
  readonly crlShard: string | null;
  readonly state: CertificateState;
  readonly revokedAt: number | null;
  readonly reason: RevocationReason | null;
  /** Seq of the ledger entry that issued it; once it was revoked or held, of the one that did that or lifted it. */
  readonly entry: number | null;
}

/** As it is inserted: the entry is that of the unit. */
export type NewCertificate = Omit<Certificate, 'entry'>;

/** What callers are; see docs/threat-model.md. */
export type CallerRole = 'admin' | 'operator' | 'station' | 'auditor' | 'device' | 'service';
export const apiTokenRoles = [
  'admin',
  'operator',
  'station',
  'auditor',
] as const satisfies readonly CallerRole[];
export type ApiTokenRole = (typeof apiTokenRoles)[number];

export interface EnrollmentToken {
  readonly id: string;
  /** SHA-256 of the secret, lower-case hex; the secret itself is shown once and never stored. */
  readonly secretHash: string;
  readonly description: string;
  /** Glob over the device id (`line1-*`, `?` one character), null: any. */
  readonly idPattern: string | null;
  readonly type: string;
  readonly labels: Labels;
  readonly maxUses: number;
  readonly uses: number;
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly revokedAt: number | null;
}

export interface ApiToken {
  readonly id: string;
  readonly secretHash: string;
  readonly description: string;
  readonly role: ApiTokenRole;
  readonly expiresAt: number;
  readonly createdAt: number;
  readonly createdBy: string;
  readonly revokedAt: number | null;
}

export interface Batch {
  readonly id: string;
  readonly type: string;
  readonly quota: number;
  /** Units signed so far; never above quota (a condition of the store). */
  readonly issued: number;
  readonly idPattern: string | null;
  /** Station names that may sign; empty: any station. */
  readonly stations: readonly string[];
  readonly labels: Labels;
  /** Whether a unit may come again with a different key (rework). */
  readonly rework: boolean;
  readonly state: 'open' | 'closed';
  readonly endsAt: number;
  readonly createdAt: number;
  readonly createdBy: string;
}

/**
 * `pending`: its CSR waits for the root. `retired`: signs no certificate any more, only CRL and OCSP, until its last leaf ends.
 * `revoked`: its root's CRL lists it; for good, and nothing that it issued is believed any more.
 */
export type AuthorityState = 'pending' | 'ready' | 'retired' | 'revoked';

/** An issuing authority; its key is in a file beside the database. */
export interface AuthorityRecord {
  /** Short name in URLs and rows. */
  readonly id: string;
  readonly state: AuthorityState;
  /** DER; null while pending. */
  readonly certificate: Uint8Array | null;
  /** DER of the root that signed it; null while pending. */
  readonly root: Uint8Array | null;
  /** Every number of shards its CRL was ever shared among: certificates that name one are out. */
  readonly crlShards: readonly number[];
  readonly createdAt: number;
  /** What its root's CRL says of it; null while that does not list it. */
  readonly revokedAt: number | null;
  readonly reason: RevocationReason | null;
}

/** A change that waits for a second administrator. */
export interface Approval {
  readonly id: string;
  /** Name of the route. */
  readonly action: string;
  /** What it was called with, JSON. */
  readonly input: string;
  /** For people: "activate issuing-2 for all profiles". */
  readonly summary: string;
  /** The administrator, also where a token of theirs asked. */
  readonly requestedBy: string;
  readonly requestedAt: number;
  readonly expiresAt: number;
  readonly state: 'open' | 'approved' | 'rejected';
  readonly decidedBy: string | null;
  readonly decidedAt: number | null;
}

export interface Crl {
  /**
   * Which list it is one of, and its file name in URLs: an authority's id, or that with a shard behind it (`issuing-1-3of16`). Complete
   * CRLs and deltas of a list share its numbers.
   */
  readonly list: string;
  readonly kind: 'complete' | 'delta';
  /** Monotonic per list (RFC 5280 §5.2.3). */
  readonly number: number;
  /** Number of the complete CRL that a delta adds to; null for a complete one. */
  readonly baseNumber: number | null;
  readonly der: Uint8Array;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** Ledger position whose revocations it contains, with its base. */
  readonly ledgerSeq: number;
  /** Only beside a root's: OCSP answers about the certificates of authorities, DER, one after the other. */
  readonly answers?: Uint8Array;
}

/** A certificate that one of our authorities signed and that is not on record: it is not let in until somebody decides about it. */
export interface QuarantinedCertificate {
  readonly serial: SerialHex;
  /** Whom it names. Of a device or service, or a name with an "@". */
  readonly identity: string;
  /** Null: only a broker has told of it, and it did not say. */
  readonly authority: string | null;
  /** Null: nobody has presented it to this service yet. */
  readonly der: Uint8Array | null;
  /** `api`, or the broker's name. */
  readonly seenBy: string;
  /** Where it came from last; empty: not known. */
  readonly address: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly state: 'waiting' | 'adopted' | 'revoked';
  readonly decidedBy: string | null;
  readonly decidedAt: number | null;
}

export interface Alert {
  /** What makes two findings the same alert: `expiry:device:sensor:7d`. */
  readonly key: string;
  readonly severity: AlertSeverity;
  readonly summary: string;
  /** Number of things it groups, and the first few of them. */
  readonly count: number;
  readonly examples: readonly string[];
  readonly firstAt: number;
  readonly lastAt: number;
  readonly resolvedAt: number | null;
}

/** The answer to a POST with an Idempotency-Key, kept for a day. */
export interface IdempotencyRecord {
  /** Caller and key, joined. */
  readonly key: string;
  /** SHA-256 of method, URL and body. */
  readonly requestHash: string;
  readonly status: number;
  readonly body: string;
  readonly expiresAt: number;
}

/** A broker's count of comings and goings; it begins anew with each start of the broker. */
export interface PresenceSource {
  /** Grows with each: the last of a target is the one that counts. */
  readonly id: number;
  readonly target: string;
  /** The broker's own word for it. */
  readonly start: string;
  /** How far it is on record. */
  readonly last: number;
  /** When all that there was to tell was on record; null: never yet. */
  readonly asOf: number | null;
}

/** The newest that is on record of one identity on one broker. */
export interface PresenceRow {
  /** Device id, or the name of a service. */
  readonly identity: string;
  readonly target: string;
  /** By which source it was told. */
  readonly source: number;
  readonly online: boolean;
  /** Since when it is there; or when its last connection ended. */
  readonly at: number;
  readonly clientId: string;
  /** 3 (MQTT 3.1), 4 (MQTT 3.1.1), 5; null: not told. */
  readonly protocol: number | null;
  readonly address: string;
}

/** That a broker refused something to somebody who showed, or named, this identity; alike ones counted. */
export interface RefusalRow {
  readonly identity: string;
  readonly target: string;
  readonly event: string;
  readonly reason: string;
  /** Of a publish or subscribe; else empty. */
  readonly topic: string;
  readonly firstAt: number;
  readonly lastAt: number;
  readonly count: number;
  readonly clientId: string;
  readonly address: string;
  /** Of the certificate that was shown; else empty. */
  readonly serial: string;
  readonly happened: string;
  readonly remedy: string;
  /** False: the peer has said that name and not shown that it is his. */
  readonly proven: boolean;
}
