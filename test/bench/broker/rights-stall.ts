import { join } from 'node:path';
import type { Device } from '@keyline/fleet';
import type { LedgerEntry } from '@keyline/ledger';
import { createSqliteStore } from '@keyline/store';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Bench, BenchContext } from '../support/bench.ts';
import { percentile } from '../support/http-load.ts';
import { openAdminTarget } from './admin-target.ts';
import { besideMosquitto } from './beside-mosquitto.ts';
import { startBroker, type BrokerKind } from './brokers.ts';
import { fillStore } from './filled-store.ts';
import { prepareFleet } from './fleet-certificates.ts';
import { deviceNames, stateFor } from './fleet-state.ts';
import { startLoad } from './load.ts';

const identities = 20_000;

export const rightsStall: Bench = {
  id: 'rights-stall',
  unit: 'ms',
  means:
    'Longest answer to a PINGREQ of a client that pings all the time while 1,000 devices (QUICK: 200; Mosquitto 100) are enrolled and pushed by the target to a broker with 20,000 identities; the least of three runs.',
  reach: { atMost: 1 },
  async run(context) {
    const embedded = await measure('embedded', context);
    const beside = await besideMosquitto(async () => (await measure('mosquitto', context)).longest);
    return {
      value: embedded.longest,
      limit: 50,
      holds: beside.peers.every(({ value }) => value <= 50),
      ...beside,
    };
  },
};

async function measure(
  kind: BrokerKind,
  { folder, quick, note }: BenchContext,
): Promise<{ readonly longest: number }> {
  const pushes = quick ? (kind === 'mosquitto' ? 100 : 200) : 1_000;
  const fleet = await prepareFleet(1);
  const file = join(folder, `${kind}.db`);
  createSqliteStore(file);
  const store = await fillStore(file, 1);
  const broker = await startBroker(kind, {
    ...{ folder, fleet, state: stateFor(deviceNames(identities)) },
  });
  const load = startLoad();
  const { target, close } = await openAdminTarget({ port: broker.port, fleet, store });
  try {
    await load.call('prepare', {
      ...{ port: broker.port, caFile: fleet.ca, devicesFile: fleet.devices, from: 0, count: 1 },
    });
    await load.call('connectAll', {});
    await target.prepare();
    let longest = Infinity;
    for (let run = 0; run < (quick || kind === 'mosquitto' ? 1 : 3); run++) {
      await load.call('ping', undefined);
      await sleep(1_000);
      const still = (await load.call('pinged', undefined)).at(-1) ?? Number.NaN;
      await load.call('ping', undefined);
      const begun = performance.now();
      await pushAll(target, entriesFor(pushes, run));
      const seconds = (performance.now() - begun) / 1000;
      const times = await load.call('pinged', undefined);
      const most = times.at(-1) ?? Number.NaN;
      note(
        `${kind}: ${pushes} pushes in ${seconds.toFixed(2)} s; longest ${most.toFixed(1)} ms, p99.9 ${percentile(times, 0.999).toFixed(1)} ms of ${times.length} pings; longest without pushes ${still.toFixed(1)} ms`,
      );
      longest = Math.min(longest, most);
    }
    return { longest };
  } finally {
    load.stop();
    await close();
    await broker.stop();
    await store.close();
  }
}

/** As the follower hands them over: what has come since the last time, a few at once. */
async function pushAll(
  target: { apply(entries: readonly LedgerEntry[]): Promise<void> },
  entries: readonly LedgerEntry[],
): Promise<void> {
  const atOnce = 50;
  for (let at = 0; at < entries.length; at += atOnce) {
    await target.apply(entries.slice(at, at + atOnce));
  }
}

function entriesFor(count: number, run: number): LedgerEntry[] {
  return Array.from({ length: count }, (_, i) => ({
    ...{ seq: run * count + i + 1, at: Date.now(), actor: 'keyline' },
    data: {
      ...{ kind: 'device-enrolled', device: `new-${run}-${i}`, type: 'default', role: 'device' },
      state: 'active' satisfies Device['state'],
      ...{
        serial: (run * count + i + 1).toString(16).padStart(4, '0'),
        notAfter: Date.now() + 1e9,
      },
    },
  }));
}
