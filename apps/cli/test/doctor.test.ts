import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeOcspQuestion, parseOcspStatus } from '@keyline/client';
import { decodePem, parseCertificate } from '@keyline/x509';
import { has } from '../../../test/support/needs.ts';
import { openssl } from '../../../test/support/openssl.ts';
import { judgeEngine } from '../src/doctor/engine-check.ts';
import { judgeRemainingLife } from '../src/doctor/remaining-life.ts';
import { formatEnd } from '../src/print/time.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';
import { startFakeService } from '../../../libs/client/test/support/fake-service.ts';

let workshop: Workshop;
beforeAll(() => {
  workshop = openWorkshop();
});
afterAll(() => {
  workshop.remove();
});

describe('the OCSP question of the doctor (RFC 6960 §4.1.1)', () => {
  it.skipIf(!has('openssl'))('is understood by openssl, whose answer it reads', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyline-ocsp-'));
    const leafPem = workshop.sign(await workshop.createCsr('d1'));
    const leaf = parseCertificate(decodePem(leafPem, 'CERTIFICATE'));
    const issuer = parseCertificate(decodePem(workshop.caPem, 'CERTIFICATE'));
    writeFileSync(join(folder, 'request.der'), encodeOcspQuestion(leaf, issuer));
    for (const [status, row] of [
      ['good', `V\t491231235959Z\t\t${leaf.serial.toUpperCase()}\tunknown\t/CN=d1\n`],
      [
        'revoked',
        `R\t491231235959Z\t260101000000Z\t${leaf.serial.toUpperCase()}\tunknown\t/CN=d1\n`,
      ],
      ['unknown', ''],
    ] as const) {
      writeFileSync(join(folder, 'index.txt'), row);
      await openssl(
        [
          ...['ocsp', '-index', 'index.txt', '-rsigner', workshop.path('test-ca.pem')],
          ...['-rkey', workshop.path('test-ca.key'), '-CA', workshop.path('test-ca.pem')],
          ...['-reqin', 'request.der', '-respout', 'response.der'],
        ],
        { cwd: folder },
      );
      const response = readFileSync(join(folder, 'response.der'));
      expect(parseOcspStatus(response)).toBe(status);
    }
    rmSync(folder, { recursive: true });
  });

  it('names the error of a responder that has no answer', () => {
    expect(parseOcspStatus(Buffer.from('30030a0106', 'hex'))).toBe('unauthorized');
  });
});

describe('remaining life', () => {
  const day = 86_400_000;
  it.each([
    ['ok', 60],
    ['warn', 10],
    ['fail', -1],
  ])('is %s with %i of 90 days left', (level, left) => {
    const now = Date.now();
    const finding = judgeRemainingLife({
      check: 'c',
      what: 'it',
      notBefore: now - (90 - left) * day,
      notAfter: now + left * day,
      now,
      advice: 'renew',
    });
    expect(finding.level).toBe(level);
  });

  it('of a certificate that is over is said to be over, not to be nothing', () => {
    const now = Date.now();
    const { message } = judgeRemainingLife({
      ...{ check: 'c', what: 'it', notBefore: now - 90 * day, notAfter: now - 1000, now },
      advice: 'renew',
    });
    expect(message).toBe('it expired 1s ago');
    expect(formatEnd(new Date(now - 60_000).toISOString(), now)).toMatch(/ \(expired 1m ago\)$/);
    expect(formatEnd(new Date(now + 60_000).toISOString(), now)).toMatch(/ \(in 1m\)$/);
    expect(formatEnd(null, now)).toBe('-');
  });
});

describe('keyline doctor', () => {
  it('waits once for a service that takes the question and does not answer, and goes on with what it can see itself', async () => {
    const service = await startFakeService(workshop);
    let asked = 0;
    const silent = (): void => {
      asked += 1;
    };
    for (const path of ['/v1/whoami', '/v1/authorities', '/v1/targets', '/v1/alerts']) {
      service.raw.set(path, silent);
    }
    const endpoints = workshop.write(
      'endpoints.json',
      JSON.stringify({
        ...{ api: service.url, http: 'http://127.0.0.1:1' },
        ...{ broker: service.url.replace('https', 'mqtts'), ca: 'test-ca.pem' },
        admin: { certificate: 'test-ca.pem', key: 'test-ca.key' },
      }),
    );
    const { code, out } = await workshop.run('doctor', '--endpoints', endpoints, '--json');
    await service.close();
    expect([code, asked]).toEqual([1, 1]);
    const { findings } = JSON.parse(out) as { findings: { check: string; message: string }[] };
    expect(findings[0]?.message).toMatch(/no answer for 5 s/);
    const checks = findings.map(({ check }) => check);
    expect(checks).toEqual(expect.arrayContaining(['api', 'http', 'broker']));
    expect(checks).not.toContain('targets');
    // Nobody said which authorities there are.
    expect(checks).not.toContain('ocsp');
  });

  it('goes on after a failure, says what to do, and exits 1', async () => {
    const service = await startFakeService(workshop);
    service.answers.whoAmI = () => ({
      name: 'admin',
      role: 'admin',
      via: 'certificate',
      time: new Date(Date.now() - 3_600_000).toISOString(),
    });
    service.answers.listAuthorities = () => ({ items: [], nextCursor: null });
    service.answers.listTargets = () => ({
      items: [
        {
          ...{ name: 'bundled', healthy: false, connection: 'disconnected', position: 0, lag: 3 },
          lastError: 'connection refused',
        },
      ],
      nextCursor: null,
    });
    const endpoints = workshop.write(
      'endpoints.json',
      JSON.stringify({
        api: service.url,
        http: 'http://127.0.0.1:1',
        broker: service.url.replace('https', 'mqtts'),
        ca: 'test-ca.pem',
        admin: { certificate: 'test-ca.pem', key: 'test-ca.key' },
      }),
    );
    const { code, out } = await workshop.run('doctor', '--endpoints', endpoints, '--json');
    await service.close();
    expect(code).toBe(1);
    const { findings } = JSON.parse(out) as { findings: { check: string; level: string }[] };
    const levels = Object.fromEntries(findings.map(({ check, level }) => [check, level]));
    expect(levels).toMatchObject({
      api: 'ok',
      clock: 'fail',
      'api certificate': 'ok',
      'your certificate': 'ok',
      http: 'fail',
      broker: 'ok',
      'target bundled': 'fail',
    });
  });
});

describe('the doctor and the alerts', () => {
  const target = (changes: object) => ({
    ...{ name: 'bundled', healthy: true, connection: 'connected', position: 9, lag: 0 },
    ...{ lastError: null, compared: null, ...changes },
  });
  const alert = (severity: string) => ({
    ...{ key: 'state:target:bundled:behind', severity, summary: 'The broker is behind.', count: 1 },
    ...{ examples: [], firstAt: '2026-11-24T16:00:00Z', lastAt: '2026-11-24T16:00:00Z' },
    resolvedAt: null,
  });

  /** What the doctor says of a service whose targets and open alerts these are. */
  async function examine(targets: object[], alerts: object[]) {
    const service = await startFakeService(workshop);
    service.answers.whoAmI = () => ({
      ...{ name: 'admin', role: 'admin', via: 'token', time: new Date().toISOString() },
    });
    service.answers.listAuthorities = () => ({ items: [], nextCursor: null });
    service.answers.getAddresses = () => ({ earlier: [] });
    service.answers.listTargets = () => ({ items: targets, nextCursor: null });
    service.answers.listAlerts = () => ({ items: alerts, nextCursor: null });
    service.answers.listAlertChannels = () => ({
      items: [{ name: 'log', lag: 0, lastError: null, unreachable: null }],
      nextCursor: null,
    });
    const { code, out } = await workshop.run(
      ...['doctor', '--api', service.url, '--ca', workshop.path('test-ca.pem')],
      ...['--token-file', workshop.write('token', 'kt_secret\n')],
    );
    await service.close();
    return { code, out };
  }

  it('see the same world: an open critical alert is a failure', async () => {
    const { code, out } = await examine([target({})], [alert('critical')]);
    expect(out).toMatch(/^fail +open alerts +The broker is behind\.$/m);
    expect(out).not.toContain('All is well');
    expect(code).toBe(1);
  });

  it.each([
    ['is unhealthy', { healthy: false, lastError: 'It is away.' }, /^fail +target bundled .*away/m],
    [
      'is not connected yet',
      { connection: 'disconnected' },
      /^fail +target bundled .*not connected/m,
    ],
  ])('see the same world: a broker that %s is a failure', async (_what, changes, said) => {
    const { code, out } = await examine([target(changes)], []);
    expect(out).toMatch(said);
    expect(out).not.toContain('All is well');
    expect(code).toBe(1);
  });

  it('say that all is well only where there is nothing to look at; a warning alone is exit code 0', async () => {
    const { code, out } = await examine([target({ connection: 'elsewhere' })], [alert('warning')]);
    expect(out).toMatch(/^warn +open alerts +The broker is behind\.$/m);
    expect(out).toMatch(/^Nothing failed, \d+ to look at\.$/m);
    expect(code).toBe(0);
  });
});

describe('the engine of the broker', () => {
  const metrics = (version: string, more = ''): string =>
    `# HELP keyline_broker_info x\nkeyline_broker_info{engine="mosquitto",version="${version}"} 1\nkeyline_broker_up 1\n${more}`;

  it.each([
    ['keyline_broker_sessions_kept 1\n', 'ok', /^Keyline’s own$/],
    ['keyline_broker_sessions_kept 0\n', 'fail', /can not keep sessions/],
    [metrics('2.1.2'), 'ok', /^Mosquitto 2\.1\.2: /],
    [metrics('2.0.11'), 'warn', /^Mosquitto 2\.0\.11: .*no %u.*restarted for a new CRL/],
  ])('is told from its metrics', (text, level, message) => {
    expect(judgeEngine(text)).toEqual([
      expect.objectContaining({ level, message: expect.stringMatching(message) as string }),
    ]);
  });

  it('is a failure when it is down, and worth a look while a CRL waits', () => {
    const down = metrics('2.1.2').replace('up 1', 'up 0');
    expect(judgeEngine(down).map(({ level }) => level)).toEqual(['ok', 'fail']);
    const waiting = metrics('2.1.2', 'keyline_broker_crl_waiting 1\n');
    expect(judgeEngine(waiting).map(({ level }) => level)).toEqual(['ok', 'warn']);
  });
});
