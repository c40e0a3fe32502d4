// What the ledger records. An entry carries the state after the change, so that a follower need not read anything else.
import type { RevocationReason } from '@keyline/pki';

export type DeviceState = 'registered' | 'active' | 'suspended' | 'revoked' | 'decommissioned';
export type AlertSeverity = 'info' | 'warning' | 'critical';

interface DeviceEntry {
  readonly device: string;
  readonly type: string;
  /** State and broker role after this entry. */
  readonly state: DeviceState;
  readonly role: string;
}

export type EntryData =
  | (DeviceEntry & {
      readonly kind: 'device-enrolled' | 'device-renewed' | 'device-reissued';
      readonly serial: string;
      readonly notAfter: number;
      readonly batch?: string;
      readonly token?: string;
      readonly station?: string;
    })
  | (DeviceEntry & {
      /** The first use of a certificate that took the place of another, which may be used no more from here on. */
      readonly kind: 'certificate-used';
      readonly serial: string;
      readonly predecessor: string;
    })
  | (DeviceEntry & {
      readonly kind:
        'device-suspended' | 'device-resumed' | 'device-revoked' | 'device-decommissioned';
      readonly reason: RevocationReason;
      /** Certificates that ended with this entry. */
      readonly serials: readonly string[];
      /** The job that did it, where one did. */
      readonly job?: string;
    })
  | (DeviceEntry & {
      /** All its labels from here on. */
      readonly kind: 'device-labelled';
      readonly labels: Readonly<Record<string, string>>;
      /** The job that did it, where one did. */
      readonly job?: string;
    })
  | {
      readonly kind: 'certificate-issued';
      readonly owner: string;
      readonly profile: string;
      readonly serial: string;
      readonly notAfter: number;
    }
  | {
      readonly kind: 'certificate-revoked';
      readonly owner: string;
      readonly serial: string;
      readonly reason: RevocationReason;
    }
  | {
      readonly kind: 'token-created' | 'token-revoked';
      readonly token: string;
      readonly use: 'enroll' | 'api';
    }
  | {
      readonly kind: 'batch-opened' | 'batch-closed' | 'batch-quota-changed';
      readonly batch: string;
      readonly quota: number;
    }
  | {
      readonly kind:
        'authority-added' | 'authority-installed' | 'authority-activated' | 'authority-retired';
      readonly authority: string;
      /** Profiles it issues from now on (activated). */
      readonly profiles?: readonly string[];
    }
  | {
      /** A root's CRL lists it. */
      readonly kind: 'authority-revoked';
      readonly authority: string;
      readonly revokedAt: number;
      readonly reason: RevocationReason;
      /** Which CRL of its root said so. */
      readonly crl: number;
    }
  | {
      /** An operator's word that a device may renew before its window. */
      readonly kind: 'renewal-allowed';
      readonly identity: string;
      readonly until: number;
    }
  | {
      /** Two holders of one identity were seen: a certificate that was superseded came back with another key. */
      readonly kind: 'identity-conflict';
      readonly identity: string;
      /** The one that came back. */
      readonly old: string;
      /** The one in force. */
      readonly current: string;
      /** What became of it: refused, or answered with a certificate that ends the one in force, which nobody had used. */
      readonly answered: boolean;
    }
  | {
      /** The database was an older copy: lists that were published knew of revocations that it did not. */
      readonly kind: 'database-restored';
      readonly subject: 'database';
      readonly lists: readonly string[];
      readonly revoked: number;
    }
  | {
      /** A certificate that one of our authorities signed, and that is not on record: held, then taken for ours or revoked by a person. */
      readonly kind: 'certificate-quarantined' | 'quarantine-adopted' | 'quarantine-revoked';
      readonly identity: string;
      readonly serial: string;
    }
  | {
      /** A change waits for a second administrator; one allowed it, or not. */
      readonly kind: 'approval-requested' | 'approval-approved' | 'approval-rejected';
      readonly approval: string;
      readonly action: string;
      readonly summary: string;
      readonly requestedBy: string;
    }
  | {
      /** A call of note was refused: of somebody without the right, the role or the secret. */
      readonly kind: 'call-refused';
      /** The caller, the owner of the certificate that was presented, or the address. */
      readonly subject: string;
      readonly code: string;
      readonly route: string;
      /** With those since the last entry that were not written down. */
      readonly count: number;
    }
  | {
      /** Changed roles and types were taken up from their files: `role:device`, `type:sensor`. */
      readonly kind: 'roles-applied';
      readonly subject: 'roles';
      readonly changed: readonly string[];
    }
  | {
      /** A change of many devices; each of them has an entry of its own. */
      readonly kind: 'job-started' | 'job-stopped' | 'job-done';
      readonly job: string;
      readonly action: string;
      /** How many it is for, and of how many it was refused so far. */
      readonly devices: number;
      readonly failed: number;
    }
  | { readonly kind: 'trust-added'; readonly subject: string; readonly sha256: string }
  | {
      readonly kind: 'crl-published';
      readonly authority: string;
      /** The list it is of. @see Crl */
      readonly list: string;
      readonly number: number;
    }
  | {
      readonly kind: 'alert-fired' | 'alert-resolved';
      readonly alert: string;
      readonly severity: AlertSeverity;
      readonly count: number;
    };

export interface LedgerEntry {
  /** 1, 2, 3 … without gaps, in commit order. */
  readonly seq: number;
  readonly at: number;
  /** Who did it: `operator:alice`, `token:tok_…`, `device:d1`, `keyline`. */
  readonly actor: string;
  /** IP address the change was asked for from; absent for what Keyline does by itself. */
  readonly address?: string | undefined;
  readonly data: EntryData;
}

export type NewEntry = Omit<LedgerEntry, 'seq'>;
