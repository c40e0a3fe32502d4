// A service that gets another address: what certificates name goes on being true, for those that are out and for those to come.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodePem, parseCertificate, parseCrl } from '@keyline/x509';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import { runMove } from '../src/commands/move.ts';
import { buildIssuingCa, changedConfig, makeCsr, type IssuingCa } from './support/issuing-ca.ts';

let ca: IssuingCa;
let token: string;
beforeAll(async () => {
  ca = await buildIssuingCa();
  token = (await ca.call('POST', '/v1/tokens', { as: ca.admin, body: { maxUses: 9 } })).body.secret;
});
afterAll(() => ca.close());

const first = 'http://127.0.0.1:8080';
const second = 'http://ca.example.org';

async function enroll(id: string): Promise<string> {
  const { pem: csr } = await makeCsr(id);
  return (await ca.call('POST', '/v1/enroll', { body: { csr, token } })).body.certificate as string;
}

const parse = (pem: string) => parseCertificate(decodePem(pem, 'CERTIFICATE'));
const crl = async (name = 'issuing-1') => (await ca.plain('GET', `/crl/${name}.crl`)).bytes;
const move = (httpUrl: string): Promise<string> => runMove({ data: ca.data, httpUrl });
const addresses = async () =>
  (await ca.call('GET', '/v1/addresses', { as: ca.admin })).body as {
    http: string;
    earlier: { http: string; until: string; authorities: unknown[] }[];
  };

let before: string;
let after: string;

it('writes the new address into certificates to come, and both into its CRL (RFC 5280 §5.2.5)', async () => {
  before = await enroll('pump-1');
  const old = parseCrl(await crl());
  await move(second);
  await ca.restart();
  after = await enroll('pump-2');
  expect(parse(after).crlDistributionPoints).toEqual([`${second}/crl/issuing-1.crl`]);
  expect(parse(after).ocspUrls).toEqual([`${second}/ocsp`]);
  const now = parseCrl(await crl());
  expect(now.distributionPoints).toEqual([
    `${second}/crl/issuing-1.crl`,
    `${first}/crl/issuing-1.crl`,
  ]);
  expect(now.number > old.number).toBe(true);
});

it('publishes a delta that covers what its base does (RFC 5280 §5.2.4)', async () => {
  const delta = parseCrl(await crl('issuing-1-delta'));
  expect(delta.distributionPoints).toEqual(parseCrl(await crl()).distributionPoints);
});

it.skipIf(!has('openssl'))(
  'is believed by OpenSSL about certificates of before and of after (RFC 5280 §6.3.3 (b)(2)(i))',
  async () => {
    const at = (name: string, text: string | Uint8Array): string => {
      writeFileSync(join(ca.folder, name), text);
      return join(ca.folder, name);
    };
    const verify = async (pem: string): Promise<string> => {
      const list = execFileSync('openssl', ['crl', '-inform', 'DER'], { input: await crl() });
      try {
        return execFileSync(
          'openssl',
          [
            ...['verify', '-crl_check', '-CAfile', at('trust.pem', ca.trust)],
            ...['-untrusted', join(ca.folder, 'issuing.crt')],
            ...['-CRLfile', at('list.pem', list), at('leaf.pem', pem)],
          ],
          { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
        );
      } catch (error) {
        return (error as { stderr: string }).stderr;
      }
    };
    expect(await verify(before)).toMatch(/: OK\n$/);
    expect(await verify(after)).toMatch(/: OK\n$/);
    for (const id of ['pump-1', 'pump-2']) {
      const revoked = await ca.call('POST', `/v1/devices/${id}/revoke`, {
        as: ca.admin,
        body: { reason: 'keyCompromise', wait: true },
      });
      expect(revoked.status).toBe(200);
    }
    expect(await verify(before)).toContain('certificate revoked');
    expect(await verify(after)).toContain('certificate revoked');
  },
);

it('says until when certificates name the address of before, and that it is called by both', async () => {
  const { http, earlier } = await addresses();
  expect(http).toBe(second);
  expect(earlier.map((one) => one.http)).toEqual([first]);
  const until = Date.parse(earlier[0]?.until ?? '');
  // The certificates of the administrator and of the device live 90 days.
  expect(Math.abs(until - parse(before).notAfter)).toBeLessThan(60_000);
});

it('names every address it had, and none twice, however often it moves', async () => {
  await move('http://b.example.org:8081');
  expect(await move('http://b.example.org:8081')).toContain('already');
  await move(second);
  await move('http://c.example.org');
  await ca.restart();
  const { http, earlier } = await addresses();
  expect(http).toBe('http://c.example.org');
  expect(earlier.map((one) => one.http)).toEqual([first, 'http://b.example.org:8081', second]);
  expect(parseCrl(await crl()).distributionPoints).toHaveLength(4);
});

it('does so for each shard of its CRL', async () => {
  await ca.restart(await changedConfig(ca, [['#shards: 16', 'shards: 2']]));
  const points = parse(await enroll('pump-3')).crlDistributionPoints;
  const shard = /issuing-1-\dof2/.exec(points[0] ?? '')?.[0] ?? '';
  expect(points).toEqual([`http://c.example.org/crl/${shard}.crl`]);
  expect(parseCrl(await crl(shard)).distributionPoints).toContain(`${first}/crl/${shard}.crl`);
});

it.each(['https://ca.example.org', 'http://ca', 'http://ca.example.org/x', 'ca.example.org'])(
  'does not move to %s',
  async (url) => {
    await expect(move(url)).rejects.toMatchObject({ code: 'USAGE' });
  },
);
