// What there is between an edge and the issuer: why a key may become an identity, and what is decided about it.
import type { Role } from '@keyline/access';
import type { DeviceId, KeylineError } from '@keyline/kernel';
import type { LedgerEntry, NewEntry } from '@keyline/ledger';
import type { IssuedCertificate, IssueRequest } from '@keyline/pki';
import type { FailedCommit, TypeDetails } from '../context.ts';
import type { Certificate, Device, Labels, NewCertificate } from '../model.ts';
import type { StoreReader, UnitOfWork, Write } from '../ports.ts';

/**
 * Why somebody may have a certificate. All reading comes first, so that what is decided can be checked against a table.
 * Both are called anew after a lost race.
 */
export interface Admission<Seen, Holder extends object> {
  /**
   * Reads what was presented, and what stands.
   * @throws {KeylineError} when what was presented admits nobody: no token, no CSR, another's name
   */
  read(store: StoreReader, now: number): Promise<Seen>;
  /** Pure. */
  decide(seen: Seen, now: number): Decision<Holder>;
}

export type Decision<Holder extends object> =
  | Refusal
  /** What was issued before, once more: the answer was lost, or asked for twice at once. */
  | {
      readonly verdict: 'answered';
      readonly holder: Holder;
      readonly certificate: Certificate;
    }
  | {
      readonly verdict: 'issue';
      readonly request: IssueRequest;
      /** What is committed with it. */
      work(issued: IssuedCertificate): Work<Holder>;
      /** Why the unit was not taken, for whoever asked. */
      explain(failure: FailedCommit): KeylineError;
    };

export interface Refusal {
  readonly verdict: 'refused';
  readonly error: KeylineError;
  /** What is written down of it. */
  readonly unit?: UnitOfWork | undefined;
}

export interface Work<Holder extends object> {
  readonly unit: UnitOfWork;
  readonly certificate: NewCertificate;
  /** The holder as it is after the commit. @param entry seq of the unit's first entry */
  holderAfter(entry: number): Holder;
}

export type Issued<Holder extends object> = Holder & {
  readonly certificate: Certificate;
  /** The entry the answer stands on. */
  readonly entry: Pick<LedgerEntry, 'seq' | 'at'>;
  /** False when what was issued before was answered again. */
  readonly created: boolean;
};

/** A device as its answer needs it. */
export interface DeviceHolder {
  readonly device: Device;
  readonly role: Role;
}

export type Enrolled = Issued<DeviceHolder>;

/** Of which whoever asks has proved that they hold it: by a CSR's signature, or in TLS. */
export interface ProvedKey extends Pick<IssueRequest, 'spkiDer' | 'algorithm'> {
  /** SHA-256 of the SPKI, lower-case hex. */
  readonly spkiSha256: string;
}

/** Who may become what, and how a device that is there already is met. */
export interface Admitted {
  readonly id: DeviceId;
  readonly key: ProvedKey;
  /** Asked for, in milliseconds. */
  readonly validity?: number | undefined;
  readonly details: TypeDetails;
  readonly batch: string | null;
  readonly labels: Labels;
  readonly by: Pick<NewEntry, 'actor' | 'address'>;
  /** What the entry says of how it was admitted. */
  readonly noted: { readonly token?: string; readonly batch?: string; readonly station?: string };
  /** The certificate it was asked with: then it renews, and stays what it is. Absent: it is let in, or let in anew. */
  readonly asked?: Certificate | undefined;
  /** Whether the device's certificate came of this very admission: then it is answered again to the key it has. */
  readonly knows: boolean;
  /** Why nothing new comes of it any more (what stands is answered again all the same). */
  readonly refusal?: Refusal | undefined;
  /** Another key for an active device: refused, or given a certificate. */
  readonly otherKey: 'refuse' | 'replace';
  /** What becomes of the certificates the device had: they end at once, or the last is superseded and good until the new one is used. */
  readonly before: 'end' | 'supersede';
  /** What must still be true at the commit, and is used up by it. */
  readonly conditions: readonly Write[];
  /** What is done and written down besides. */
  readonly besides?: UnitOfWork | undefined;
  readonly words: Words;
}

/** Refusals in the words of an admission. */
export interface Words {
  /** The device is there, and active. */
  exists(device: Device): KeylineError;
  /** It is suspended or revoked. */
  stateForbids(device: Device): KeylineError;
  /** It had the key before. */
  keyWasHeld(device: Device): KeylineError;
  explain(failure: FailedCommit): KeylineError;
}

/** What stands of an id. */
export interface Standing {
  readonly device: Device | undefined;
  /** The newest certificate of an active device. */
  readonly current?: Certificate | undefined;
  /** Whether the proved key is the current one, and its authority was revoked by the root: it is good for nothing, and can't renew. */
  readonly isOrphaned: boolean;
  /** Who has the proved key, where that was asked; the commit asks again. */
  readonly keyOwner?: string | undefined;
  /** Those that end when another is issued. */
  readonly ending: readonly Certificate[];
}

export interface DeviceCase {
  readonly admitted: Admitted;
  readonly standing: Standing;
  /** What `insert-device` is to see to. */
  readonly distinctIgnoringCase: boolean;
}
