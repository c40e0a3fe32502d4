// A database that somebody brought back from an older day: nobody who was revoked since gets in again.
import { cp, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { acceptCopy } from '@keyline/backup';
import { parseCrl } from '@keyline/x509';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { buildIssuingCa, makeCsr, type Answer, type IssuingCa } from './support/issuing-ca.ts';

let issuingCa: IssuingCa;
beforeEach(async () => {
  issuingCa = await buildIssuingCa();
});
afterEach(() => issuingCa.close());

const call = (method: string, path: string, body?: unknown): Promise<Answer> =>
  issuingCa.call(method, path, { as: issuingCa.admin, ...(body === undefined ? {} : { body }) });

async function enroll(id: string): Promise<Answer> {
  const token = await call('POST', '/v1/tokens', { maxUses: 9 });
  return issuingCa.call('POST', '/v1/enroll', {
    body: { csr: (await makeCsr(id)).pem, token: token.body.secret },
  });
}

const database = async (): Promise<string[]> =>
  (await readdir(issuingCa.data)).filter((name) => /^keyline\.db(-wal|-shm)?$/.test(name));

/** The service is stopped, and what `work` does to the folder is done. */
async function whileStopped(work: () => Promise<void>): Promise<void> {
  await issuingCa.service.close();
  await work();
  await issuingCa.restart();
}

async function backup(to: string): Promise<void> {
  for (const name of await database()) await cp(join(issuingCa.data, name), join(to, name));
}
async function restore(from: string): Promise<void> {
  for (const name of await database()) await rm(join(issuingCa.data, name));
  for (const name of (await readdir(from)).filter((one) => one.startsWith('keyline.db'))) {
    await cp(join(from, name), join(issuingCa.data, name));
  }
}

/** As `keyline restore --copy`. */
const sayIsCopy = (...lists: readonly Uint8Array[]): Promise<unknown> =>
  acceptCopy({
    data: issuingCa.data,
    findLists: () => Promise.resolve(lists),
    now: Date.now(),
  });

const crlOf = async () => parseCrl((await issuingCa.plain('GET', '/crl/issuing-1.crl')).bytes);
const stateOf = async (serial: string): Promise<string> =>
  (await call('GET', `/v1/certificates/${serial}`)).body.state as string;

describe('a database from an older day', () => {
  it('is not said to be one while a service has it', async () => {
    await expect(sayIsCopy()).rejects.toMatchObject({ code: 'STORE_CONFLICT' });
    expect(await readdir(issuingCa.data)).not.toContain('restored.json');
    await whileStopped(async () => {
      await sayIsCopy();
    });
  });

  it('takes the revocations since from the lists that were published, and numbers on from them (RFC 5280 §5.2.3)', async () => {
    const copy = join(issuingCa.folder, 'copy');
    const before = await enroll('gone-1');
    const held = await enroll('held-1');
    const kept = await enroll('kept-1');
    const open = await call('POST', '/v1/tokens', { use: 'api', role: 'admin' });
    await whileStopped(() => backup(copy));
    await call('POST', '/v1/devices/gone-1/revoke', { reason: 'keyCompromise', wait: true });
    await call('POST', '/v1/devices/held-1/suspend', { wait: true });
    await call('DELETE', `/v1/tokens/${String(open.body.token?.id ?? open.body.id)}`);
    const published = await crlOf();
    await whileStopped(async () => {
      await restore(copy);
      await sayIsCopy();
    });

    expect(await stateOf(before.body.serial as string)).toBe('revoked');
    expect(await stateOf(held.body.serial as string)).toBe('revoked');
    expect(await stateOf(kept.body.serial as string)).toBe('active');
    await expect.poll(async () => (await crlOf()).number).toBeGreaterThan(published.number);
    const serials = (await crlOf()).entries.map(({ serial }) => serial);
    expect(serials).toEqual(expect.arrayContaining([before.body.serial, held.body.serial]));
    // A token that was revoked since must not be good again; which those are is not known.
    const asToken = await issuingCa.call('GET', '/v1/whoami', {
      headers: { authorization: `Bearer ${String(open.body.secret)}` },
    });
    expect(asToken.status).toBe(401);
    await expect
      .poll(async () => (await call('GET', '/v1/alerts')).body.items)
      .toContainEqual(
        expect.objectContaining({
          key: 'database:keyline.db:restored',
          severity: 'critical',
        }),
      );
    // Once: the next start finds nothing more, and takes no new token away.
    const token = await call('POST', '/v1/tokens', {});
    await issuingCa.restart();
    const list = await call('GET', '/v1/tokens');
    const found = (list.body.items as { id: string; revokedAt: string | null }[]).filter(
      ({ revokedAt }) => revokedAt === null,
    );
    expect(found).toHaveLength(1);
    expect(token.status).toBe(201);
    // The alert is there over restarts, until somebody says that it was seen to.
    const keys = async (): Promise<string[]> =>
      ((await call('GET', '/v1/alerts')).body.items as { key: string }[]).map(({ key }) => key);
    expect(await keys()).toContain('database:keyline.db:restored');
    const acknowledge = (key: string) =>
      call('POST', `/v1/alerts/${encodeURIComponent(key)}/acknowledge`, {});
    const closed = await acknowledge('database:keyline.db:restored');
    expect([closed.status, closed.body.resolvedAt]).toEqual([200, expect.any(String)]);
    expect((await acknowledge('database:keyline.db:restored')).body).toEqual(closed.body);
    await issuingCa.restart();
    expect(await keys()).not.toContain('database:keyline.db:restored');
    // What is about how things stand closes by itself.
    const standing = (await keys()).find((key) => key.startsWith('state:'));
    expect(standing).toBeDefined();
    expect((await acknowledge(standing!)).body.code).toBe('REQUEST_INVALID');
    expect(await keys()).toContain(standing);
    expect((await acknowledge('identity:nobody:not-on-record')).body.code).toBe('NOT_FOUND');
  });

  it('starts nothing until somebody says that it is a copy', async () => {
    await enroll('kept-1');
    const copy = join(issuingCa.folder, 'copy');
    await issuingCa.service.close();
    await backup(copy);
    await restore(copy);
    await expect(issuingCa.restart()).rejects.toMatchObject({
      code: 'STORE_COPIED',
      detail: expect.stringContaining('keyline restore --copy'),
    });
    // Asked again, it says the same: nothing was settled by the attempt.
    await expect(issuingCa.restart()).rejects.toMatchObject({ code: 'STORE_COPIED' });
    await sayIsCopy();
    await issuingCa.restart();
    expect((await call('GET', '/v1/devices/kept-1')).body.state).toBe('active');
    // It is at home there now.
    await issuingCa.restart();
  });

  it('with all that was beside it takes what a list that was given says, and uses no number twice', async () => {
    const revoked = await enroll('gone-1');
    const unseen = await enroll('unseen-1');
    const copy = join(issuingCa.folder, 'copy');
    await whileStopped(() => cp(issuingCa.data, copy, { recursive: true }));
    await call('POST', '/v1/devices/gone-1/revoke', { wait: true });
    const given = await issuingCa.plain('GET', '/crl/issuing-1.crl');
    await call('POST', '/v1/devices/unseen-1/suspend', { wait: true });
    const published = await crlOf();
    const later = await enroll('later-1');
    await whileStopped(async () => {
      await rm(issuingCa.data, { recursive: true });
      await cp(copy, issuingCa.data, { recursive: true });
      await sayIsCopy(given.bytes);
    });
    expect(await stateOf(revoked.body.serial as string)).toBe('revoked');
    // Nobody was left who could say so: that is what the alert is about.
    expect(await stateOf(unseen.body.serial as string)).toBe('active');
    expect((await call('GET', `/v1/certificates/${String(later.body.serial)}`)).status).toBe(404);
    await expect
      .poll(async () => (await crlOf()).number)
      .toBeGreaterThan(published.number + 1_000_000n);
    await expect
      .poll(() => readdir(issuingCa.data))
      .not.toEqual(expect.arrayContaining([expect.stringMatching(/^restored/)]));
    const { number } = await crlOf();
    await issuingCa.restart();
    await call('POST', '/v1/devices/unseen-1/suspend', { wait: true });
    // It goes on from there, by ones.
    expect(Number((await crlOf()).number) - Number(number)).toBeLessThan(10);
  });

  it('is not made out of what somebody else put there, or of half a file', async () => {
    await enroll('kept-1');
    const published = join(issuingCa.data, 'published');
    await whileStopped(async () => {
      const other = await buildIssuingCa();
      await other.service.close();
      const foreign = join(other.data, 'published', 'issuing-1.crl');
      await cp(foreign, join(published, 'issuing-1.crl'));
      await writeFile(join(published, 'issuing-1-delta.crl'), Buffer.from('3082ffff', 'hex'));
      await rm(other.folder, { recursive: true });
    });
    const { body } = await call('GET', '/v1/devices/kept-1');
    expect(body.state).toBe('active');
    expect((await call('GET', '/v1/alerts')).body.items).not.toContainEqual(
      expect.objectContaining({ key: 'database:keyline.db:restored' }),
    );
  });
});
