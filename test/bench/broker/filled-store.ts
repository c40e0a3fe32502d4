// A fleet in the CA's database, written by the store itself: 50,000 enrollments would be another bench.
import { loadConfig, type KeylineConfig } from '@keyline/config';
import type { NewDevice, Store } from '@keyline/fleet';
import { parseDeviceId } from '@keyline/kernel';
import { openSqliteStore } from '@keyline/store';
import { join } from 'node:path';
import { deviceNames } from './fleet-state.ts';

const project = join(import.meta.dirname, '../../..');
const devicesPerUnit = 500;

/** Active devices of the default type, `unit-00000`, …; without certificates, which no right depends on. The database must be there. */
export async function fillStore(path: string, count: number): Promise<Store> {
  const store = await openSqliteStore({ path });
  const now = Date.now();
  const devices = deviceNames(count).map((id): NewDevice => ({
    ...{ id: parseDeviceId(id), type: 'default', batch: null, labels: {}, state: 'active' },
    ...{
      version: 1,
      createdAt: now,
      updatedAt: now,
      serial: null,
      notAfter: null,
      predecessor: null,
    },
  }));
  for (let at = 0; at < devices.length; at += devicesPerUnit) {
    const result = await store.commit({
      writes: devices
        .slice(at, at + devicesPerUnit)
        .map((device) => ({ op: 'insert-device', device })),
      entries: [],
    });
    if (!result.ok) throw new Error(`the store refused: ${result.code}`);
  }
  return store;
}

export function loadProjectConfig(): Promise<KeylineConfig> {
  return loadConfig(join(project, 'ca-config'));
}
