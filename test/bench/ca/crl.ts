// Full and delta CRL of an authority with a million revoked certificates, while it goes on answering.
import { readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCrl } from '@keyline/x509';
import type { Bench, BenchContext, Measured } from '../support/bench.ts';
import {
  encodeJson,
  encodeRequest,
  openConnections,
  percentile,
  type Connection,
} from '../support/http-load.ts';
import { serveIssuingCa, type IssuingCa } from '../support/issuing-ca.ts';
import { createSeededCa } from '../support/seed.ts';

const full = { devices: 1_000_000, revoked: 1 };
const short = { devices: 50_000, revoked: 1 };

export const crlFull: Bench = {
  id: 'crl-full',
  unit: 's',
  means:
    'From a revocation to the full CRL with 1,000,000 others in it (QUICK: 50,000); other requests wait at most 50 ms (p99), 250 MB more at most.',
  reach: { atMost: 1 },
  run: (context) =>
    withRevoked(context, async ({ service, admin, reader }, [one]) => {
      await sleep(1000);
      const idle = memoryOf(service.pid).now;
      writeFileSync(`/proc/${service.pid}/clear_refs`, '5');
      const probe = probeOthers(service);
      const begun = performance.now();
      revoke(admin, one);
      const der = await newCrl(reader, [fullPath], one, begun + 60_000);
      const seconds = (performance.now() - begun) / 1000;
      const latencies = await probe.stop();
      if (parseCrl(new Uint8Array(der)).entries.length < 50_000) throw new Error('a short CRL');
      const more = (memoryOf(service.pid).most - idle) / 1024;
      const p99 = percentile(latencies, 0.99);
      context.note(`${(der.length / 1e6).toFixed(1)} MB; ${more.toFixed(0)} MiB above idle`);
      context.note(
        `${latencies.length} other requests meanwhile: p50 ${percentile(latencies, 0.5).toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, slowest ${latencies.at(-1)?.toFixed(1) ?? '?'} ms`,
      );
      return { value: seconds, limit: 3, holds: p99 <= 50 && more <= 250 };
    }),
};

export const crlDelta: Bench = {
  id: 'crl-delta',
  unit: 'ms',
  means:
    'From a revocation to the delta CRL that carries it, with 1,000,000 revoked before (QUICK: 50,000).',
  reach: { atMost: 1 },
  run: (context) =>
    withRevoked(context, async ({ admin, reader }, [first, ...others]) => {
      // The first after a start publishes a full one; those that follow soon are in deltas.
      revoke(admin, first);
      await newCrl(reader, [fullPath], first, performance.now() + 60_000);
      const times: number[] = [];
      for (const id of others) {
        await sleep(500);
        const begun = performance.now();
        revoke(admin, id);
        // A short full one (QUICK) may be made instead.
        const paths = context.quick ? [deltaPath, fullPath] : [deltaPath];
        await newCrl(reader, paths, id, begun + 10_000);
        times.push(performance.now() - begun);
      }
      context.note(`each: ${times.map((time) => time.toFixed(1)).join(', ')} ms`);
      return { value: times.toSorted((a, b) => a - b)[Math.floor(times.length / 2)]!, limit: 50 };
    }),
};

interface Used {
  readonly service: IssuingCa;
  readonly admin: Connection;
  readonly reader: Connection;
}

const serials = new Map<string, string>();

/** A service with everything revoked but a few devices that were enrolled since; hands over their ids. */
async function withRevoked(
  { quick, folder }: BenchContext,
  measure: (used: Used, ids: readonly [string, ...string[]]) => Promise<Measured>,
): Promise<Measured> {
  await createSeededCa(folder, quick ? short : full);
  const service = await serveIssuingCa(folder);
  try {
    const { enrollAll } = await import('../support/devices.ts');
    const { loadCsrs } = await import('../support/csrs.ts');
    const csrs = (await loadCsrs(6)).map(({ id, pem }) => ({ id, pem }));
    const [first, ...others] = await enrollAll(service, csrs);
    if (first === undefined) throw new Error('nothing was enrolled');
    for (const { id, serial } of [first, ...others]) serials.set(id, serial);
    // Made before the clock starts: a revocation is not slower for a new connection's handshake.
    const [admin] = await openConnections(1, asAdmin(service));
    const [reader] = await openConnections(1, service.http);
    return await measure({ service, admin: admin!, reader: reader! }, [
      first.id,
      ...others.map(({ id }) => id),
    ]);
  } finally {
    await service.stop();
  }
}

/** Not waited for: its answer itself waits a while for the CRL. */
function revoke(admin: Connection, id: string): void {
  void admin
    .send(encodeJson(`/v1/devices/${id}/revoke`, { reason: 'keyCompromise' }))
    .then(({ status, body }) => {
      if (status !== 200) throw new Error(`revoke: ${status} ${body.toString()}`);
    });
}

const asAdmin = ({ api, trust, adminProof }: IssuingCa) => ({
  ...api,
  tls: { ca: trust, ...adminProof },
});

const fullPath = '/crl/issuing-1.crl';
const deltaPath = '/crl/issuing-1-delta.crl';

/** The first CRL served at one of the paths that has the device's serial in it. */
async function newCrl(
  reader: Connection,
  paths: readonly string[],
  id: string,
  until: number,
): Promise<Buffer> {
  const serial = Buffer.from(serials.get(id)!, 'hex');
  // Only a changed one is taken: a million entries every few milliseconds would be a load of its own.
  const etags = new Map(paths.map((path) => [path, '']));
  while (performance.now() < until) {
    for (const [path, etag] of etags) {
      const headers = { 'if-none-match': etag };
      const request = encodeRequest({ method: 'GET', path, headers });
      const { status, body, head } = await reader.send(request);
      if (status !== 200) continue;
      etags.set(path, /\r\netag: *([^\r]+)/i.exec(head)?.[1] ?? '');
      if (body.includes(serial)) return body;
    }
    await sleep(2);
  }
  throw new Error(`${paths.join(', ')}: nothing carries ${id} in time`);
}

/** What others feel: OCSP-like small requests, one every 5 ms on each of four connections. */
function probeOthers(service: IssuingCa): { stop: () => Promise<Float64Array> } {
  let running = true;
  const latencies: number[] = [];
  const request = encodeRequest({ method: 'GET', path: '/v1/whoami' });
  const ask = async (connection: Connection): Promise<void> => {
    while (running) {
      const sent = performance.now();
      await connection.send(request);
      latencies.push(performance.now() - sent);
      await sleep(5);
    }
    connection.close();
  };
  const asking = openConnections(4, asAdmin(service)).then((all) => Promise.all(all.map(ask)));
  return {
    stop: async () => {
      running = false;
      await asking;
      return Float64Array.from(latencies).sort();
    },
  };
}

/** Resident memory in KiB: what it has now, and the most it had since the mark was cleared. */
function memoryOf(pid: number): { readonly now: number; readonly most: number } {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (name: string): number => Number(new RegExp(`${name}:\\s+(\\d+)`).exec(text)?.[1]);
  return { now: kib('VmRSS'), most: kib('VmHWM') };
}
