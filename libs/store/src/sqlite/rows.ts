// Rows as SQLite holds them, and as the fleet knows them.
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
  Labels,
  QuarantinedCertificate,
} from '@keyline/fleet';
import { decodeEntryData, type Lease, type LedgerEntry } from '@keyline/ledger';
import type { DeviceId, SerialHex } from '@keyline/kernel';
import type { RevocationReason } from '@keyline/pki';
import { certificateKindCodes, certificateStateCodes, deviceStateCodes } from './codes.ts';

export type SqlValue = string | number | bigint | Buffer | null;
export type Row = Record<string, SqlValue>;

export const hexBytes = (hex: string): Buffer => Buffer.from(hex, 'hex');
export const labelsText = (labels: Labels): string | null => {
  for (const _name in labels) return JSON.stringify(labels);
  return null;
};

const labelsOf = (text: SqlValue | undefined): Labels =>
  text === null || text === undefined ? {} : (JSON.parse(text as string) as Labels);
const hexOf = (bytes: SqlValue | undefined): string => (bytes as Buffer).toString('hex');

export function toDevice(row: Row): Device {
  return {
    id: row['id'] as DeviceId,
    type: row['type'] as string,
    batch: row['batch'] as string | null,
    labels: labelsOf(row['labels']),
    state: deviceStateCodes.nameOf(Number(row['state'])),
    version: row['version'] as number,
    createdAt: row['created_at'] as number,
    updatedAt: row['updated_at'] as number,
    serial: row['serial'] === null ? null : (hexOf(row['serial']) as SerialHex),
    notAfter: row['not_after'] as number | null,
    entry: row['entry'] as number | null,
    admission: row['admission'] as number | null,
    predecessor: row['predecessor'] === null ? null : (hexOf(row['predecessor']) as SerialHex),
  };
}

export function toCertificate(row: Row): Certificate {
  return {
    serial: hexOf(row['serial']) as SerialHex,
    kind: certificateKindCodes.nameOf(Number(row['kind'])),
    owner: row['owner'] as string,
    profile: row['profile'] as string,
    authority: row['authority'] as string,
    notBefore: row['not_before'] as number,
    notAfter: row['not_after'] as number,
    spkiSha256: hexOf(row['spki_sha256']),
    der: row['der'] as Buffer,
    crlShard: row['crl_shard'] as string | null,
    state: certificateStateCodes.nameOf(Number(row['state'])),
    revokedAt: row['revoked_at'] as number | null,
    reason: row['reason'] as RevocationReason | null,
    entry: row['entry'] as number | null,
  };
}

export function toToken(row: Row): EnrollmentToken {
  return {
    id: row['id'] as string,
    secretHash: hexOf(row['secret_hash']),
    description: row['description'] as string,
    idPattern: row['id_pattern'] as string | null,
    type: row['type'] as string,
    labels: labelsOf(row['labels']),
    maxUses: row['max_uses'] as number,
    uses: row['uses'] as number,
    expiresAt: row['expires_at'] as number,
    createdAt: row['created_at'] as number,
    createdBy: row['created_by'] as string,
    revokedAt: row['revoked_at'] as number | null,
  };
}

export function toApiToken(row: Row): ApiToken {
  return {
    id: row['id'] as string,
    secretHash: hexOf(row['secret_hash']),
    description: row['description'] as string,
    role: row['role'] as ApiToken['role'],
    expiresAt: row['expires_at'] as number,
    createdAt: row['created_at'] as number,
    createdBy: row['created_by'] as string,
    revokedAt: row['revoked_at'] as number | null,
  };
}

export function toBatch(row: Row): Batch {
  return {
    id: row['id'] as string,
    type: row['type'] as string,
    quota: row['quota'] as number,
    issued: row['issued'] as number,
    idPattern: row['id_pattern'] as string | null,
    stations: JSON.parse(row['stations'] as string) as string[],
    labels: labelsOf(row['labels']),
    rework: row['rework'] === 1,
    state: row['state'] as Batch['state'],
    endsAt: row['ends_at'] as number,
    createdAt: row['created_at'] as number,
    createdBy: row['created_by'] as string,
  };
}

export function toAuthority(row: Row): AuthorityRecord {
  return {
    id: row['id'] as string,
    state: row['state'] as AuthorityRecord['state'],
    certificate: row['certificate'] as Buffer | null,
    root: row['root'] as Buffer | null,
    crlShards: JSON.parse(row['crl_shards'] as string) as number[],
    createdAt: row['created_at'] as number,
    revokedAt: row['revoked_at'] as number | null,
    reason: row['reason'] as RevocationReason | null,
  };
}

export function toCrl(row: Row): Crl {
  return {
    list: row['list'] as string,
    kind: row['base_number'] === null ? 'complete' : 'delta',
    number: row['number'] as number,
    baseNumber: row['base_number'] as number | null,
    der: row['der'] as Buffer,
    thisUpdate: row['this_update'] as number,
    nextUpdate: row['next_update'] as number,
    ledgerSeq: row['ledger_seq'] as number,
    ...(row['answers'] === null ? {} : { answers: row['answers'] as Buffer }),
  };
}

export function toAlert(row: Row): Alert {
  return {
    key: row['key'] as string,
    severity: row['severity'] as Alert['severity'],
    summary: row['summary'] as string,
    count: row['count'] as number,
    examples: JSON.parse(row['examples'] as string) as string[],
    firstAt: row['first_at'] as number,
    lastAt: row['last_at'] as number,
    resolvedAt: row['resolved_at'] as number | null,
  };
}

export function toQuarantined(row: Row): QuarantinedCertificate {
  return {
    serial: (row['serial'] as Buffer).toString('hex') as SerialHex,
    identity: row['identity'] as string,
    authority: row['authority'] as string | null,
    der: row['der'] as Buffer | null,
    seenBy: row['seen_by'] as string,
    address: row['address'] as string,
    firstAt: row['first_at'] as number,
    lastAt: row['last_at'] as number,
    state: row['state'] as QuarantinedCertificate['state'],
    decidedBy: row['decided_by'] as string | null,
    decidedAt: row['decided_at'] as number | null,
  };
}

export function toApproval(row: Row): Approval {
  return {
    id: row['id'] as string,
    action: row['action'] as string,
    input: row['input'] as string,
    summary: row['summary'] as string,
    requestedBy: row['requested_by'] as string,
    requestedAt: row['requested_at'] as number,
    expiresAt: row['expires_at'] as number,
    state: row['state'] as Approval['state'],
    decidedBy: row['decided_by'] as string | null,
    decidedAt: row['decided_at'] as number | null,
  };
}

export function toIdempotency(row: Row): IdempotencyRecord {
  return {
    key: row['key'] as string,
    requestHash: row['request_hash'] as string,
    status: row['status'] as number,
    body: row['body'] as string,
    expiresAt: row['expires_at'] as number,
  };
}

export function toEntry(row: Row): LedgerEntry {
  return {
    seq: row['seq'] as number,
    at: row['at'] as number,
    actor: row['actor'] as string,
    ...(row['address'] === null ? {} : { address: row['address'] as string }),
    data: decodeEntryData(row['data'] as string),
  };
}

export function toLease(row: Row): Lease {
  return {
    name: row['name'] as string,
    holder: row['holder'] as string | null,
    epoch: row['epoch'] as number,
    beat: row['beat'] as number,
    until: row['until'] as number,
  };
}
