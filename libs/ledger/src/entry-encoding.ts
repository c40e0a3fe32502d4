// The one encoding of what an entry says: JSON with a version and the members of its kind in one order, so that the same entry is the
// same bytes for every program that ever writes, hashes or compares it.
import { KeylineError } from '@keyline/kernel';
import type { EntryData, LedgerEntry } from './entry.ts';

/** Entries without a version are of the first: the same members in whatever order they were made. */
const version = 2;

type Kind = EntryData['kind'];
type Of<K extends Kind> = Extract<EntryData, { kind: K }>;
/** Every member of a kind and nothing else: a member that is missing here does not compile. */
type Members<K extends Kind> = Record<Exclude<keyof Of<K>, 'kind'>, true>;

const device = { device: true, type: true, state: true, role: true } as const;
const issued = {
  ...device,
  serial: true,
  notAfter: true,
  batch: true,
  token: true,
  station: true,
} as const;
const ended = { ...device, reason: true, serials: true, job: true } as const;
const token = { token: true, use: true } as const;
const batch = { batch: true, quota: true } as const;
const job = { job: true, action: true, devices: true, failed: true } as const;
const authority = { authority: true, profiles: true } as const;
const approval = { approval: true, action: true, summary: true, requestedBy: true } as const;
const quarantined = { identity: true, serial: true } as const;
const alert = { alert: true, severity: true, count: true } as const;

const members: { readonly [K in Kind]: Members<K> } = {
  'device-enrolled': issued,
  'device-renewed': issued,
  'device-reissued': issued,
  'certificate-used': { ...device, serial: true, predecessor: true },
  'device-suspended': ended,
  'device-resumed': ended,
  'device-revoked': ended,
  'device-decommissioned': ended,
  'device-labelled': { ...device, labels: true, job: true },
  'certificate-issued': { owner: true, profile: true, serial: true, notAfter: true },
  'certificate-revoked': { owner: true, serial: true, reason: true },
  'token-created': token,
  'token-revoked': token,
  'batch-opened': batch,
  'batch-closed': batch,
  'batch-quota-changed': batch,
  'authority-added': authority,
  'authority-installed': authority,
  'authority-activated': authority,
  'authority-retired': authority,
  'authority-revoked': { authority: true, revokedAt: true, reason: true, crl: true },
  'renewal-allowed': { identity: true, until: true },
  'identity-conflict': { identity: true, old: true, current: true, answered: true },
  'database-restored': { subject: true, lists: true, revoked: true },
  'approval-requested': approval,
  'approval-approved': approval,
  'approval-rejected': approval,
  'call-refused': { subject: true, code: true, route: true, count: true },
  'roles-applied': { subject: true, changed: true },
  'job-started': job,
  'job-stopped': job,
  'job-done': job,
  'trust-added': { subject: true, sha256: true },
  'crl-published': { authority: true, list: true, number: true },
  'certificate-quarantined': quarantined,
  'quarantine-adopted': quarantined,
  'quarantine-revoked': quarantined,
  'alert-fired': alert,
  'alert-resolved': alert,
};

const order = new Map<string, readonly string[]>(
  Object.entries(members).map(([kind, names]) => [kind, Object.keys(names)]),
);

/** @throws {KeylineError} INTERNAL for a kind that is not of the ledger */
export function encodeEntryData(data: EntryData): string {
  const names = order.get(data.kind);
  if (names === undefined) {
    throw new KeylineError('INTERNAL', `The ledger has no entries of the kind "${data.kind}".`);
  }
  const values = data as unknown as Readonly<Record<string, unknown>>;
  let text = `{"v":${String(version)},"kind":"${data.kind}"`;
  for (const name of names) {
    const value = values[name];
    if (value === undefined) continue;
    text += `,"${name}":${JSON.stringify(value)}`;
  }
  return `${text}}`;
}

/** @throws {KeylineError} STORE_STALE for an entry of a newer version */
export function decodeEntryData(text: string): EntryData {
  const { v = 1, ...data } = JSON.parse(text) as EntryData & { readonly v?: number };
  if (v <= version) return data;
  throw new KeylineError(
    'STORE_STALE',
    `The ledger has an entry of version ${String(v)}, this program knows ${String(version)}. Run the newer Keyline that wrote it.`,
  );
}

/** What an entry is found by: the device or owner, else what it names. */
export function subjectOf({ data }: Pick<LedgerEntry, 'data'>): string {
  if ('device' in data) return data.device;
  if ('owner' in data) return data.owner;
  if ('job' in data) return data.job;
  if ('approval' in data) return data.approval;
  if ('identity' in data) return data.identity;
  if ('subject' in data && data.kind !== 'trust-added') return data.subject;
  if ('token' in data) return data.token;
  if ('batch' in data) return data.batch;
  if ('authority' in data) return data.authority;
  if (data.kind === 'trust-added') return data.sha256;
  return data.alert;
}
