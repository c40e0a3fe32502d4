// Another process beside this one on one database, stopped and killed while it holds the leases: it publishes nothing late, says nothing old,
// and what it leaves is taken over.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { request } from 'node:http';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { parseOcspAnswer } from '@keyline/pki';
import { parseCrl } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createOcspRequests } from '../../../test/bench/support/ocsp-requests.ts';
import { buildIssuingCa, config, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let ca: IssuingCa;
let encode: ReturnType<typeof createOcspRequests>;
let child: ChildProcess | undefined;
let httpPort: number;

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function startOther(): Promise<ChildProcess> {
  const ready = join(ca.folder, 'ready');
  await rm(ready, { force: true });
  httpPort = await freePort();
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const started = spawn(
    process.execPath,
    [
      ...[main, 'serve', '--share-database', '--data', ca.data, '--config', config],
      ...['--port', String(await freePort()), '--http-port', String(httpPort)],
      ...['--ready-file', ready],
    ],
    { stdio: 'ignore' },
  );
  await soon(() => expect(existsSync(ready)).toBe(true));
  child = started;
  return started;
}

async function kill(one: ChildProcess): Promise<void> {
  const gone = once(one, 'exit');
  one.kill('SIGKILL');
  await gone;
}

beforeAll(async () => {
  ca = await buildIssuingCa({ shared: true });
  encode = createOcspRequests((await ca.plain('GET', '/aia/issuing-1.cer')).bytes);
}, 60_000);
afterAll(async () => {
  if (child?.exitCode === null && child.signalCode === null) await kill(child);
  await ca.close();
});

const soon = <Value>(check: () => Value | Promise<Value>): Promise<Value> =>
  vi.waitFor(check, { timeout: 20_000, interval: 25 });

function query<Row>(sql: string): Row[] {
  const db = new DatabaseSync(join(ca.data, 'keyline.db'), { readOnly: true });
  try {
    return db.prepare(sql).all() as Row[];
  } finally {
    db.close();
  }
}

const leaseOf = (name: string): { holder: string | null; epoch: number } | undefined =>
  query<{ holder: string | null; epoch: number }>(
    `SELECT holder, epoch FROM leases WHERE name = '${name}'`,
  )[0];

const numbers = (): number[] =>
  query<{ number: number }>(
    `SELECT data ->> 'number' AS number FROM ledger WHERE data ->> 'kind' = 'crl-published' ORDER BY seq`,
  ).map(({ number }) => number);

async function enroll(id: string): Promise<string> {
  const token = await ca.call('POST', '/v1/tokens', { as: ca.admin, body: {} });
  const { pem } = await makeCsr(id);
  const { body } = await ca.call('POST', '/v1/enroll', {
    body: { csr: pem, token: token.body.secret },
  });
  return body.serial as string;
}

async function revoke(id: string): Promise<void> {
  const { status } = await ca.call('POST', `/v1/devices/${id}/revoke`, {
    as: ca.admin,
    body: { reason: 'keyCompromise' },
  });
  expect(status).toBe(200);
}

function other(method: string, path: string, body?: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/ocsp-request' };
    const sent = request({ host: '127.0.0.1', port: httpPort, method, path, headers }, (answer) => {
      const parts: Buffer[] = [];
      answer.on('data', (part: Buffer) => parts.push(part));
      answer.on('end', () => resolve(Buffer.concat(parts)));
    });
    sent.on('error', reject);
    sent.end(body);
  });
}

const statusAtOther = async (serial: string): Promise<string> =>
  parseOcspAnswer(await other('POST', '/ocsp', encode.plain(serial))).status;

const listed = (crl: Uint8Array): string[] => parseCrl(crl).entries.map(({ serial }) => serial);
const listedHere = async (): Promise<string[]> =>
  listed((await ca.plain('GET', '/crl/issuing-1.crl')).bytes);

/** The other process begins alone with the leases, this one comes beside it. */
async function letOtherHold(): Promise<ChildProcess> {
  await ca.service.close();
  const started = await startOther();
  // One that was killed before is waited for.
  await soon(() => expect(leaseOf('crl')?.holder).not.toBeNull());
  const { epoch } = leaseOf('crl')!;
  await ca.restart();
  expect(leaseOf('crl')?.epoch).toBe(epoch);
  return started;
}

describe('a process that holds the leases', () => {
  it('and is stopped for longer than they last is taken over; going on, it says nothing old and publishes nothing', async () => {
    const holder = await letOtherHold();
    const { epoch } = leaseOf('crl')!;
    const [first, second] = [await enroll('d1'), await enroll('d2')];
    await revoke('d1');
    // Published by the other, served by this one.
    await soon(async () => expect(await listedHere()).toContain(first));
    expect(await statusAtOther(second)).toBe('good');
    holder.kill('SIGSTOP');
    await revoke('d2');
    await soon(async () => expect(await listedHere()).toContain(second));
    expect(leaseOf('crl')?.epoch).toBe(epoch + 1);
    const asked = statusAtOther(second);
    holder.kill('SIGCONT');
    // It has it in memory as good, and has heard nothing since.
    expect(await asked).toBe('revoked');
    await soon(async () =>
      expect(listed(await other('GET', '/crl/issuing-1.crl'))).toEqual(await listedHere()),
    );
    expect(leaseOf('crl')?.epoch).toBe(epoch + 1);
    expect(numbers()).toEqual([...new Set(numbers())].toSorted((a, b) => a - b));
    await kill(holder);
  }, 60_000);

  it('and is killed while it publishes leaves nothing lost, doubled or out of order', async () => {
    for (let round = 0; round < 3; round++) {
      const holder = await letOtherHold();
      const serials: string[] = [];
      for (let n = 0; n < 8; n++) serials.push(await enroll(`k${String(round)}-${String(n)}`));
      const revoking = serials.map((_, n) => revoke(`k${String(round)}-${String(n)}`));
      await revoking[round * 2];
      await kill(holder);
      await Promise.all(revoking);
      await soon(async () => expect(await listedHere()).toEqual(expect.arrayContaining(serials)));
    }
    expect(numbers()).toEqual([...new Set(numbers())].toSorted((a, b) => a - b));
    const seqs = query<{ seq: number }>('SELECT seq FROM ledger ORDER BY seq').map(
      ({ seq }) => seq,
    );
    expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  }, 120_000);
});
