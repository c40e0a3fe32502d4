// The issuing CA's side of a broker: its target over mTLS, as apps/ca connects it.
import { readFileSync } from 'node:fs';
import { createDynsecClient } from '@keyline/dynsec';
import type { Store } from '@keyline/fleet';
import { createDynsecTarget, createTargetFollower, type TargetFollower } from '@keyline/targets';
import { readProofs, type FleetFiles } from './fleet-certificates.ts';
import { loadProjectConfig } from './filled-store.ts';

export async function openAdminTarget(options: {
  readonly port: number;
  readonly fleet: FleetFiles;
  readonly store: Store;
}): Promise<{ readonly target: TargetFollower; readonly close: () => Promise<void> }> {
  const { port, fleet, store } = options;
  const { admin } = readProofs(fleet.devices);
  const client = createDynsecClient({
    url: `mqtts://localhost:${port}`,
    credentials: () => ({ ca: readFileSync(fleet.ca, 'utf8'), cert: admin.cert, key: admin.key }),
  });
  const { roles, types } = await loadProjectConfig();
  const target = createTargetFollower({
    target: createDynsecTarget({ name: 'broker', client }),
    ...{ roles, types, fleet: store, exclusive: true },
  });
  return { target, close: () => client.close() };
}
