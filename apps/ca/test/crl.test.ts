// CRLs of the running service: deltas, shards, the root's, and what a restart leaves.
import { execFile } from 'node:child_process';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createCrl } from '@keyline/pki';
import { decodePem, encodePem, parseCertificate, parseCrl, verifySignature } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { buildIssuingCa, config, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

const run = promisify(execFile);

async function enrollDevice(issuingCa: IssuingCa, id: string): Promise<string> {
  const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
  const { pem } = await makeCsr(id);
  const { body } = await issuingCa.call('POST', '/v1/enroll', {
    body: { csr: pem, token: token.body.secret },
  });
  return body.certificate as string;
}

const change = (issuingCa: IssuingCa, id: string, what: string) =>
  issuingCa.call('POST', `/v1/devices/${id}/${what}`, {
    as: issuingCa.admin,
    body: { wait: true },
  });

describe('complete and delta CRLs', () => {
  let issuingCa: IssuingCa;
  beforeAll(async () => {
    issuingCa = await buildIssuingCa();
  });
  afterAll(() => issuingCa.close());

  const load = async (file: string) =>
    parseCrl((await issuingCa.plain('GET', `/crl/${file}`)).bytes);

  it('share their numbers; the base names its delta (RFC 5280 §5.2.4, §5.2.6)', async () => {
    const base = await load('issuing-1.crl');
    const delta = await load('issuing-1-delta.crl');
    expect(base.freshestCrl).toEqual(['http://127.0.0.1:8080/crl/issuing-1-delta.crl']);
    expect(delta).toMatchObject({ isDelta: true, baseNumber: base.number, entries: [] });
    expect(delta.number).toBeGreaterThan(base.number);
    expect(delta.distributionPoints).toEqual(base.distributionPoints);
  });

  it('together hold every revocation the moment it is answered, however they come', async () => {
    const ids = Array.from({ length: 30 }, (_, n) => `d${String(n)}`);
    for (const id of ids) await enrollDevice(issuingCa, id);
    const answers = await Promise.all(ids.map((id) => change(issuingCa, id, 'revoke')));
    const base = await load('issuing-1.crl');
    const delta = await load('issuing-1-delta.crl');
    expect(delta.baseNumber).toBe(base.number);
    const held = new Set([...base.entries, ...delta.entries].map(({ serial }) => serial));
    for (const { body } of answers) {
      expect(held).toContain(body.device.serial);
      expect(body.evidence.crl.number).toBeGreaterThan(1);
    }
  });

  it('take a lifted hold off again', async () => {
    await enrollDevice(issuingCa, 'held');
    const suspended = await change(issuingCa, 'held', 'suspend');
    const { serial } = suspended.body.device as { serial: string };
    await change(issuingCa, 'held', 'resume');
    const base = await load('issuing-1.crl');
    const delta = await load('issuing-1-delta.crl');
    const inDelta = delta.entries.find((entry) => entry.serial === serial);
    const inBase = base.entries.some((entry) => entry.serial === serial);
    expect(inDelta?.reason ?? (inBase ? 'still there' : 'gone')).toMatch(/removeFromCRL|gone/);
  });

  it('go on with higher numbers after a restart, and forget nothing', async () => {
    const before = await load('issuing-1-delta.crl');
    await enrollDevice(issuingCa, 'last');
    await issuingCa.restart();
    const { body } = await change(issuingCa, 'last', 'revoke');
    const base = await load('issuing-1.crl');
    const delta = await load('issuing-1-delta.crl');
    expect(delta.number).toBeGreaterThan(before.number);
    const held = [...base.entries, ...delta.entries].map(({ serial }) => serial);
    expect(held).toContain(body.device.serial);
    expect(new Set(held).size).toBe(31);
  });

  it.skipIf(!has('openssl'))('are what OpenSSL takes with -use_deltas', async () => {
    const file = (name: string): string => join(issuingCa.folder, name);
    const lists: string[] = [];
    for (const name of ['issuing-1', 'issuing-1-delta']) {
      lists.push(encodePem('X509 CRL', (await issuingCa.plain('GET', `/crl/${name}.crl`)).bytes));
    }
    await writeFile(file('crls.pem'), lists.join(''));
    await writeFile(file('good.crt'), await enrollDevice(issuingCa, 'good'));
    const { stdout } = await run('openssl', [
      'verify',
      '-x509_strict',
      '-extended_crl',
      '-use_deltas',
      '-crl_check',
      ...['-CAfile', file('root.crt')],
      ...['-untrusted', file('issuing.crt')],
      ...['-CRLfile', file('crls.pem')],
      file('good.crt'),
    ]);
    expect(stdout).toContain('OK');
  });
});

describe('the same CRL without a distribution point, for software that loads none with that critical extension', () => {
  let issuingCa: IssuingCa;
  let revoked: string;
  beforeAll(async () => {
    issuingCa = await buildIssuingCa();
    await writeFile(join(issuingCa.folder, 'good.crt'), await enrollDevice(issuingCa, 'good'));
    await writeFile(join(issuingCa.folder, 'bad.crt'), await enrollDevice(issuingCa, 'bad'));
    const { body } = await change(issuingCa, 'bad', 'revoke');
    revoked = body.device.serial as string;
  });
  afterAll(() => issuingCa.close());
  const get = (file: string, headers = {}) => issuingCa.plain('GET', `/crl/${file}`, { headers });

  it('is served beside it, with its number, its times and its entries (RFC 5280 §5.2.5)', async () => {
    const base = parseCrl((await get('issuing-1.crl')).bytes);
    const answer = await get('issuing-1.full.crl');
    expect([answer.status, answer.headers['content-type']]).toEqual([200, 'application/pkix-crl']);
    const full = parseCrl(answer.bytes);
    const { number, thisUpdate, nextUpdate, entries, issuerDer } = base;
    expect(full).toMatchObject({ number, thisUpdate, nextUpdate, entries, issuerDer });
    expect(full.entries.map(({ serial }) => serial)).toEqual([revoked]);
    expect(full.extensions.some(({ critical }) => critical)).toBe(false);
    expect(full.freshestCrl).toEqual([]);
    const { spkiDer } = parseCertificate(
      decodePem(await readFile(join(issuingCa.folder, 'issuing.crt'), 'utf8'), 'CERTIFICATE'),
    );
    expect(verifySignature({ ...full, spkiDer })).toBe(true);
  });

  it.each(['issuing-1', 'issuing-1-delta', 'issuing-1.full'])(
    'is served as PEM too, like every CRL: %s.crl.pem (RFC 7468 §6)',
    async (name) => {
      const binary = await get(`${name}.crl`);
      const pem = await get(`${name}.crl.pem`);
      expect([pem.status, pem.headers['content-type']]).toEqual([200, 'application/x-pem-file']);
      expect(Buffer.from(decodePem(pem.text, 'X509 CRL')).equals(binary.bytes)).toBe(true);
      expect(pem.headers.etag).not.toBe(binary.headers.etag);
      const head = await issuingCa.plain('HEAD', `/crl/${name}.crl.pem`);
      expect([head.status, head.headers['content-length']]).toEqual([
        200,
        String(pem.bytes.length),
      ]);
      const again = await get(`${name}.crl.pem`, { 'if-none-match': String(pem.headers.etag) });
      expect([again.status, again.bytes.length]).toEqual([304, 0]);
    },
  );

  it('is signed once, however many ask, and anew after the next revocation', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => get('issuing-1.full.crl')));
    const [first] = answers;
    for (const { bytes } of answers) expect(bytes.equals(first!.bytes)).toBe(true);
    await enrollDevice(issuingCa, 'late');
    const { body } = await change(issuingCa, 'late', 'revoke');
    const next = parseCrl((await get('issuing-1.full.crl')).bytes);
    expect(next.entries.map(({ serial }) => serial)).toContain(body.device.serial);
  });

  it('is not there for a delta, and for names that are none', async () => {
    for (const name of ['issuing-1-delta.full.crl', 'issuing-2.full.crl', 'root.full.crl']) {
      expect((await get(name)).status, name).toBe(404);
    }
  });

  it.skipIf(!has('openssl', 'certtool'))('is what OpenSSL and GnuTLS take', async () => {
    const file = (name: string): string => join(issuingCa.folder, name);
    await writeFile(file('full.pem'), (await get('issuing-1.full.crl.pem')).text);
    const openssl = (id: string) =>
      run('openssl', [
        ...['verify', '-x509_strict', '-crl_check'],
        ...['-CAfile', file('root.crt'), '-untrusted', file('issuing.crt')],
        ...['-CRLfile', file('full.pem'), file(`${id}.crt`)],
      ]);
    expect((await openssl('good')).stdout).toContain('OK');
    await expect(openssl('bad')).rejects.toThrow(/revoked/);
    const gnutls = await run('certtool', [
      ...['--verify-crl', '--load-ca-certificate', file('issuing.crt')],
      ...['--infile', file('full.pem')],
    ]);
    expect(gnutls.stdout).toMatch(/Verification output: Verified/);
  });
});

describe("a root's CRL", () => {
  it('is brought, served and watched; an older one, and one of somebody else, is refused', async () => {
    const issuingCa = await buildIssuingCa();
    try {
      const root = {
        certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
        signer: issuingCa.rootSigner,
      };
      const now = Date.now();
      const make = async (
        number: number,
        signer = root,
        thisUpdate = now,
        scope: 'ca' | 'all' = 'ca',
      ) =>
        encodePem(
          'X509 CRL',
          await createCrl({
            authority: signer,
            number,
            thisUpdate,
            nextUpdate: thisUpdate + 86_400_000,
            entries: [],
            scope,
          }),
        );
      const bring = async (crl: string) =>
        issuingCa.call('POST', '/v1/root-crls', { as: issuingCa.admin, body: { crl } });
      const brought = await bring(await make(7));
      expect(brought.body).toMatchObject({
        authority: 'root',
        number: 7,
        url: 'http://127.0.0.1:8080/crl/root.crl',
      });
      const served = await issuingCa.plain('GET', '/crl/root.crl');
      expect(parseCrl(served.bytes).number).toBe(7n);
      expect((await bring(await make(6))).body.code).toBe('STORE_CONFLICT');
      const early = await bring(await make(8, root, now + 3_600_000));
      expect(early.body).toMatchObject({
        code: 'PATH_INVALID',
        detail: expect.stringContaining('begins at'),
      });
      const other = await buildIssuingCa();
      const foreign = await make(9, {
        certificateDer: decodePem(other.trust, 'CERTIFICATE'),
        signer: other.rootSigner,
      });
      await other.close();
      expect((await bring(foreign)).body.code).toBe('PATH_INVALID');
      expect((await issuingCa.plain('GET', '/crl/root.full.crl')).status).toBe(404);
      const full = await bring(await make(8, root, now, 'all'));
      expect(full.status).toBe(200);
      const plain = await issuingCa.plain('GET', '/crl/root.full.crl');
      expect(parseCrl(plain.bytes).scope).toBeUndefined();
      expect(plain.bytes.equals((await issuingCa.plain('GET', '/crl/root.crl')).bytes)).toBe(true);
      await issuingCa.restart();
      expect((await issuingCa.plain('GET', '/crl/root.crl')).status).toBe(200);
      const metrics = await issuingCa.call('GET', '/metrics', { as: issuingCa.admin });
      expect(metrics.text).toContain('x509_crl_number{authority="root"} 8');
    } finally {
      await issuingCa.close();
    }
  });
});

describe('shards', () => {
  it('are named by new certificates for good, and published also after their number changed', async () => {
    const issuingCa = await buildIssuingCa();
    try {
      const shared = join(issuingCa.folder, 'ca-config');
      await cp(config, shared, { recursive: true });
      const service = join(shared, 'service.yaml');
      const text = await readFile(service, 'utf8');
      const setShards = (count: number) =>
        writeFile(service, text.replace('#shards: 16', `shards: ${String(count)}`));
      await setShards(2);
      await issuingCa.restart(shared);
      const old = parseCertificate(decodePem(await enrollDevice(issuingCa, 'a'), 'CERTIFICATE'));
      const [oldPoint] = old.crlDistributionPoints;
      expect(oldPoint).toMatch(/\/crl\/issuing-1-[01]of2\.crl$/);

      await setShards(3);
      await issuingCa.restart(shared);
      const fresh = parseCertificate(decodePem(await enrollDevice(issuingCa, 'b'), 'CERTIFICATE'));
      expect(fresh.crlDistributionPoints[0]).toMatch(/of3\.crl$/);
      const { body } = await change(issuingCa, 'a', 'revoke');
      expect(body.evidence.crl.number).not.toBeNull();

      const path = new URL(oldPoint!).pathname;
      const shard = parseCrl((await issuingCa.plain('GET', path)).bytes);
      const delta = parseCrl(
        (await issuingCa.plain('GET', path.replace('.crl', '-delta.crl'))).bytes,
      );
      const held = [...shard.entries, ...delta.entries].map(({ serial }) => serial);
      expect(held).toContain(old.serial);
      // Identical in certificate and CRL (RFC 5280 §5.2.5).
      expect(shard.distributionPoints).toEqual([oldPoint]);
      const other = parseCrl(
        (await issuingCa.plain('GET', new URL(fresh.crlDistributionPoints[0]!).pathname)).bytes,
      );
      expect(other.entries).toEqual([]);
      const whole = parseCrl((await issuingCa.plain('GET', '/crl/issuing-1.crl')).bytes);
      expect(whole.distributionPoints).toEqual([]);
      expect(whole.scope).toBe('user');
    } finally {
      await issuingCa.close();
    }
  });
});
