// The keyline command for real, as a person or a script calls it: exit codes, files, JSON.
import { spawn } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDeviceKey } from '../support/device-key.ts';
import { keylineCommand } from '../support/keyline.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();

function keyline(...args: string[]) {
  return runProgram(keylineCommand, args, {
    cwd: suite.folder,
    env: { ...process.env, KEYLINE_ENDPOINTS: suite.keyline.endpointsFile },
  });
}

async function succeed(...args: string[]): Promise<string> {
  const { code, out, err } = await keyline(...args);
  expect(code, `keyline ${args.join(' ')}: ${err}`).toBe(0);
  return out;
}

async function json(...args: string[]) {
  return JSON.parse(await succeed(...args, '--json'));
}

const read = (...path: string[]): string => readFileSync(join(suite.folder, ...path), 'utf8');

describe('the life of a device, by command', () => {
  it('begins with a token and an enrollment that leaves all that an MQTT client needs', async () => {
    await succeed('token', 'create', '--max-uses', '2', '--out', 'token.txt');
    const said = await succeed(
      ...['device', 'enroll', '--id', 'pump-17', '--token-file', 'token.txt', '--out', 'pump-17'],
    );
    expect(said).toContain('pump-17 is enrolled.');
    const settings = JSON.parse(read('pump-17', 'broker.json'));
    expect(settings).toMatchObject({ clientId: 'pump-17', certificate: 'pump-17.crt' });
    expect(statSync(join(suite.folder, 'pump-17', 'pump-17.key')).mode & 0o777).toBe(0o600);
    const session = await suite.fleet.connect({
      id: settings.clientId,
      certificate: read('pump-17', settings.certificate),
      key: read('pump-17', settings.key),
    });
    expect(await session.publish('devices/pump-17/telemetry', '1')).toBe('accepted');
    await session.close();
  });

  it('is enrolled again from the same folder after the answer was lost, and refuses to do it for nothing', async () => {
    const enroll = ['device', 'enroll', '--id', 'pump-17', '--token-file', 'token.txt', '--out'];
    const certificate = read('pump-17', 'pump-17.crt');
    const refused = await keyline(...enroll, 'pump-17');
    expect(refused.code).toBe(6);
    expect(refused.err).toContain('keyline device renew --id pump-17');
    rmSync(join(suite.folder, 'pump-17', 'pump-17.crt'));
    expect(await succeed(...enroll, 'pump-17')).toContain('same certificate');
    expect(read('pump-17', 'pump-17.crt')).toBe(certificate);
  });

  it('goes on with a renewal that swaps key and certificate', async () => {
    const before = new X509Certificate(read('pump-17', 'pump-17.crt'));
    const answer = await json(
      'device',
      'renew',
      '--id',
      'pump-17',
      '--dir',
      'pump-17',
      '--new-key',
    );
    const after = new X509Certificate(read('pump-17', 'pump-17.crt'));
    expect(after.serialNumber.toLowerCase()).toBe(answer.serial);
    expect(after.serialNumber).not.toBe(before.serialNumber);
    expect(after.publicKey.equals(before.publicKey)).toBe(false);
  });

  it('is found, shown, suspended, resumed and revoked', async () => {
    expect(await succeed('device', 'list', '--state', 'active')).toContain('pump-17');
    expect((await json('device', 'list', '-q', 'pump-')).items).toHaveLength(1);
    expect(await succeed('device', 'show', 'pump-17')).toContain('Certificates');
    await succeed('device', 'suspend', 'pump-17', '--wait');
    expect((await json('device', 'show', 'pump-17')).device.state).toBe('suspended');
    await succeed('device', 'resume', 'pump-17', '--wait');
    const said = await succeed(
      'device',
      'revoke',
      'pump-17',
      '--reason',
      'keyCompromise',
      '--wait',
    );
    expect(said).toMatch(/^broker: session cut, rights gone +\d{4}-/m);
    expect(said).toMatch(/^broker: reconnect refused +\d{4}-/m);
    expect(said).toMatch(/^OCSP says revoked +\d{4}-/m);
    expect(said).toMatch(/^CRL \d+ of .+ +\d{4}-/m);
    const history = await json('device', 'history', 'pump-17');
    expect(history.items.map(({ kind }: { kind: string }) => kind)).toEqual([
      'device-revoked',
      'device-resumed',
      'device-suspended',
      // The renewed certificate was shown at once.
      'certificate-used',
      'device-renewed',
      'device-enrolled',
    ]);
    await succeed('device', 'decommission', 'pump-17');
  });

  it('belongs to the new key as soon as a renewal with one is on disk', async () => {
    await succeed('token', 'create', '--out', 'token-2.txt');
    const id = ['--id', 'pump-18'];
    await succeed('device', 'enroll', ...id, '--token-file', 'token-2.txt', '--out', 'pump-18');
    const old = {
      certificate: read('pump-18', 'pump-18.crt'),
      key: read('pump-18', 'pump-18.key'),
    };
    await succeed('device', 'renew', ...id, '--dir', 'pump-18', '--new-key');
    const holder = suite.keyline.as(old);
    const third = await createDeviceKey().csr('pump-18');
    expect((await holder.post('/v1/renew', { csr: third })).status).toBe(401);
    holder.close();
    await succeed('device', 'revoke', 'pump-18');
  });
});

describe('a batch, by command', () => {
  it('signs a folder of CSRs, and again the same; the quota refuses the rest with exit code 3', async () => {
    const folder = join(suite.folder, 'csrs');
    mkdirSync(folder);
    const csr = async (id: string) =>
      writeFileSync(join(folder, `${id}.csr`), await createDeviceKey().csr(id));
    for (let n = 0; n < 10; n++) await csr(`u-${n}`);
    expect((await json('batch', 'create', 'wo-1', '--quota', '10')).state).toBe('open');
    const sign = ['batch', 'sign', 'wo-1', '--csr-dir', 'csrs', '--out', 'certs'];
    expect(await json(...sign)).toMatchObject({ signed: 10, same: 0, refused: [] });
    const first = read('certs', 'u-3.crt');
    expect(await json(...sign)).toMatchObject({ signed: 0, same: 10, refused: [] });
    expect(read('certs', 'u-3.crt')).toBe(first);
    expect(first.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);

    await csr('u-x');
    const { code, out } = await keyline(...sign, '--json');
    expect(code).toBe(3);
    expect(JSON.parse(out)).toMatchObject({
      same: 10,
      refused: [{ id: 'u-x', code: 'BATCH_QUOTA_EXHAUSTED' }],
    });
    expect(await succeed('batch', 'show', 'wo-1')).toMatch(/signed +10 of 10/);
    expect(await succeed('batch', 'list')).toContain('wo-1');
    expect((await json('batch', 'close', 'wo-1')).state).toBe('closed');
  });
});

describe('the rest, by command', () => {
  it('lists and revokes tokens, and calls with an API token', async () => {
    const created = await json('token', 'create', '--use', 'api', '--role', 'auditor');
    writeFileSync(join(suite.folder, 'api.txt'), created.secret, { mode: 0o600 });
    const asAuditor = ['--token-file', 'api.txt'];
    expect((await json('device', 'list', ...asAuditor)).items.length).toBeGreaterThan(0);
    const refused = await keyline('batch', 'create', 'wo-2', '--quota', '1', ...asAuditor);
    expect(refused.code).toBe(3);
    expect(refused.err).toContain('[FORBIDDEN]');
    expect(await succeed('token', 'list', '--use', 'api')).toContain(created.token.id);
    await succeed('token', 'revoke', created.token.id);
    expect((await keyline('device', 'list', ...asAuditor)).code).toBe(3);
  });

  it('lists alerts and authorities', async () => {
    expect(await json('alerts', 'list')).toEqual({ items: [], nextCursor: null });
    const { items } = await json('ca', 'list');
    expect(items.map(({ role }: { role: string }) => role).sort()).toEqual(['issuing', 'root']);
  });

  it('finds nothing wrong as a doctor', async () => {
    const { code, out, err } = await keyline('doctor', '--json');
    expect(code, out + err).toBe(0);
    const { findings } = JSON.parse(out);
    expect(findings.length).toBeGreaterThan(5);
    expect(await succeed('doctor')).not.toBe('');
  });

  it('says what is not there with exit code 4, and a wrong call with 2', async () => {
    const { code, out, err } = await keyline('device', 'show', 'nobody', '--json');
    expect({ code, ...JSON.parse(out).error }).toMatchObject({ code: 'DEVICE_NOT_FOUND' });
    expect(code).toBe(4);
    expect(err).toContain('[DEVICE_NOT_FOUND]');
    expect((await keyline('device', 'show')).code).toBe(2);
    expect((await keyline('batch', 'show', 'wo-nil')).code).toBe(4);
  });

  it('does not start a second time on the same folder', async () => {
    const { code, err } = await keyline('up', '--data', suite.keyline.data);
    expect(code).toBe(2);
    expect(err).toContain('runs on');
  });
});

describe('a broker by itself, by command', () => {
  it('is keyline-broker, with its options and exit codes', async () => {
    expect(await succeed('broker', 'serve', '--help')).toContain('--engine <engine>');
    const { code, err } = await keyline('broker', 'serve', '--data', 'nowhere');
    expect({ code, err }).toEqual({ code: 2, err: expect.stringContaining('--cert') });
  });

  it('serves until the command is stopped, and is gone then', async () => {
    const files = join(suite.keyline.data, 'broker');
    const readyFile = join(suite.folder, 'broker.ready');
    const child = spawn(
      keylineCommand,
      [
        ...['broker', 'serve', '--data', join(suite.folder, 'own-broker'), '--port', '0'],
        ...['--cert', join(files, 'broker.crt'), '--key', join(files, 'broker.key')],
        ...['--ca', join(files, 'ca.pem'), '--ready-file', readyFile],
      ],
      { stdio: 'ignore' },
    );
    const ended = once(child, 'exit');
    try {
      await expect
        .poll(() => existsSync(readyFile) && readFileSync(readyFile, 'utf8'), { timeout: 60_000 })
        .toMatch(/\n/);
      const { pid } = JSON.parse(readFileSync(readyFile, 'utf8')) as { pid: number };
      // As an impatient Ctrl-C.
      for (let times = 0; times < 3; times += 1) process.kill(child.pid!, 'SIGINT');
      expect(await ended).toEqual([0, null]);
      expect(() => process.kill(pid, 0)).toThrow(/ESRCH/);
    } finally {
      child.kill('SIGKILL');
    }
  });
});
