// The numbers in databases that are in use: none may ever come to mean another name.
import { deviceStates, type Certificate, type CertificateState, type Write } from '@keyline/fleet';
import { profileKinds } from '@keyline/pki';
import Database from 'better-sqlite3';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSqliteStore, openSqliteStore } from '../src/index.ts';
import { certificate, device } from './contract/rows.ts';

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-codes-'));
  path = join(folder, 'keyline.db');
  createSqliteStore(path);
});
afterEach(() => rm(folder, { recursive: true }));

async function write(writes: readonly Write[]): Promise<void> {
  const store = await openSqliteStore({ path });
  try {
    expect(await store.commit({ writes, entries: [] })).toMatchObject({ ok: true });
  } finally {
    await store.close();
  }
}

/** What stands in the file: the number of each row by its name. */
function readNumbers(select: string): Record<string, number> {
  const db = new Database(path, { readonly: true });
  const rows = db.prepare(select).raw().all() as [name: string, number: number][];
  db.close();
  return Object.fromEntries(rows);
}

function writeNumber(update: string): void {
  const db = new Database(path);
  db.exec(update);
  db.close();
}

describe('the numbers on disk', () => {
  it('of the states of devices stay what they are', async () => {
    await write(
      deviceStates.map((state) => ({ op: 'insert-device', device: device(state, { state }) })),
    );
    expect(readNumbers('SELECT id, state FROM devices')).toEqual({
      registered: 0,
      active: 1,
      suspended: 2,
      revoked: 3,
      decommissioned: 4,
    });
  });

  it('of the states of certificates stay what they are', async () => {
    const states: CertificateState[] = ['active', 'superseded', 'revoked'];
    await write(inserts(states, (state) => ({ owner: state, state })));
    expect(readNumbers('SELECT owner, state FROM certificates')).toEqual({
      active: 0,
      superseded: 1,
      revoked: 2,
    });
  });

  it('of the kinds of certificates stay what they are', async () => {
    await write(inserts(profileKinds, (kind) => ({ owner: kind, kind })));
    expect(readNumbers('SELECT owner, kind FROM certificates')).toEqual({
      device: 0,
      server: 1,
      service: 2,
      operator: 3,
      station: 4,
      ocsp: 5,
    });
  });

  it('of a later version are an error, not another name', async () => {
    await write([
      { op: 'insert-device', device: device('d1') },
      ...inserts(['active'], () => ({})),
    ]);
    writeNumber('UPDATE devices SET state = 5; UPDATE certificates SET kind = 6');
    const store = await openSqliteStore({ path });
    try {
      await expect(Promise.resolve().then(() => store.listDevices({ limit: 9 }))).rejects.toThrow(
        'unknown code 5',
      );
      const read = Promise.resolve().then(() => store.findCertificate(certificate(0).serial));
      await expect(read).rejects.toThrow('unknown code 6');
    } finally {
      await store.close();
    }
  });
});

function inserts<Name>(
  names: readonly Name[],
  changes: (name: Name) => Partial<Certificate>,
): Write[] {
  return names.map((name, index) => ({
    op: 'insert-certificate',
    certificate: certificate(index, changes(name)),
    evenIfRevoked: true,
  }));
}
