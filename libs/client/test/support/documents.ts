// Documents of the contract with plausible content.
import type { BatchView, DeviceView, EnrollResponse, Evidence, TokenView } from '@keyline/api';

export const evidence: Evidence = {
  ledger: { seq: 7, at: '2026-11-24T16:00:00.120Z' },
  targets: [
    {
      target: 'bundled',
      done: true,
      at: '2026-11-24T16:00:00.180Z',
      refuses: 'broker',
      pending: null,
    },
  ],
  ocsp: { status: 'revoked', at: '2026-11-24T16:00:00.120Z' },
  crl: {
    authority: 'issuing-1',
    list: 'issuing-1',
    number: 3,
    kind: 'complete',
    at: '2026-11-24T16:00:00.240Z',
  },
};

export function device(id: string, changes: Partial<DeviceView> = {}): DeviceView {
  return {
    id,
    kind: 'device',
    type: 'default',
    role: 'device',
    batch: null,
    labels: {},
    state: 'active',
    serial: '0a1b',
    notAfter: '2099-01-01T00:00:00Z',
    createdAt: '2026-11-24T16:00:00Z',
    updatedAt: '2026-11-24T16:00:00Z',
    presence: {
      ...{ status: 'unknown', lastSeen: null, since: null, broker: null },
      ...{ address: null, clientId: null, protocol: null },
    },
    ...changes,
  };
}

export function enrolled(id: string, certificate: string): EnrollResponse {
  return {
    device: device(id),
    serial: '0a1b',
    certificate,
    chain: [],
    broker: {
      ...{ name: 'broker', url: 'mqtts://127.0.0.1:8883', websocketUrl: null, trust: null },
      userName: id,
      clientId: id,
      topics: { publish: [`devices/${id}/telemetry`], subscribe: [`devices/${id}/commands`] },
    },
    provisioned: true,
    evidence: { ledger: evidence.ledger, targets: evidence.targets },
  };
}

export const token: TokenView = {
  id: 'tok_0123456789abcdef01234567',
  use: 'enroll',
  description: '',
  expiresAt: '2099-01-01T00:00:00Z',
  createdAt: '2026-11-24T16:00:00Z',
  createdBy: 'admin',
  revokedAt: null,
  type: 'default',
  idPattern: null,
  maxUses: 3,
  uses: 0,
  labels: {},
};

export const batch: BatchView = {
  id: 'wo-1',
  type: 'default',
  quota: 50,
  issued: 2,
  idPattern: null,
  stations: [],
  labels: {},
  rework: false,
  state: 'open',
  endsAt: '2099-01-01T00:00:00Z',
  createdAt: '2026-11-24T16:00:00Z',
  createdBy: 'admin',
};
