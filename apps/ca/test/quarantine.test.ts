// Certificates that one of our authorities signed and the database does not know: held, never good, decided about by a person.
import { mkdir, writeFile } from 'node:fs/promises';
import { cp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { restoredListsOf, restoredMarkerOf, writeRestoredMarker } from '@keyline/backup';
import { parseCrl } from '@keyline/x509';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type Answer, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeEach(async () => {
  issuingCa = await buildIssuingCa();
});
afterEach(() => issuingCa.close());

const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  issuingCa.call(method, path, { as: issuingCa.admin, ...(body === undefined ? {} : { body }) });

async function enroll(csr: { readonly pem: string }): Promise<Answer> {
  const token = await call('POST', '/v1/tokens', { maxUses: 9 });
  return issuingCa.call('POST', '/v1/enroll', { body: { csr: csr.pem, token: token.body.secret } });
}

const isDatabase = (name: string): boolean => /^keyline\.db(-wal|-shm)?$/.test(name);

async function backup(): Promise<string> {
  const copy = join(issuingCa.folder, 'copy');
  await issuingCa.service.close();
  for (const name of (await readdir(issuingCa.data)).filter(isDatabase)) {
    await cp(join(issuingCa.data, name), join(copy, name));
  }
  await issuingCa.restart();
  return copy;
}

/** As `keyline restore` leaves the folder: no published lists, the word, and the lists that were given. */
async function restore(copy: string, given: readonly Uint8Array[]): Promise<void> {
  const { data } = issuingCa;
  await issuingCa.service.close();
  for (const name of (await readdir(data)).filter(isDatabase)) await rm(join(data, name));
  await rm(join(data, 'published'), { recursive: true, force: true });
  for (const name of await readdir(copy)) await cp(join(copy, name), join(data, name));
  await mkdir(restoredListsOf(data));
  for (const [index, der] of given.entries()) {
    await writeFile(join(restoredListsOf(data), `${String(index)}.crl`), der);
  }
  await writeRestoredMarker(data, {
    ...{ version: 1, restoredAt: '2026-01-01T00:00:00Z', backup: 'b1' },
    ...{ backedUpAt: '2026-01-01T00:00:00Z', ledgerSeq: 1, crlNumbers: {} },
  });
  await issuingCa.restart();
}

const crl = async (): Promise<Uint8Array> =>
  (await issuingCa.plain('GET', '/crl/issuing-1.crl')).bytes;
const held = async (query = ''): Promise<Record<string, unknown>[]> =>
  (await call('GET', `/v1/quarantine${query}`)).body.items as Record<string, unknown>[];

it('after a restore, what was issued since is held until a person adopts or revokes it, and what was revoked since stays so', async () => {
  const known = await enroll(await makeCsr('known-1'));
  const copy = await backup();
  const csr = {
    later: await makeCsr('later-1'),
    gone: await makeCsr('gone-1'),
    bad: await makeCsr('bad-1'),
  };
  const later = await enroll(csr.later);
  const gone = await enroll(csr.gone);
  const bad = await enroll(csr.bad);
  await call('POST', '/v1/devices/gone-1/revoke', { reason: 'keyCompromise', wait: true });
  await call('POST', '/v1/devices/known-1/revoke', { reason: 'keyCompromise', wait: true });
  const newest = await crl();
  const { number } = parseCrl(newest);
  await restore(copy, [newest]);

  // RFC 5280 §5.2.3: numbers go on beyond all that can have been published; §5.1.2.6: nobody leaves the list.
  await expect.poll(async () => parseCrl(await crl()).number > number + 1_000_000n).toBe(true);
  expect(parseCrl(await crl()).entries.map(({ serial }) => serial)).toEqual(
    expect.arrayContaining([gone.body.serial, known.body.serial]),
  );
  expect((await readdir(issuingCa.data)).filter((name) => name.startsWith('restored'))).toEqual([]);
  expect(restoredMarkerOf(issuingCa.data)).toContain('restored.json');
  const seen = (await call('GET', `/v1/certificates/${String(gone.body.serial)}`)).body;
  expect(seen).toMatchObject({ state: 'revoked', owner: 'not-on-record@keyline' });

  // Whoever comes with one that is not on record is not let in, and listed. One that is revoked is no question.
  const as = (answer: Answer, key: typeof csr.later): IssuingCa['admin'] => ({
    cert: answer.body.certificate as string,
    key: key.key,
  });
  for (const [answer, key] of [
    [later, csr.later],
    [bad, csr.bad],
    [gone, csr.gone],
  ] as const) {
    const refused = await issuingCa.call('GET', '/v1/whoami', { as: as(answer, key) });
    expect([refused.status, refused.body.code]).toEqual([401, 'CERTIFICATE_NOT_ACCEPTED']);
  }
  expect((await held()).map(({ identity, state }) => [identity, state])).toEqual([
    ['later-1', 'waiting'],
    ['bad-1', 'waiting'],
  ]);
  const adopt = `/v1/quarantine/${String(later.body.serial)}/adopt`;
  const adopted = await call('POST', adopt, {});
  expect([adopted.status, adopted.body.state]).toEqual([200, 'adopted']);
  expect((await call('POST', adopt, {})).body.code).toBe('NOT_FOUND');
  const me = await issuingCa.call('GET', '/v1/whoami', { as: as(later, csr.later) });
  expect([me.status, me.body.name]).toEqual([200, 'later-1']);
  const revoke = `/v1/quarantine/${String(bad.body.serial)}/revoke`;
  expect((await call('POST', revoke, { reason: 'keyCompromise' })).body.state).toBe('revoked');
  await expect
    .poll(async () => parseCrl(await crl()).entries.map(({ serial }) => serial))
    .toContain(bad.body.serial);
  expect(await held()).toEqual([]);
  expect(await held('?all=true')).toHaveLength(2);
  const alerts = (await call('GET', '/v1/alerts')).body.items as { key: string }[];
  expect(alerts.filter(({ key }) => key.endsWith(':not-on-record'))).toEqual([]);
  expect(alerts.map(({ key }) => key)).toContain('database:keyline.db:restored');
});
