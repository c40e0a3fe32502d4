// kill -9 of the issuing CA and of the broker at random moments of 500 enrollments and 50 revocations: nothing that was answered may
// be lost, nothing doubled. A failure names its seed; KEYLINE_CRASH_SEED repeats the moments.
import { randomInt } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseCrl } from '@keyline/x509';
import { describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { administer } from '../support/dynsec-admin.ts';
import { readEnrolled, type EnrolledDevice } from '../support/fleet.ts';
import { projectFolder } from '../support/keyline.ts';
import { has } from '../support/needs.ts';
import { openssl } from '../support/openssl.ts';
import { createRandom } from '../support/random.ts';
import type { Answer } from '../support/rest-client.ts';
import { useKeyline } from '../support/use-keyline.ts';

const enrollments = 500;
const revocations = 50;
const killsOfEach = 3;
const workers = 8;
// Twenty seconds on two free cores; the rest is for a machine with other work.
const timeLimit = 90_000;

const seed = Number(process.env['KEYLINE_CRASH_SEED'] ?? randomInt(1, 2 ** 31));

describe.skipIf(!has('openssl'))('kill -9 of the CA and of the broker', () => {
  // Enrollments do not wait for the broker: more are pending when the next kill comes, and the test is over sooner.
  const suite = useKeyline({
    config(folder) {
      const config = join(folder, 'config');
      cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
      const file = join(config, 'service.yaml');
      const text = readFileSync(file, 'utf8');
      const impatient = text.replace('provisionWait: 2s', 'provisionWait: 0s');
      expect(impatient).not.toBe(text);
      writeFileSync(file, impatient);
      return config;
    },
  });
  const random = createRandom(seed);
  /** What was answered, every time it was. */
  const answered = new Map<string, EnrolledDevice[]>();
  const revoked = new Set<string>();
  let retries = 0;

  /** Until it is answered, as a device or an operator's script would. */
  async function insist(request: () => Promise<Answer>): Promise<Answer> {
    const deadline = Date.now() + timeLimit;
    for (;;) {
      try {
        return expectStatus(await request(), 200, 201);
      } catch (error) {
        // A connection that breaks has a code; an answer that is a refusal has none, and must not come.
        if (!(error instanceof Error) || !('code' in error) || Date.now() > deadline) throw error;
        retries += 1;
        await sleep(30 + random() * 50);
      }
    }
  }

  async function enroll(id: string, token: string): Promise<void> {
    const key = createDeviceKey();
    const request = { id, csr: await key.csr(id), token };
    const ask = () => suite.fleet.anyone.post('/v1/enroll', request);
    const answers = [readEnrolled(await insist(ask), key)];
    // Some ask again though they have their answer: a repeat must not make a second identity.
    if (random() < 0.1) answers.push(readEnrolled(await insist(ask), key));
    // Last, for this is what its revocation waits for: a revoked device that asks again is refused.
    answered.set(id, answers);
  }

  async function revoke(id: string): Promise<void> {
    const path = `/v1/devices/${id}/revoke`;
    await insist(() => suite.fleet.admin.post(path, { reason: 'keyCompromise' }));
    revoked.add(id);
  }

  /** Kills when so much of the work is answered, each process as soon as it serves again. */
  async function killAlong(which: 'ca' | 'broker', moments: readonly number[]): Promise<void> {
    let last = 0;
    for (const moment of moments) {
      while (answered.size + revoked.size < moment) await sleep(5);
      let pid = last;
      while (pid === last) {
        pid = suite.keyline.endpoints.pids[which];
        if (pid === last) await sleep(20);
      }
      process.kill(pid, 'SIGKILL');
      last = pid;
    }
  }

  function chooseMoments(): number[] {
    const all = enrollments + revocations;
    return Array.from({ length: killsOfEach }, (_, n) =>
      Math.floor(((n + random()) / killsOfEach) * (all - 1)),
    );
  }

  it(
    `loses nothing that was answered and doubles nothing (seed ${seed})`,
    { timeout: timeLimit },
    async () => {
      const { fleet } = suite;
      const tokenAnswer = await fleet.admin.post('/v1/tokens', { maxUses: 10_000 });
      const { token, secret } = expectStatus(tokenAnswer, 201).body;
      const ids = Array.from(
        { length: enrollments },
        (_, n) => `crash-${String(n).padStart(3, '0')}`,
      );
      const jobs: (() => Promise<void>)[] = ids.map((id) => () => enroll(id, secret));
      // A tenth of them is revoked, each some time after its enrollment.
      const victims = ids.filter((_, n) => n % (enrollments / revocations) === 0);
      for (const [n, id] of victims.entries()) {
        const position = Math.min(jobs.length, Math.floor((n + 1) * (jobs.length / revocations)));
        jobs.splice(position, 0, async () => {
          while (!answered.has(id)) await sleep(5);
          await revoke(id);
        });
      }
      const kills = [killAlong('ca', chooseMoments()), killAlong('broker', chooseMoments())];
      await Promise.all(
        Array.from({ length: workers }, async () => {
          for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job();
        }),
      );
      await Promise.all(kills);
      expect(retries, 'the kills must have been felt').toBeGreaterThan(0);

      await expect
        .poll(async () => (await insist(() => fleet.admin.get('/v1/targets'))).body.items[0], {
          timeout: 60_000,
        })
        .toMatchObject({ healthy: true, lag: 0 });
      await checkDatabase(token.id);
      await checkBroker();
      await checkRevocations();
    },
  );

  async function checkDatabase(tokenId: string): Promise<void> {
    const { admin } = suite.fleet;
    const serials: string[] = [];
    const keys = new Set<string>();
    for (const [id, answers] of answered) {
      const { body } = expectStatus(await admin.get(`/v1/devices/${id}/history`), 200);
      // One device, one identity: every answer it ever got is the one certificate there is.
      expect(body.certificates.map(({ serial }: { serial: string }) => serial)).toEqual([
        answers[0]!.serial,
      ]);
      const [certificate] = body.certificates;
      for (const answer of answers) {
        expect(answer.leaf).toBe(certificate.certificate);
        keys.add(answer.key);
      }
      expect(certificate.state).toBe(revoked.has(id) ? 'revoked' : 'active');
      serials.push(certificate.serial);
      const kinds = body.items.map(({ kind }: { kind: string }) => kind);
      expect(kinds).toEqual(
        revoked.has(id) ? ['device-revoked', 'device-enrolled'] : ['device-enrolled'],
      );
    }
    expect(serials).toHaveLength(enrollments);
    expect(new Set(serials).size).toBe(enrollments);
    expect(keys.size).toBe(enrollments);
    const tokens = expectStatus(await admin.get('/v1/tokens'), 200).body.items;
    const used = tokens.find(({ id }: { id: string }) => id === tokenId).uses;
    expect(used, 'uses of the token').toBe(enrollments);
    const devices = expectStatus(await admin.get('/v1/devices?q=crash-&limit=1000'), 200).body;
    expect(devices.items).toHaveLength(enrollments);
  }

  async function checkBroker(): Promise<void> {
    const { fleet } = suite;
    const [answer] = await administer(fleet.broker, fleet.adminIdentity, [
      { command: 'listClients', verbose: true, count: -1 },
    ]);
    const { clients } = answer?.data as {
      clients: { username: string; roles?: { rolename: string }[] }[];
    };
    const known = new Map(
      clients.map(({ username, roles }) => [
        username,
        (roles ?? []).map(({ rolename }) => rolename),
      ]),
    );
    for (const id of answered.keys()) {
      expect(known.get(id), id).toEqual(revoked.has(id) ? undefined : ['device']);
    }
    const active = [...answered.keys()].filter((id) => !revoked.has(id));
    const sample = active.filter((_, n) => n % 15 === 0);
    for (const id of [...sample, ...revoked]) {
      const why = await fleet.whyRefused(answered.get(id)![0]!);
      if (revoked.has(id)) expect(why, `${id} is revoked`).toMatch(/not authorized/i);
      else expect(why, `${id} is active`).toBeUndefined();
    }
  }

  async function checkRevocations(): Promise<void> {
    const { ca, http } = suite.keyline.endpoints;
    const url = await suite.fleet.crlUrl();
    const serialOf = (id: string): string => answered.get(id)![0]!.serial;
    const listed = async (): Promise<string[]> => {
      const crl = parseCrl(Buffer.from(await (await fetch(url)).arrayBuffer()));
      return crl.entries.map(({ serial }) => serial as string).sort();
    };
    // Published a moment after the last revocation; never with a serial that was not revoked.
    const expected = [...revoked].map(serialOf).sort();
    await expect.poll(listed, { timeout: 60_000, interval: 200 }).toEqual(expected);
    const issuer = join(suite.folder, 'issuer.crt');
    writeFileSync(issuer, [...answered.values()][0]![0]!.issuer);
    for (const id of revoked) {
      const said = await openssl([
        ...['ocsp', '-issuer', issuer, '-serial', `0x${serialOf(id)}`, '-url', `${http}/ocsp`],
        ...['-CAfile', ca, '-verify_other', issuer],
      ]);
      expect(said, id).toContain(': revoked');
    }
  }
});
