// Rows in memory: immutable values in maps, and a way back for a unit that is refused.
import type {
  Alert,
  ApiToken,
  Approval,
  AuthorityRecord,
  Batch,
  Certificate,
  Crl,
  Device,
  EnrollmentToken,
  IdempotencyRecord,
  Job,
  JobResult,
  PresenceRow,
  PresenceSource,
  QuarantinedCertificate,
  RefusalRow,
} from '@keyline/fleet';
import type { Lease, LedgerEntry } from '@keyline/ledger';

type Undo = (() => void)[];

export class Table<Row> {
  readonly #rows = new Map<string, Row>();
  readonly #undo: Undo;

  constructor(undo: Undo) {
    this.#undo = undo;
  }

  get(key: string): Row | undefined {
    return this.#rows.get(key);
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  set(key: string, row: Row): void {
    const before = this.#rows.get(key);
    this.#undo.push(() => {
      if (before === undefined) this.#rows.delete(key);
      else this.#rows.set(key, before);
    });
    this.#rows.set(key, row);
  }

  delete(key: string): void {
    const before = this.#rows.get(key);
    if (before === undefined) return;
    this.#undo.push(() => this.#rows.set(key, before));
    this.#rows.delete(key);
  }

  map(): ReadonlyMap<string, Row> {
    return new Map(this.#rows);
  }

  /** In the order they were inserted. */
  all(): Row[] {
    return [...this.#rows.values()];
  }
}

/** What is kept when the store is closed. */
export class Tables {
  readonly #undo: Undo = [];
  readonly devices = new Table<Device>(this.#undo);
  readonly certificates = new Table<Certificate>(this.#undo);
  /** Owners by key. */
  readonly keys = new Table<string>(this.#undo);
  /** Until when, by device. */
  readonly allowances = new Table<number>(this.#undo);
  readonly tokens = new Table<EnrollmentToken>(this.#undo);
  readonly apiTokens = new Table<ApiToken>(this.#undo);
  readonly batches = new Table<Batch>(this.#undo);
  readonly authorities = new Table<AuthorityRecord>(this.#undo);
  readonly trust = new Table<Uint8Array>(this.#undo);
  /** Authorities by profile. */
  readonly issuers = new Table<string>(this.#undo);
  readonly crls = new Table<Crl>(this.#undo);
  readonly approvals = new Table<Approval>(this.#undo);
  readonly jobs = new Table<Job>(this.#undo);
  /** By job and device. */
  readonly jobResults = new Table<JobResult & { readonly job: string }>(this.#undo);
  readonly alerts = new Table<Alert>(this.#undo);
  readonly idempotency = new Table<IdempotencyRecord>(this.#undo);
  readonly leases = new Table<Lease>(this.#undo);
  readonly cursors = new Table<number>(this.#undo);
  readonly presenceSources = new Table<PresenceSource>(this.#undo);
  readonly presence = new Table<PresenceRow>(this.#undo);
  readonly refusals = new Table<RefusalRow>(this.#undo);
  /** Numbers by list. */
  readonly crlFloors = new Table<number>(this.#undo);
  readonly quarantine = new Table<QuarantinedCertificate>(this.#undo);
  readonly ledger: LedgerEntry[] = [];

  /** What was written since the last `keep` stays. */
  keep(): void {
    this.#undo.length = 0;
  }

  /** What was written since the last `keep` is undone. */
  undo(): void {
    for (const back of this.#undo.toReversed()) back();
    this.#undo.length = 0;
  }
}
