// Rows with nothing special about them, to be changed where a test needs it. Times are small numbers: a store has no opinion of them.
import type {
  Alert,
  ApiToken,
  AuthorityRecord,
  Batch,
  Certificate,
  Crl,
  Device,
  EnrollmentToken,
  IdempotencyRecord,
} from '@keyline/fleet';
import { parseDeviceId, parseSerialHex, type DeviceId, type SerialHex } from '@keyline/kernel';
import { createHash } from 'node:crypto';

export const id = (text: string): DeviceId => parseDeviceId(text);
/** A serial that a number stands for. */
export const serial = (n: number): SerialHex => parseSerialHex((n + 0x40_0000).toString(16));
export const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

export function device(name: string, changes: Partial<Device> = {}): Device {
  return {
    id: id(name),
    type: 'default',
    batch: null,
    labels: {},
    state: 'active',
    version: 1,
    createdAt: 100,
    updatedAt: 100,
    serial: null,
    notAfter: null,
    entry: null,
    admission: null,
    predecessor: null,
    ...changes,
  };
}

export function certificate(n: number, changes: Partial<Certificate> = {}): Certificate {
  return {
    serial: serial(n),
    kind: 'device',
    owner: `d${String(n)}`,
    profile: 'device-client',
    authority: 'issuing-1',
    notBefore: 0,
    notAfter: 1000,
    spkiSha256: sha(`key ${String(n)}`),
    der: Buffer.from([0x30, 0x00, n & 0xff]),
    crlShard: null,
    state: 'active',
    revokedAt: null,
    reason: null,
    entry: null,
    ...changes,
  };
}

export function token(name: string, changes: Partial<EnrollmentToken> = {}): EnrollmentToken {
  return {
    id: name,
    secretHash: sha(name),
    description: 'for a test',
    idPattern: null,
    type: 'default',
    labels: {},
    maxUses: 1,
    uses: 0,
    expiresAt: 1000,
    createdAt: 1,
    createdBy: 'operator:o@keyline',
    revokedAt: null,
    ...changes,
  };
}

export function apiToken(name: string, changes: Partial<ApiToken> = {}): ApiToken {
  return {
    id: name,
    secretHash: sha(name),
    description: 'for a test',
    role: 'auditor',
    expiresAt: 1000,
    createdAt: 1,
    createdBy: 'admin:a@keyline',
    revokedAt: null,
    ...changes,
  };
}

export function batch(name: string, changes: Partial<Batch> = {}): Batch {
  return {
    id: name,
    type: 'default',
    quota: 2,
    issued: 0,
    idPattern: 'u-*',
    stations: ['st1@line'],
    labels: { lot: '7' },
    rework: true,
    state: 'open',
    endsAt: 1000,
    createdAt: 1,
    createdBy: 'operator:o@keyline',
    ...changes,
  };
}

export function authority(name: string, changes: Partial<AuthorityRecord> = {}): AuthorityRecord {
  return {
    id: name,
    state: 'pending',
    certificate: null,
    root: null,
    crlShards: [],
    createdAt: 1,
    revokedAt: null,
    reason: null,
    ...changes,
  };
}

export function crl(number: number, changes: Partial<Crl> = {}): Crl {
  return {
    list: 'issuing-1',
    kind: 'complete',
    number,
    baseNumber: null,
    der: Buffer.from([0x30, number & 0xff]),
    thisUpdate: 100,
    nextUpdate: 200,
    ledgerSeq: 0,
    ...changes,
  };
}

export function alert(key: string, changes: Partial<Alert> = {}): Alert {
  return {
    key,
    severity: 'warning',
    summary: 'ends soon',
    count: 1,
    examples: ['d1'],
    firstAt: 1,
    lastAt: 1,
    resolvedAt: null,
    ...changes,
  };
}

export function idempotency(
  key: string,
  changes: Partial<IdempotencyRecord> = {},
): IdempotencyRecord {
  return {
    key,
    requestHash: sha(key),
    status: 201,
    body: '{}',
    expiresAt: Date.UTC(2999, 0, 1),
    ...changes,
  };
}
