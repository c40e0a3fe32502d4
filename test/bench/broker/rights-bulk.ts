import { spawn } from 'node:child_process';
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { readFileSync } from 'node:fs';
import { createSqliteStore } from '@keyline/store';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench } from '../support/bench.ts';
import { createIssuingCa, freePort, serveIssuingCa, stopper } from '../support/issuing-ca.ts';
import { openAdminTarget } from './admin-target.ts';
import { startBroker } from './brokers.ts';
import { fillStore } from './filled-store.ts';
import { adminName, prepareFleet, readProofs, type FleetFiles } from './fleet-certificates.ts';
import { LoadClient } from './mqtt-load-client.ts';

const project = join(import.meta.dirname, '../../..');

const devices = 50_000;

export const rightsBulkEmbedded: Bench = {
  id: 'rights-bulk-embedded',
  unit: 's',
  means:
    '50,000 identities into an empty embedded broker by its target’s comparison, over mTLS, durable there before it ends; best of three (QUICK: one).',
  reach: { atMost: 1 },
  async run({ quick, folder, note }) {
    const fleet = await prepareFleet(1);
    const file = join(folder, 'keyline.db');
    createSqliteStore(file);
    const store = await fillStore(file, devices);
    let best = Infinity;
    for (let i = 0; i < (quick ? 1 : 3); i++) {
      const broker = await startBroker('embedded', { folder: join(folder, String(i)), fleet });
      const { target, close } = await openAdminTarget({ port: broker.port, fleet, store });
      try {
        await target.prepare();
        const before = broker.cpuSeconds();
        const begun = performance.now();
        const { missing } = await target.reconcile();
        const seconds = (performance.now() - begun) / 1000;
        if (missing !== devices) throw new Error(`${missing} were missing instead of ${devices}`);
        note(
          `${seconds.toFixed(2)} s, ${(broker.cpuSeconds() - before).toFixed(2)} s of the broker's CPU`,
        );
        best = Math.min(best, seconds);
        const again = await target.reconcile();
        if (again.missing + again.changed + again.stale + again.foreign > 0) {
          throw new Error(
            `the broker has something else than it was told: ${JSON.stringify(again)}`,
          );
        }
      } finally {
        await close();
        await broker.stop();
      }
    }
    return { value: best, limit: 2 };
  },
};

export const rightsBulkMosquitto: Bench = {
  id: 'rights-bulk-mosquitto',
  needs: 'mosquitto',
  unit: 's',
  means:
    '50,000 identities from GET /v1/dynamic-security into the state file of a Mosquitto that keyline-broker then starts, until a device of the fleet is let in and may subscribe to its commands; best of three (QUICK: one).',
  reach: { atMost: 1 },
  async run(context) {
    const { quick, folder, note } = context;
    const fleet = await prepareFleet(1);
    await createIssuingCa(folder);
    await (await fillStore(join(folder, 'ca/keyline.db'), devices)).close();
    const service = await serveIssuingCa(folder);
    try {
      let best = Infinity;
      for (let i = 0; i < (quick ? 1 : 3); i++) {
        const begun = performance.now();
        const { status, text } = await service.admin.get('/v1/dynamic-security');
        if (status !== 200) throw new Error(text);
        const fetched = (performance.now() - begun) / 1000;
        const stop = await startFilled(join(folder, `broker-${i}`), { fleet, state: text });
        const seconds = (performance.now() - begun) / 1000;
        await stop();
        note(`${seconds.toFixed(2)} s, of which the answer of the API ${fetched.toFixed(2)} s`);
        best = Math.min(best, seconds);
      }
      return { value: best, limit: 5 };
    } finally {
      await service.stop();
    }
  },
};

/** Answers when a device is let in and has its rights. */
async function startFilled(
  data: string,
  { fleet, state }: { readonly fleet: FleetFiles; readonly state: string },
): Promise<() => Promise<void>> {
  mkdirSync(join(data, 'mosquitto'), { recursive: true, mode: 0o700 });
  writeFileSync(join(data, 'mosquitto/dynamic-security.json'), state, { mode: 0o600 });
  const port = await freePort();
  const child = spawn(
    join(project, 'apps/broker/bin/keyline-broker'),
    [
      ...['serve', '--engine', 'mosquitto', '--config', join(project, 'ca-config')],
      ...['--data', data, '--port', String(port)],
      ...['--cert', fleet.cert, '--key', fleet.key, '--ca', fleet.ca, '--admin', adminName],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const log = join(data, 'log');
  for (const stream of [child.stdout, child.stderr])
    stream.pipe(createWriteStream(log, { flags: 'a' }));
  const stop = stopper(child);
  const [device] = readProofs(fleet.devices).devices;
  if (device === undefined) throw new Error('there is no device');
  const { id, cert, key } = device;
  const context = createSecureContext({ ca: readFileSync(fleet.ca), cert, key });
  const until = performance.now() + 60_000;
  for (;;) {
    try {
      const client = await LoadClient.open({ port, context, clientId: id });
      await client.subscribe(`devices/${id}/commands/#`, 1);
      client.close();
      return stop;
    } catch (error) {
      if (child.exitCode !== null || performance.now() > until) {
        await stop();
        throw new Error(
          `Mosquitto does not serve (${(error as Error).message}): ${readFileSync(log, 'utf8')}`,
        );
      }
      await sleep(10);
    }
  }
}
