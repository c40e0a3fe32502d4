// What the use cases need from outside: a store that commits units of work, and reads.
import type { IdentityKind } from '@keyline/access';
import type { DeviceId, SerialHex } from '@keyline/kernel';
import type { CrlEntry, ProfileKind, RevocationReason } from '@keyline/pki';
import type {
  CommitResult,
  EntryData,
  LedgerReader,
  LedgerStore,
  LedgerEntry,
  LedgerWrite,
  NewEntry,
} from '@keyline/ledger';
import type { Job, JobCaller, JobResult, JobResultStatus, JobState } from './job-model.ts';
import type {
  Alert,
  ApiToken,
  Approval,
  AuthorityRecord,
  AuthorityState,
  Batch,
  Certificate,
  Crl,
  Device,
  DeviceState,
  EnrollmentToken,
  IdempotencyRecord,
  Labels,
  NewCertificate,
  NewDevice,
  PresenceRow,
  PresenceSource,
  QuarantinedCertificate,
  RefusalRow,
} from './model.ts';

/**
 * One row change with the condition it depends on. The store applies the writes of a unit in order; the first whose condition fails
 * undoes the whole unit and is named in the result.
 */
export type Write =
  /** Fails with DEVICE_EXISTS. The row stands on the unit's first entry, and was let in by it. */
  | {
      readonly op: 'insert-device';
      readonly device: NewDevice;
      /** Fails with DEVICE_EXISTS also for an id that differs from another in case alone (context `inOtherCase`). */
      readonly distinctIgnoringCase?: boolean;
    }
  /** Fails with DEVICE_CHANGED unless the row's version is `expectVersion`; sets version + 1, updatedAt = `at` and the unit's first entry. */
  | {
      readonly op: 'update-device';
      readonly id: DeviceId;
      readonly expectVersion: number;
      readonly at: number;
      readonly state: DeviceState;
      readonly serial: SerialHex | null;
      readonly notAfter: number | null;
      /** Whether that entry also lets it in (anew). */
      readonly admits?: boolean;
      /** Which certificate may be used in place of this one until it was used itself; absent: none, or as before for a serial that stays. */
      readonly predecessor?: SerialHex;
      /** Left as they are when absent. */
      readonly type?: string;
      readonly batch?: string | null;
      readonly labels?: Labels;
    }
  /** Fails with STORE_CONFLICT on a serial that was used before, with AUTHORITY_STATE_FORBIDS when its authority is revoked. */
  | {
      readonly op: 'insert-certificate';
      readonly certificate: NewCertificate;
      /** What a revoked authority still signs: its own OCSP responder. */
      readonly evenIfRevoked?: boolean;
    }
  /** Binds a key to its owner for ever. Fails with CSR_KEY_IN_USE (context `owner`) when another owner has it. */
  | { readonly op: 'claim-key'; readonly spkiSha256: string; readonly owner: string }
  /** active → superseded; a certificate in another state is left alone. */
  | {
      readonly op: 'supersede-certificate';
      readonly serial: SerialHex;
      /** Fails with CERTIFICATE_ALREADY_REVOKED when it is revoked, CERTIFICATE_NOT_FOUND when it is not there. */
      readonly unlessRevoked?: boolean;
    }
  /** Fails with CERTIFICATE_ALREADY_REVOKED, CERTIFICATE_NOT_FOUND. */
  | {
      readonly op: 'revoke-certificate';
      readonly serial: SerialHex;
      readonly at: number;
      readonly reason: RevocationReason;
      /** Which of the unit's entries says so, by position; absent: the first. */
      readonly entry?: number;
    }
  /**
   * The newest certificate of a device was used, so its predecessor may be used no more; sets version + 1.
   * Fails with DEVICE_CHANGED unless `serial` is the newest and has a predecessor.
   */
  | { readonly op: 'end-predecessor'; readonly device: DeviceId; readonly serial: SerialHex }
  /** An operator's word that a device may renew before its window, with the key it has. In place of an earlier one. */
  | { readonly op: 'allow-renewal'; readonly device: DeviceId; readonly until: number }
  /** Uses such a word up; one that is not there is no error. */
  | { readonly op: 'end-allowance'; readonly device: DeviceId }
  /** Lifts a certificateHold (resume): revoked with reason certificateHold → active; others are left alone. */
  | { readonly op: 'unhold-certificate'; readonly serial: SerialHex }
  | { readonly op: 'insert-token'; readonly token: EnrollmentToken }
  /** uses + 1. Fails with TOKEN_INVALID (gone or revoked), TOKEN_EXPIRED (at ≥ expiresAt), TOKEN_EXHAUSTED. */
  | { readonly op: 'use-token'; readonly id: string; readonly at: number }
  /** Fails with NOT_FOUND. Revoking twice is no error. */
  | { readonly op: 'revoke-token'; readonly id: string; readonly at: number }
  | { readonly op: 'insert-api-token'; readonly token: ApiToken }
  | { readonly op: 'revoke-api-token'; readonly id: string; readonly at: number }
  /** Fails with BATCH_EXISTS. */
  | { readonly op: 'insert-batch'; readonly batch: Batch }
  /**
   * issued + units; 0 for a rework, which only needs the batch open.
   * Fails with BATCH_NOT_FOUND, BATCH_CLOSED (closed, or at ≥ endsAt), BATCH_QUOTA_EXHAUSTED.
   */
  | { readonly op: 'take-quota'; readonly id: string; readonly at: number; readonly units: 0 | 1 }
  /** Fails with BATCH_NOT_FOUND, BATCH_CLOSED, BATCH_QUOTA_EXHAUSTED (context `issued`) when more are signed already. */
  | {
      readonly op: 'change-quota';
      readonly id: string;
      readonly quota: number;
      readonly at: number;
    }
  /** Fails with BATCH_NOT_FOUND. Closing twice is no error. */
  | { readonly op: 'close-batch'; readonly id: string }
  /** Fails with AUTHORITY_EXISTS. */
  | { readonly op: 'insert-authority'; readonly authority: AuthorityRecord }
  /** Fails with STORE_CONFLICT unless it is in one of the states expected. */
  | {
      readonly op: 'update-authority';
      readonly id: string;
      readonly expectStates: readonly AuthorityState[];
      readonly state: AuthorityState;
      /** Left as they are when absent. */
      readonly certificate?: Uint8Array;
      readonly root?: Uint8Array;
      readonly crlShards?: readonly number[];
      readonly revokedAt?: number;
      readonly reason?: RevocationReason;
    }
  /** Adding one twice is no error. */
  | { readonly op: 'put-trust'; readonly der: Uint8Array; readonly at: number }
  /** From now on this authority issues the profile. */
  | { readonly op: 'assign-profile'; readonly profile: string; readonly authority: string }
  /** Fails with STORE_CONFLICT unless number is above every earlier one of the list. Keeps the newest few of each kind. */
  | { readonly op: 'insert-crl'; readonly crl: Crl }
  /** No CRL of the list gets this number or one below it any more. A lower one than before changes nothing. */
  | { readonly op: 'raise-crl-number'; readonly list: string; readonly number: number }
  /** Fails with STORE_CONFLICT when it is on record by now. One that waits already, or was decided about, is completed. */
  | {
      readonly op: 'quarantine-certificate';
      readonly serial: SerialHex;
      readonly identity: string;
      readonly authority: string | null;
      readonly der: Uint8Array | null;
      readonly seenBy: string;
      readonly address: string;
      readonly at: number;
    }
  /** Fails with STORE_CONFLICT unless it waits. */
  | {
      readonly op: 'decide-quarantine';
      readonly serial: SerialHex;
      readonly state: 'adopted' | 'revoked';
      readonly by: string;
      readonly at: number;
    }
  | { readonly op: 'insert-approval'; readonly approval: Approval }
  /** Fails with APPROVAL_CLOSED unless it is open, and not expired at `at`. */
  | {
      readonly op: 'decide-approval';
      readonly id: string;
      readonly state: 'approved' | 'rejected';
      readonly by: string;
      readonly at: number;
    }
  /** Insert or replace by key. */
  | { readonly op: 'put-alert'; readonly alert: Alert }
  /**
   * What a broker has told of who came and went. Another `start` than that of the target's last source begins a new one. Of refusals, the
   * newest few of each identity are kept. Fails with STORE_CONFLICT when the source is further than `last` already.
   */
  | {
      readonly op: 'put-presence';
      readonly target: string;
      readonly start: string;
      readonly last: number;
      /** Absent: there is more to tell. */
      readonly asOf?: number | undefined;
      readonly sightings: readonly Omit<PresenceRow, 'target' | 'source'>[];
      readonly refusals: readonly Omit<RefusalRow, 'target'>[];
    }
  | { readonly op: 'insert-job'; readonly job: Job }
  /** One that is in it already is left as it is. Fails with JOB_NOT_FOUND, JOB_STATE_FORBIDS (context `state`) once it was started. */
  | {
      readonly op: 'select-for-job';
      readonly job: string;
      readonly devices: readonly string[];
      readonly cursor: string | null;
      readonly state: 'selecting' | 'waiting';
    }
  /**
   * Fails with JOB_NOT_FOUND, JOB_STATE_FORBIDS (context `state`) unless it is in one of the states, JOB_COUNT_DIFFERS (context `left`)
   * when another number of devices has no result yet.
   */
  | {
      readonly op: 'change-job';
      readonly id: string;
      readonly from: readonly JobState[];
      readonly to: JobState;
      readonly at: number;
      readonly left?: number;
      readonly caller?: JobCaller;
      readonly note?: string;
    }
  /** With the unit's first entry. Fails with JOB_STATE_FORBIDS unless the job runs and that device has no result yet. */
  | {
      readonly op: 'note-job-result';
      readonly job: string;
      readonly device: string;
      readonly status: JobResultStatus;
      readonly code: string | null;
      readonly detail: string | null;
      readonly at: number;
    }
  /** Fails with IDEMPOTENCY_IN_PROGRESS when the key is there already, and has not ended at that time (epoch milliseconds). */
  | {
      readonly op: 'insert-idempotency';
      readonly record: IdempotencyRecord;
      readonly at: number;
    }
  | LedgerWrite;

export interface UnitOfWork {
  readonly writes: readonly Write[];
  readonly entries: readonly NewEntry[];
}

export type { CommitResult };

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Opaque; null at the end. */
  readonly nextCursor: string | null;
}

export interface PageRequest {
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export interface EntrySearch extends PageRequest {
  /** The device or owner, else what the entry names. */
  readonly subject?: string | undefined;
  readonly actor?: string | undefined;
  readonly kind?: EntryData['kind'] | undefined;
  /** Written at that time or later. */
  readonly since?: number | undefined;
  /** Those with a larger number, the oldest first; otherwise the newest is first. */
  readonly after?: number | undefined;
}

/** May have fewer entries than asked for, or none, and a cursor: a search looks at so many entries at most. */
export interface EntryPage extends Page<LedgerEntry> {
  /** Of the newest entry when it was read. */
  readonly lastSeq: number;
}

export interface DeviceFilter extends PageRequest {
  /** Absent: devices and services. */
  readonly kind?: IdentityKind | undefined;
  readonly state?: DeviceState | undefined;
  readonly type?: string | undefined;
  readonly batch?: string | undefined;
  /** `name=value`. */
  readonly label?: string | undefined;
  readonly expiresBefore?: number | undefined;
  /** Prefix of the id. */
  readonly q?: string | undefined;
  /** Online by one of these sources. */
  readonly onlineBy?: readonly number[] | undefined;
  /** Neither seen at or after `since`, nor online by one of these sources. */
  readonly notSeen?: { readonly since: number; readonly onlineBy: readonly number[] } | undefined;
}

export interface NamedCertificateFilter extends PageRequest {
  readonly kind?: Exclude<ProfileKind, 'device'> | undefined;
  /** Beginning of the owner's name. */
  readonly q?: string | undefined;
  readonly expiresBefore?: number | undefined;
}

/** How many certificates of one group end before a moment; what the alert engine asks for. */
export interface ExpiryGroup {
  readonly kind: Certificate['kind'];
  /** Device type, or the owner's name for anything that is not a device. */
  readonly group: string;
  readonly count: number;
  readonly examples: readonly string[];
  readonly soonest: number;
}

/** Reads see every commit that was answered before they were asked. */
export interface StoreReader extends LedgerReader {
  findDevice(id: DeviceId): Promise<Device | undefined>;
  listDevices(filter: DeviceFilter): Promise<Page<Device>>;
  /** Without services. */
  countDevicesByState(): Promise<Readonly<Record<DeviceState, number>>>;
  findCertificate(serial: SerialHex): Promise<Certificate | undefined>;
  /** Those in force, or ended by time alone, of whatever is no device; by owner. */
  listNamedCertificates(filter: NamedCertificateFilter): Promise<Page<Certificate>>;
  /** Newest first. */
  listCertificatesOf(owner: string): Promise<readonly Certificate[]>;
  /** Certificates of an owner that begin after a moment. */
  countIssued(owner: string, after: number): Promise<number>;
  /** Until when an operator lets a device renew before its window. */
  findAllowance(device: DeviceId): Promise<number | undefined>;
  findKeyOwner(spkiSha256: string): Promise<string | undefined>;
  findToken(id: string): Promise<EnrollmentToken | undefined>;
  findTokenByHash(secretHash: string): Promise<EnrollmentToken | undefined>;
  listTokens(page: PageRequest): Promise<Page<EnrollmentToken>>;
  findApiToken(id: string): Promise<ApiToken | undefined>;
  findApiTokenByHash(secretHash: string): Promise<ApiToken | undefined>;
  listApiTokens(page: PageRequest): Promise<Page<ApiToken>>;
  findBatch(id: string): Promise<Batch | undefined>;
  listBatches(page: PageRequest): Promise<Page<Batch>>;
  /** A page of an authority's revoked certificates, by serial: those after a serial that end at or after a moment. */
  listRevoked(options: {
    readonly authority: string;
    /** Only those that name this shard. */
    readonly shard?: string | undefined;
    readonly endsFrom: number;
    readonly after?: SerialHex | undefined;
    readonly limit: number;
  }): Promise<readonly CrlEntry[]>;
  /** In the order they were added. */
  listAuthorities(): Promise<readonly AuthorityRecord[]>;
  /** Roots and cross certificates that were added to the trust bundle, DER, in that order. */
  listTrust(): Promise<readonly Uint8Array[]>;
  /** Profile → authority, where one was assigned. */
  listProfileIssuers(): Promise<ReadonlyMap<string, string>>;
  /** The latest end of a certificate of the authority that is not revoked. */
  findLastEnd(authority: string): Promise<number | undefined>;
  findLatestCrl(list: string, kind: Crl['kind']): Promise<Crl | undefined>;
  /** No CRL of the list may have this number or one below it; 0: any may. */
  findCrlFloor(list: string): Promise<number>;
  findQuarantined(serial: SerialHex): Promise<QuarantinedCertificate | undefined>;
  /** The oldest first. */
  listQuarantined(
    page: PageRequest & { readonly includeDecided: boolean },
  ): Promise<Page<QuarantinedCertificate>>;
  /** Those that wait: of an identity, or all. */
  countQuarantined(identity?: string): Promise<number>;
  findIdempotency(key: string, at: number): Promise<IdempotencyRecord | undefined>;
  findApproval(id: string): Promise<Approval | undefined>;
  listApprovals(page: PageRequest): Promise<Page<Approval>>;
  findJob(id: string): Promise<Job | undefined>;
  /** The newest first. */
  listJobs(page: PageRequest): Promise<Page<Job>>;
  /** Those that select or run, the oldest first. */
  listOpenJobs(): Promise<readonly Job[]>;
  /** Devices of a job without a result, by id. */
  listJobPending(job: string, limit: number): Promise<readonly string[]>;
  /** By device id. */
  listJobResults(
    page: PageRequest & { readonly job: string; readonly status?: JobResultStatus | undefined },
  ): Promise<Page<JobResult>>;
  findAlert(key: string): Promise<Alert | undefined>;
  listAlerts(options: { readonly includeResolved: boolean }): Promise<readonly Alert[]>;
  /**
   * Active certificates (each owner's newest, of owners that are not revoked or decommissioned) that end before `before`
   * and whose whole lifetime lies in [minLifetime, maxLifetime), grouped.
   */
  listExpiring(options: {
    readonly before: number;
    readonly minLifetime: number;
    readonly maxLifetime: number;
  }): Promise<readonly ExpiryGroup[]>;
  /** The same for short-lived certificates, by the share of the lifetime (0 to 1) that is left at `at`. */
  listExpiringByShare(options: {
    readonly at: number;
    readonly share: number;
    readonly maxLifetime: number;
  }): Promise<readonly ExpiryGroup[]>;
  /** All that are kept, the oldest first. */
  listPresenceSources(): Promise<readonly PresenceSource[]>;
  /** What is on record of these identities, on any broker. */
  listPresence(identities: readonly string[]): Promise<readonly PresenceRow[]>;
  /** The newest first. */
  listRefusalsOf(identity: string): Promise<readonly RefusalRow[]>;
  /** Newest first: what happened to one device or owner. */
  listEntriesOf(subject: string, limit: number): Promise<readonly LedgerEntry[]>;
  searchEntries(search: EntrySearch): Promise<EntryPage>;
}

export interface Store extends StoreReader, LedgerStore {
  /** Resolves when the unit is durable, or says which condition failed; rejects only when the store itself fails. */
  commit(unit: UnitOfWork): Promise<CommitResult>;
  close(): Promise<void>;
}
