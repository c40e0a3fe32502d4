// Two services on one database: what one writes the other has heard within a second, and what acts on the world is done once.
import { X509Certificate } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { Agent } from 'node:https';
import { cp, readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { createIssuingCertificate, parseCsr, parseOcspAnswer } from '@keyline/pki';
import { decodePem, encodePem, parseCrl } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { createOcspRequests } from '../../../test/bench/support/ocsp-requests.ts';
import {
  buildIssuingCa,
  config,
  makeCsr,
  type Answer,
  type Identity,
  type IssuingCa,
} from './support/issuing-ca.ts';
import { signRootLists } from './support/root-lists.ts';

let a: IssuingCa;
let b: IssuingCa;
let pager: Server;
/** What the webhook was told: status and key of each alert. */
let told: string[];
let encode: ReturnType<typeof createOcspRequests>;
let bySecond: ReturnType<typeof createOcspRequests>;

beforeAll(async () => {
  told = [];
  pager = createServer((request, response) => {
    let text = '';
    request.on('data', (part: Buffer) => (text += part.toString()));
    request.on('end', () => {
      const { alerts } = JSON.parse(text) as {
        alerts: { status: string; labels: Record<string, string> }[];
      };
      told.push(...alerts.map(({ status, labels }) => `${status} ${JSON.stringify(labels)}`));
      response.end();
    });
  });
  await new Promise<void>((resolve) => pager.listen(0, '127.0.0.1', resolve));
  a = await buildIssuingCa({ shared: true });
  const own = join(a.folder, 'config-with-pager');
  await cp(config, own, { recursive: true });
  const file = join(own, 'alerts.yaml');
  const { port } = pager.address() as AddressInfo;
  const text = (await readFile(file, 'utf8')).replace(
    'webhooks:',
    `webhooks: [{ name: pager, url: "http://127.0.0.1:${String(port)}/", timeout: PT5S, attempts: 3 }]`,
  );
  await writeFile(file, text);
  await a.restart(own);
  b = await a.beside(own);
  const issuing = await a.plain('GET', '/aia/issuing-1.cer');
  encode = createOcspRequests(issuing.bytes);
}, 60_000);
afterAll(async () => {
  await b.close();
  await a.close();
  pager.close();
});

/** A second is what is promised; the machine that runs the tests may be slow. */
const soon = <Value>(check: () => Value | Promise<Value>): Promise<Value> =>
  vi.waitFor(check, { timeout: 10_000, interval: 20 });

async function enroll(issuingCa: IssuingCa, id: string): Promise<Identity & { serial: string }> {
  const token = await issuingCa.call('POST', '/v1/tokens', { as: a.admin, body: {} });
  const { pem, key } = await makeCsr(id);
  const { status, body } = await issuingCa.call('POST', '/v1/enroll', {
    body: { csr: pem, token: token.body.secret },
  });
  expect([status, body.detail]).toEqual([201, undefined]);
  return { cert: body.certificate as string, key, serial: body.serial as string };
}

const revoke = (issuingCa: IssuingCa, id: string): Promise<Answer> =>
  issuingCa.call('POST', `/v1/devices/${id}/revoke`, {
    as: a.admin,
    body: { reason: 'keyCompromise' },
  });

async function ocsp(issuingCa: IssuingCa, serial: string, by = encode): Promise<string> {
  const { bytes } = await issuingCa.plain('POST', '/ocsp', {
    body: by.plain(serial),
    headers: { 'content-type': 'application/ocsp-request' },
  });
  return parseOcspAnswer(bytes).status;
}

async function metric(issuingCa: IssuingCa, name: string): Promise<number> {
  const { text } = await issuingCa.call('GET', '/metrics', { as: a.admin });
  const line = text.split('\n').find((one) => one.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}

const crlOf = async (issuingCa: IssuingCa, list = 'issuing-1') =>
  parseCrl((await issuingCa.plain('GET', `/crl/${list}.crl`)).bytes);

describe('two services on one database', () => {
  it('each answer for what the other issued', async () => {
    const device = await enroll(a, 'd-other');
    expect(await ocsp(b, device.serial)).toBe('good');
    const { status, body } = await b.call('GET', '/v1/devices/d-other', { as: b.admin });
    expect([status, body.state]).toEqual([200, 'active']);
  });

  it.each([
    ['the first', 'second', () => [a, b] as const],
    ['the second', 'first', () => [b, a] as const],
  ])(
    'a revocation by %s is said by the %s: OCSP, CRL, certificate and metrics',
    async (_1, _2, who) => {
      const [writer, reader] = who();
      const id = `d-${_2}`;
      const device = await enroll(writer, id);
      // Remembered by the reader as good, with a connection that was proved.
      const agent = new Agent({ keepAlive: true, maxSockets: 1 });
      expect(await ocsp(reader, device.serial)).toBe('good');
      const show = (): Promise<Answer> =>
        reader.call('GET', `/v1/devices/${id}`, { as: device, agent });
      const before = await show();
      expect(before.status).toBeLessThan(500);
      expect((await revoke(writer, id)).status).toBe(200);
      await soon(async () => expect(await ocsp(reader, device.serial)).toBe('revoked'));
      await soon(async () => expect((await show()).body.code).toBe('CERTIFICATE_NOT_ACCEPTED'));
      await soon(async () => {
        const { entries } = await crlOf(reader);
        expect(entries.map(({ serial }) => serial)).toContain(device.serial);
      });
      agent.destroy();
      for (const name of [
        'keyline_devices{state="revoked"}',
        'keyline_devices{state="active"}',
        'x509_crl_number{authority="issuing-1"}',
      ]) {
        await soon(async () => expect(await metric(reader, name)).toBe(await metric(writer, name)));
      }
    },
  );

  it('a revoked API token opens neither', async () => {
    const { body } = await a.call('POST', '/v1/tokens', {
      as: a.admin,
      body: { use: 'api', role: 'auditor' },
    });
    const ask = () =>
      b.call('GET', '/v1/devices', { headers: { authorization: `Bearer ${String(body.secret)}` } });
    expect((await ask()).status).toBe(200);
    const { status } = await a.call('DELETE', `/v1/tokens/${String(body.token.id)}`, {
      as: a.admin,
    });
    expect(status).toBeLessThan(300);
    expect((await ask()).status).toBe(401);
  });

  it('count the same entries', async () => {
    const name = 'keyline_ledger_entries_total{kind="device-enrolled"}';
    const before = [await metric(a, name), await metric(b, name)].map((n) =>
      Number.isNaN(n) ? 0 : n,
    );
    await enroll(a, 'd-count-1');
    await enroll(b, 'd-count-2');
    expect([await metric(a, name), await metric(b, name)]).toEqual(before.map((n) => n + 2));
  });

  it('wait for each other: a revocation that is waited for is in the CRL of the one that was asked', async () => {
    for (const [index, issuingCa] of [a, b].entries()) {
      const id = `d-wait-${String(index)}`;
      const device = await enroll(issuingCa, id);
      const { status, body } = await issuingCa.call('POST', `/v1/devices/${id}/revoke`, {
        as: a.admin,
        body: { reason: 'keyCompromise', wait: true },
      });
      expect(status).toBe(200);
      expect(body.evidence.crl.number).toBeGreaterThan(0);
      const { entries } = await crlOf(issuingCa);
      expect(entries.map(({ serial }) => serial)).toContain(device.serial);
    }
  });

  it('publish every CRL number once, in one order, and serve the same one', async () => {
    const db = new DatabaseSync(join(a.data, 'keyline.db'), { readOnly: true });
    const rows = db
      .prepare(
        `SELECT json_extract(data, '$.number') AS number FROM ledger WHERE json_extract(data, '$.kind') = 'crl-published' ORDER BY seq`,
      )
      .all() as { number: number }[];
    const leases = db.prepare('SELECT name, holder, epoch FROM leases ORDER BY name').all() as {
      name: string;
      holder: string;
    }[];
    db.close();
    const numbers = rows.map(({ number }) => number);
    expect(numbers).toEqual([...new Set(numbers)].toSorted((x, y) => x - y));
    expect(leases.map(({ name }) => name)).toEqual([
      ...['alerts', 'alerts:log', 'alerts:pager', 'crl', 'jobs'],
    ]);
    expect(new Set(leases.map(({ holder }) => holder)).size).toBe(1);
    expect((await crlOf(a)).number).toBe((await crlOf(b)).number);
  });

  it('know the CRL of a root that the other was brought, and tell of the alert that it ends once', async () => {
    const now = Date.now();
    const lists = await signRootLists(a, {
      ...{ number: 1, thisUpdate: now - 1000, nextUpdate: now + 86_400_000 },
      certificates: [],
    });
    expect((await b.call('POST', '/v1/root-crls', { as: a.admin, body: lists })).status).toBe(200);
    await soon(async () => expect((await a.plain('GET', '/crl/root.crl')).status).toBe(200));
    await soon(() => expect(told).toHaveLength(1));
    expect(told[0]).toContain('resolved');
    const db = new DatabaseSync(join(a.data, 'keyline.db'), { readOnly: true });
    const alerts = db
      .prepare(
        `SELECT json_extract(data, '$.kind') AS kind, count(*) AS count FROM ledger
         WHERE json_extract(data, '$.alert') IS NOT NULL GROUP BY json_extract(data, '$.alert'), kind`,
      )
      .all() as { kind: string; count: number }[];
    db.close();
    expect(alerts.map(({ kind, count }) => [kind, count])).toEqual([
      ['alert-fired', 1],
      ['alert-resolved', 1],
    ]);
  });

  it('know an authority that the other added, and issue by the one it activated', async () => {
    const added = await a.call('POST', '/v1/authorities', {
      as: a.admin,
      body: { id: 'issuing-2', commonName: 'Second Issuing' },
    });
    expect(added.status).toBe(201);
    const certificate = await createIssuingCertificate({
      root: { certificateDer: decodePem(a.trust, 'CERTIFICATE'), signer: a.rootSigner },
      csr: parseCsr(added.body.csr as string),
      now: Date.now(),
      validity: 365 * 24 * 3600 * 1000,
    });
    const installed = await b.call('POST', '/v1/authorities/issuing-2/certificate', {
      as: a.admin,
      body: { certificate: encodePem('CERTIFICATE', certificate), root: a.trust },
    });
    expect(installed.status).toBe(200);
    const activated = await b.call('POST', '/v1/authorities/issuing-2/activate', {
      as: a.admin,
      body: {},
    });
    expect(activated.status).toBe(200);
    await soon(async () => {
      const { body } = await a.call('GET', '/v1/authorities', { as: a.admin });
      const second = body.items.find(({ id }: { id: string }) => id === 'issuing-2');
      expect(second?.profiles).toContain('device-client');
    });
    bySecond = createOcspRequests(certificate);
    const device = await enroll(a, 'd-of-second');
    expect(new X509Certificate(device.cert).issuer).toContain('Second Issuing');
    // Its CRL and its answers are served by both, whichever of them publishes.
    for (const issuingCa of [a, b]) {
      await soon(async () => {
        expect((await issuingCa.plain('GET', '/crl/issuing-2.crl')).status).toBe(200);
        expect(await ocsp(issuingCa, device.serial, bySecond)).toBe('good');
      });
    }
  });

  it('go on when the one that publishes ends: the other takes over', async () => {
    const first = await enroll(b, 'd-last-1');
    await a.service.close();
    expect((await revoke(b, 'd-last-1')).status).toBe(200);
    await soon(async () => {
      const { entries } = await crlOf(b, 'issuing-2');
      expect(entries.map(({ serial }) => serial)).toContain(first.serial);
    });
    // And comes back beside it.
    const again = await b.beside();
    expect(await ocsp(again, first.serial, bySecond)).toBe('revoked');
    await again.close();
  });
});
