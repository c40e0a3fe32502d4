// A service whose clock is wrong, as after a start without a battery, and what becomes of it when the clock is right.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { FakeClock } from '@keyline/kernel';
import { decodePem, der, oids, parseCertificate, parseCrl, parsePublicKey } from '@keyline/x509';
import { pino } from 'pino';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createService } from '../src/wiring.ts';
import { buildPlant, config, makeCsr, type Answer, type Plant } from './support/plant.ts';

let plant: Plant;
let token: string;
const said: string[] = [];
const clock = new FakeClock(Date.UTC(1970, 0, 1, 0, 5));
beforeAll(async () => {
  plant = await buildPlant();
  const made = await plant.call('POST', '/v1/tokens', { as: plant.admin, body: { maxUses: 9 } });
  token = made.body.secret as string;
});
afterAll(() => plant.close());

const enroll = async (id: string): Promise<Answer> =>
  plant.call('POST', '/v1/enroll', { body: { csr: (await makeCsr(id)).pem, token } });
const crl = async () => parseCrl((await plant.plain('GET', '/crl/issuing-1.crl')).bytes);
const ready = async () => (await plant.plain('GET', '/readyz')).body;
const ask = async (): Promise<string> => {
  const { bytes } = await plant.plain('POST', '/ocsp', {
    headers: { 'content-type': 'application/ocsp-request' },
    body: await request(),
  });
  return bytes.subarray(0, 5).toString('hex');
};
async function request(): Promise<Buffer> {
  const pem = await readFile(`${plant.folder}/issuing.crt`, 'utf8');
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
    await plant.service.close();
    plant.service = await createService({
      ...{ data: plant.data, config, host: '127.0.0.1', brokerUrl: undefined, clock },
      tlsVersion: '1.3',
      log: pino({ level: 'error' }, { write: (line) => void said.push(line) }),
    });
    for (const app of [plant.service.api, plant.service.http]) {
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
