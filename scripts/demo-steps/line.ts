// Step 5: a batch on a manufacturing line, sent twice, and one unit too many.
import { performance } from 'node:perf_hooks';
import { expectRefusal, expectStatus, must } from '../../test/support/answers.ts';
import { createDeviceKey } from '../../test/support/device-key.ts';
import type { RestClient } from '../../test/support/rest-client.ts';
import type { World } from './world.ts';

const quota = 50;
const batch = 'wo-2031';

interface Line {
  readonly id: string;
  readonly status: number;
  readonly serial: string;
  readonly certificate: string;
}

export async function showLine(world: World): Promise<void> {
  const { screen, fleet, keyline } = world;
  const { admin } = fleet;
  screen.step('A station signs a batch on the line');
  let station: RestClient | undefined;
  await screen.verify(`an operator opened work order ${batch} for ${quota} units`, async () => {
    const name = 'station-1@line';
    const request = { id: batch, quota, idPattern: 'unit-*', stations: [name] };
    expectStatus(await admin.post('/v1/batches', request), 201);
    station = keyline.as(await fleet.issueIdentity({ profile: 'station', name }));
    return `for ${name} only`;
  });
  must(station !== undefined, 'There is no station.');
  const line = station;

  const units = await Promise.all(
    Array.from({ length: quota }, async (_, number) => {
      const id = `unit-${String(number + 1).padStart(4, '0')}`;
      return { id, csr: await createDeviceKey().csr(id) };
    }),
  );
  let first: Line[] = [];
  await screen.verify(`${quota} units were signed in one stream`, async () => {
    const begun = performance.now();
    first = await sign(line, units);
    const took = performance.now() - begun;
    must(
      first.every(({ status }) => status === 201),
      'Not every unit was signed.',
    );
    must(new Set(first.map(({ serial }) => serial)).size === quota, 'A serial came twice.');
    return `${(took / quota).toFixed(1)} ms a unit`;
  });
  await screen.verify('sent again: the same certificates, nothing new', async () => {
    const again = await sign(line, units);
    const isSame = again.every(
      ({ status, certificate }, index) =>
        status === 200 && certificate === first[index]?.certificate,
    );
    must(isSame, 'An answer was another one than before.');
    const { body } = expectStatus(await line.get(`/v1/batches/${batch}`), 200);
    must(body.issued === quota, `The batch counts ${body.issued} units.`);
    return `still ${body.issued} of ${body.quota}`;
  });
  await screen.verify('unit 51 is beyond the quota', async () => {
    const id = 'unit-0051';
    const request = { id, csr: await createDeviceKey().csr(id) };
    const refusal = expectRefusal(
      await line.post(`/v1/batches/${batch}/sign`, request),
      'BATCH_QUOTA_EXHAUSTED',
    );
    expectStatus(await admin.get(`/v1/devices/${id}`), 404);
    return refusal;
  });
  line.close();
}

async function sign(station: RestClient, units: readonly object[]): Promise<Line[]> {
  const body = units.map((unit) => `${JSON.stringify(unit)}\n`).join('');
  const headers = { 'content-type': 'application/x-ndjson' };
  const answer = await station.send('POST', `/v1/batches/${batch}/sign`, { body, headers });
  expectStatus(answer, 200);
  const lines = answer.text
    .trim()
    .split('\n')
    .map((text) => JSON.parse(text) as Line);
  must(lines.length === units.length, `${lines.length} answers came for ${units.length} units.`);
  return lines;
}
