// OCSP about the issuing authority's own certificate: what the offline root signed ahead, as OpenSSL takes it from the running service.
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Duration, FakeClock, parseSerialHex } from '@keyline/kernel';
import { decodePem, parseCertificate } from '@keyline/x509';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { createService } from '../src/wiring.ts';
import { buildIssuingCa, config, type Answer, type IssuingCa } from './support/issuing-ca.ts';
import { signRootLists } from './support/root-lists.ts';

const run = promisify(execFile);
let issuingCa: IssuingCa;
let serial: string;
const life = Duration.hours(1);
const file = (name: string): string => join(issuingCa.folder, name);
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  const pem = await readFile(file('issuing.crt'), 'utf8');
  ({ serial } = parseCertificate(decodePem(pem, 'CERTIFICATE')));
});
afterAll(() => issuingCa.close());

async function bring(
  number: number,
  changes: { revoked?: boolean; certificates?: string[]; ocsp?: string; at?: number } = {},
): Promise<Answer> {
  const { revoked = false, certificates = [serial], ocsp, at = Date.now() } = changes;
  const signed = await signRootLists(issuingCa, {
    ...{ number, thisUpdate: at, nextUpdate: at + life },
    certificates: certificates.map((one) => ({ serial: parseSerialHex(one), revoked })),
  });
  const body = { ...signed, ...(ocsp === undefined ? {} : { ocsp }) };
  return issuingCa.call('POST', '/v1/root-crls', { as: issuingCa.admin, body });
}

async function ask(...more: string[]): Promise<string> {
  const { port } = issuingCa.service.http.server.address() as AddressInfo;
  const asked = ['-cert', file('issuing.crt')];
  try {
    const { stdout, stderr } = await run('openssl', [
      'ocsp',
      ...['-issuer', file('root.crt'), ...(more.includes('-serial') ? [] : asked)],
      ...more,
      ...['-CAfile', file('root.crt'), '-url', `http://127.0.0.1:${String(port)}/ocsp`],
    ]);
    return `${stdout}${stderr}`;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}${stderr}`;
  }
}

describe.skipIf(!has('openssl'))("OCSP of the issuing authority's own certificate", () => {
  it('is "unauthorized" while the root has signed no answer (RFC 5019 §2.2.3)', async () => {
    expect(await ask()).toContain('unauthorized');
    const crlAlone = await bring(1, { certificates: [] });
    expect(crlAlone.status).toBe(200);
    expect(await ask()).toContain('unauthorized');
  });

  it('is what the root signed, verified by OpenSSL, for CertIDs with SHA-1 and SHA-256, with and without a nonce', async () => {
    expect((await bring(2)).status).toBe(200);
    for (const digest of ['-sha1', '-sha256']) {
      // The digest counts for the certificates after it, and so stands before them.
      const { stdout, stderr } = await verified(digest);
      expect(`${stderr}${stdout}`).toMatch(/Response verify OK[^]*issuing.crt: good/);
    }
    expect(await ask('-no_nonce')).toMatch(/issuing.crt: good/);
    await issuingCa.restart();
    expect(await ask()).toMatch(/issuing.crt: good/);
  });

  it('keeps caches no longer than other answers, though the root speaks for longer', async () => {
    await run('openssl', [
      ...['ocsp', '-issuer', file('root.crt'), '-cert', file('issuing.crt')],
      ...['-no_nonce', '-reqout', file('root.req')],
    ]);
    const asked = encodeURIComponent((await readFile(file('root.req'))).toString('base64'));
    const { status, headers } = await issuingCa.plain('GET', `/ocsp/${asked}`);
    expect([status, headers['content-type']]).toEqual([200, 'application/ocsp-response']);
    const maxAge = Number(/max-age=(\d+)/.exec(String(headers['cache-control']))?.[1]);
    expect(maxAge).toBeGreaterThan(0);
    expect(maxAge).toBeLessThanOrEqual(3600);
  });

  it('says nothing of a certificate that the root signed no answer about', async () => {
    expect(await ask('-serial', '0x1234')).toContain('unauthorized');
  });

  it('takes no answer of an older run, or of another root, and goes on with what it has', async () => {
    const other = await buildIssuingCa();
    try {
      const at = Date.now();
      const foreign = await signRootLists(other, {
        ...{ number: 3, thisUpdate: at, nextUpdate: at + life },
        certificates: [{ serial: parseSerialHex(serial), revoked: false }],
      });
      const refused = await bring(3, { at, ocsp: foreign.ocsp ?? '' });
      expect(refused.body.code).toBe('PATH_INVALID');
    } finally {
      await other.close();
    }
    const old = await signRootLists(issuingCa, {
      ...{ number: 3, thisUpdate: Date.now() - 60_000, nextUpdate: Date.now() + life },
      certificates: [{ serial: parseSerialHex(serial), revoked: false }],
    });
    const refused = await bring(3, { ocsp: old.ocsp ?? '' });
    expect(refused.body).toMatchObject({ code: 'PATH_INVALID' });
    expect(refused.body.detail).toContain('another time');
    expect((await bring(3, { ocsp: 'noise' })).body.code).toBe('DER_MALFORMED');
    expect(await ask()).toMatch(/issuing.crt: good/);
  });

  it('is "revoked" once the root revoked it, and nothing after the end of the answer', async () => {
    const { body } = await bring(4, { revoked: true });
    expect(body.revoked).toEqual(['issuing-1']);
    expect(await ask()).toMatch(/issuing.crt: revoked[^]*Reason: cACompromise/);
    // No later list makes it good, whatever came with it.
    expect((await bring(5)).body.code).toBe('PATH_INVALID');
    expect((await bring(5, { certificates: [] })).status).toBe(200);
    expect((await bring(6)).status).toBe(200);
    expect(await ask()).toContain('unauthorized');
    expect((await bring(7, { revoked: true })).status).toBe(200);
    expect(await ask()).toMatch(/issuing.crt: revoked/);

    await issuingCa.service.close();
    issuingCa.service = await createService({
      ...{ data: issuingCa.data, config, host: '127.0.0.1', brokerUrl: undefined },
      clock: new FakeClock(Date.now() + life),
      tlsVersion: '1.2',
      log: pino({ level: 'silent' }),
    });
    for (const app of [issuingCa.service.api, issuingCa.service.http]) {
      await app.listen({ host: '127.0.0.1', port: 0 });
    }
    expect(await ask()).toContain('unauthorized');
  });

  function verified(digest: string): Promise<{ stdout: string; stderr: string }> {
    const { port } = issuingCa.service.http.server.address() as AddressInfo;
    return run('openssl', [
      ...['ocsp', '-issuer', file('root.crt'), digest, '-cert', file('issuing.crt')],
      ...['-CAfile', file('root.crt'), '-url', `http://127.0.0.1:${String(port)}/ocsp`],
    ]);
  }
});
