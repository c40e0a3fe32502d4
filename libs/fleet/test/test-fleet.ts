// A fleet for the use cases: a real issuer, a store in memory (or SQLite in a folder), a clock that stands still, and requests of devices.
import { serviceTypeOf, type DeviceTypes, type Roles } from '@keyline/access';
import { Duration, FakeClock, isKeylineError } from '@keyline/kernel';
import { createIssuer } from '@keyline/pki';
import { createCsr, encodePem, type KeyAlgorithm } from '@keyline/x509';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  createHierarchy,
  createTestSigner,
  deviceProfile,
  now,
  profilesOf,
  serverProfile,
} from '../../pki/test/hierarchy.ts';
import { createSqliteStore, openSqliteStore } from '../../store/src/index.ts';
import { openMemoryStore } from '../../store/test/memory/memory-store.ts';
import {
  createEnrollmentToken,
  hashToken,
  openBatch,
  type Batch,
  type Caller,
  type CallerRole,
  type CreateEnrollmentTokenCommand,
  type FleetContext,
  type Store,
} from '../src/index.ts';
import type { EntryData, LedgerEntry } from '@keyline/ledger';

export interface TestFleet extends FleetContext {
  readonly clock: FakeClock;
  readonly types: Map<string, { name: string; description: string; profile: string; role: string }>;
  close(): Promise<void>;
}

// One hierarchy for all tests of a file: it is only read.
const hierarchy = createHierarchy({ at: now });
const sensorProfile = { ...deviceProfile, name: 'sensor-client', validity: { duration: 'P10D' } };
const serviceProfile = {
  ...deviceProfile,
  name: 'service-client',
  kind: 'service' as const,
  san: [{ uri: 'urn:keyline:service:{id}' }],
};
const profiles = profilesOf(deviceProfile, sensorProfile, serviceProfile, serverProfile);
const issuing = hierarchy.then(({ issuing }) => createIssuer(issuing, profiles));

const roles: Roles = new Map(
  (['device', 'sensor', 'reader', 'writer'] as const).map((name) => [
    name,
    {
      name,
      description: name,
      kind: name === 'reader' || name === 'writer' ? 'service' : 'device',
      publish: [`${name}/%u/up`],
      subscribe: [`${name}/%u/down`],
    },
  ]),
);

interface OpenStore {
  readonly store: Store;
  close(): Promise<void>;
}

function openInMemory(): Promise<OpenStore> {
  const store = openMemoryStore();
  return Promise.resolve({ store, close: () => store.close() });
}

async function openOnSqlite(): Promise<OpenStore> {
  const folder = await mkdtemp(join(tmpdir(), 'keyline-fleet-'));
  const path = join(folder, 'keyline.db');
  createSqliteStore(path);
  const store = await openSqliteStore({ path });
  return {
    store,
    async close() {
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

let openStore = openInMemory;

/** From here on each fleet of this file stands on SQLite. */
export function standOnSqlite(): void {
  openStore = openOnSqlite;
}

export async function openTestFleet(): Promise<TestFleet> {
  const opened = await openStore();
  const types = new Map([
    ['default', { name: 'default', description: '', profile: 'device-client', role: 'device' }],
    ['sensor', { name: 'sensor', description: '', profile: 'sensor-client', role: 'sensor' }],
    ...['reader', 'writer'].map((role) => {
      const name = serviceTypeOf(role);
      return [name, { name, description: '', profile: 'service-client', role }] as const;
    }),
  ]) satisfies DeviceTypes;
  return {
    store: opened.store,
    issuer: await issuing,
    clock: new FakeClock(now),
    profiles,
    roles,
    types,
    renewals: { earlyWithSameKey: false, perDay: 24 },
    close: () => opened.close(),
  };
}

export const caller = (role: CallerRole, name = `${role}@works`): Caller => ({
  role,
  name,
  via: 'certificate',
});
export const operator = caller('operator');

export type Key = ReturnType<typeof createTestSigner>;
export const newKey = (algorithm: KeyAlgorithm = 'ec-p256'): Key => createTestSigner(algorithm);

/** A CSR as a device sends it, PEM. */
export async function csrOf(commonName: string, key: Key = newKey()): Promise<string> {
  return encodePem('CERTIFICATE REQUEST', await createCsr({ signer: key, commonName }));
}

/** An enrollment token, by what an enroll command wants of it. */
export async function tokenOf(
  fleet: FleetContext,
  changes: Partial<CreateEnrollmentTokenCommand> = {},
): Promise<{ id: string; tokenHash: string }> {
  const { token, secret } = await createEnrollmentToken(fleet, {
    caller: operator,
    description: '',
    type: 'default',
    idPattern: null,
    maxUses: 1,
    labels: {},
    lifetime: Duration.days(1),
    ...changes,
  });
  return { id: token.id, tokenHash: hashToken(secret.reveal()) };
}

export function batchOf(
  fleet: FleetContext,
  changes: Partial<Parameters<typeof openBatch>[1]> = {},
): Promise<Batch> {
  return openBatch(fleet, {
    caller: operator,
    id: 'lot-1',
    type: 'default',
    quota: 5,
    idPattern: null,
    stations: [],
    labels: {},
    rework: false,
    lifetime: Duration.days(1),
    ...changes,
  });
}

/** The code of a Keyline error; anything else is thrown on, so that it fails the test. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (isKeylineError(error)) return error.code;
    throw error;
  }
}

export const kinds = (entries: readonly LedgerEntry[]): EntryData['kind'][] =>
  entries.map(({ data }) => data.kind);

/** Everything written so far; a refusal must leave it as it was. */
export async function written(fleet: FleetContext): Promise<unknown> {
  return [
    await fleet.store.lastSeq(),
    await fleet.store.listDevices({ limit: 1000 }),
    await fleet.store.listTokens({ limit: 1000 }),
    await fleet.store.listBatches({ limit: 1000 }),
  ];
}
