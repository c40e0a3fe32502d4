// Java's own path validation as a relying party of the running service.
import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { createCrl } from '@keyline/pki';
import { decodePem, encodePem, parseCertificate } from '@keyline/x509';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCommand, has } from '../../../test/support/needs.ts';
import { buildIssuingCa, makeCsr, type IssuingCa } from './support/issuing-ca.ts';
import { signRootLists } from './support/root-lists.ts';

const run = promisify(execFile);

describe.skipIf(!has('java', 'javac'))("Java's PKIX validator", () => {
  let issuingCa: IssuingCa;
  const file = (name: string): string => join(issuingCa.folder, name);
  beforeAll(async () => {
    issuingCa = await buildIssuingCa();
    for (const id of ['good', 'bad']) {
      const csr = await makeCsr(id);
      const token = await issuingCa.call('POST', '/v1/tokens', { as: issuingCa.admin, body: {} });
      const { body } = await issuingCa.call('POST', '/v1/enroll', {
        body: { csr: csr.pem, token: token.body.secret },
      });
      await writeFile(file(`${id}.crt`), body.certificate as string);
    }
    await issuingCa.call('POST', '/v1/devices/bad/revoke', {
      as: issuingCa.admin,
      body: { reason: 'keyCompromise', wait: true },
    });
    for (const name of ['issuing-1.crl', 'issuing-1.full.crl', 'issuing-1.full.crl.pem']) {
      await writeFile(file(name), (await issuingCa.plain('GET', `/crl/${name}`)).bytes);
    }
    const root = {
      certificateDer: decodePem(issuingCa.trust, 'CERTIFICATE'),
      signer: issuingCa.rootSigner,
    };
    for (const scope of ['ca', 'all'] as const) {
      const thisUpdate = Date.now() - 1000;
      const nextUpdate = thisUpdate + 86_400_000;
      const crl = { number: 1, thisUpdate, nextUpdate, entries: [] };
      const der = await createCrl({ authority: root, ...crl, scope });
      await writeFile(file(`root-${scope}.crl`), encodePem('X509 CRL', der));
    }
  });
  afterAll(() => issuingCa.close());

  async function judge(id: string, mode: string, ...crls: string[]): Promise<string> {
    const { port } = issuingCa.service.http.server.address() as AddressInfo;
    const { stdout } = await run(findCommand('java') ?? '', [
      '-Xshare:auto',
      '-XX:TieredStopAtLevel=1',
      resolve(import.meta.dirname, 'support/PathCheck.java'),
      ...[file('root.crt'), file('issuing.crt'), file(`${id}.crt`), mode],
      mode.startsWith('ocsp') ? `http://127.0.0.1:${String(port)}/ocsp` : '',
      ...crls.map(file),
    ]);
    return stdout.trim();
  }

  it('believes OCSP of a device', async () => {
    expect(await judge('good', 'ocsp-leaf')).toBe('VALID');
    expect(await judge('bad', 'ocsp-leaf')).toMatch(/^INVALID REVOKED .*KEY_COMPROMISE/);
  });

  it("goes on to the root's CRL where nobody answers for the issuing authority", async () => {
    expect(await judge('good', 'ocsp-then-crl', 'root-ca.crl')).toBe('VALID');
    expect(await judge('good', 'ocsp-then-crl')).toMatch(/^INVALID/);
  });

  it('believes OCSP alone of the whole path: what the root signed ahead answers for the issuing authority', async () => {
    // The root has signed nothing yet: not known is not good.
    expect(await judge('good', 'ocsp')).toMatch(/^INVALID/);
    await bring(1, false);
    expect(await judge('good', 'ocsp')).toBe('VALID');
    expect(await judge('bad', 'ocsp')).toMatch(/^INVALID REVOKED .*KEY_COMPROMISE/);
  });

  it.each([
    ['issuing-1.crl', 'root-ca.crl'],
    ['issuing-1.full.crl', 'root-ca.crl'],
    ['issuing-1.full.crl.pem', 'root-all.crl'],
  ])('believes the CRLs %s and %s', async (...crls) => {
    expect(await judge('good', 'crl', ...crls)).toBe('VALID');
    expect(await judge('bad', 'crl', ...crls)).toMatch(/^INVALID REVOKED/);
  });

  it('refuses the whole path once the root has revoked the authority', async () => {
    await bring(2, true);
    expect(await judge('good', 'ocsp')).toMatch(/^INVALID REVOKED .*CA_COMPROMISE/);
  });

  async function bring(number: number, revoked: boolean): Promise<void> {
    const { serial } = parseCertificate(
      decodePem(await readFile(file('issuing.crt'), 'utf8'), 'CERTIFICATE'),
    );
    const thisUpdate = Date.now();
    const body = await signRootLists(issuingCa, {
      ...{ number, thisUpdate, nextUpdate: thisUpdate + 86_400_000 },
      certificates: [{ serial, revoked }],
    });
    const brought = await issuingCa.call('POST', '/v1/root-crls', { as: issuingCa.admin, body });
    expect(brought.status).toBe(200);
  }
});
