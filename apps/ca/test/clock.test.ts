// A service whose clock is wrong, as after a start without a battery, and what becomes of it when the clock is right.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FakeClock } from '@keyline/kernel';
import { decodePem, der, oids, parseCertificate, parseCrl, parsePublicKey } from '@keyline/x509';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createService } from '../src/wiring.ts';
import {
  buildIssuingCa,
  config,
  makeCsr,
  type Answer,
  type IssuingCa,
} from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
let token: string;
const said: string[] = [];
const clock = new FakeClock(Date.UTC(1970, 0, 1, 0, 5));
beforeAll(async () => {
  issuingCa = await buildIssuingCa();
  const made = await issuingCa.call('POST', '/v1/tokens', {
    as: issuingCa.admin,
    body: { maxUses: 9 },
  });
  token = made.body.secret as string;
});
afterAll(() => issuingCa.close());

const enroll = async (id: string): Promise<Answer> =>
  issuingCa.call('POST', '/v1/enroll', { body: { csr: (await makeCsr(id)).pem, token } });
const crl = async () => parseCrl((await issuingCa.plain('GET', '/crl/issuing-1.crl')).bytes);
const ready = async () => (await issuingCa.plain('GET', '/readyz')).body;
const ask = async (): Promise<string> => {
  const { bytes } = await issuingCa.plain('POST', '/ocsp', {
    headers: { 'content-type': 'application/ocsp-request' },
    body: await request(),
  });
  return bytes.subarray(0, 5).toString('hex');
};
async function request(): Promise<Buffer> {
  const pem = await readFile(`${issuingCa.folder}/issuing.crt`, 'utf8');
  const { subjectDer, spkiDer } = parseCertificate(decodePem(pem, 'CERTIFICATE'));
  const sha1 = (bytes: Uint8Array): Uint8Array => createHash('sha1').update(bytes).digest();
  const certId = der.sequence(
    der.sequence(der.oid(oids.sha1)),
    der.octetString(sha1(subjectDer)),
    der.octetString(sha1(parsePublicKey(spkiDer).publicKey)),
    der.integer(1),
  );
  return Buffer.from(der.sequence(der.sequence(der.sequence(der.sequence(certId)))));
}

describe('a service that starts with a clock before its own certificates', () => {
  it('starts, issues nothing and says why, keeps the last CRL, and answers no OCSP', async () => {
    const before = await crl();
    await issuingCa.service.close();
    issuingCa.service = await createService({
      ...{ data: issuingCa.data, config, host: '127.0.0.1', brokerUrl: undefined, clock },
      tlsVersion: '1.3',
      log: pino({ level: 'error' }, { write: (line) => void said.push(line) }),
    });
    for (const app of [issuingCa.service.api, issuingCa.service.http]) {
      await app.listen({ host: '127.0.0.1', port: 0 });
    }
    expect(said.join('')).toContain('1970-01-01T00:05:00Z');
    const refused = await enroll('early');
    expect(refused).toMatchObject({
      status: 503,
      body: { code: 'CLOCK_WRONG', detail: expect.stringMatching(/1970-01-01.*Set the clock/) },
    });
    expect(await crl()).toMatchObject({ number: before.number, nextUpdate: before.nextUpdate });
    // tryLater (RFC 6960 §4.2.1)
    expect(await ask()).toBe('30030a0103');
    expect(await ready()).toMatchObject({
      status: 'failing',
      checks: { clock: 'before it began: issuing-1' },
    });
  });

  it('goes on by itself when the clock is right', async () => {
    clock.advance(Date.now() - clock.now());
    const issued = await enroll('later');
    expect([issued.status, issued.body.detail]).toEqual([201, undefined]);
    expect(await ask()).not.toBe('30030a0103');
    expect((await ready()).checks.clock).toBe('ok');
  });
});
