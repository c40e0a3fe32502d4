// keyline-root inspect, by its launcher: everything without a passphrase.
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  makeCsr,
  openOfflineRoot,
  openssl,
  openOfflineFolder,
  runLauncher,
  withPass,
  type OfflineRoot,
} from './support/offline-root.ts';

describe.skipIf(!has('openssl'))('keyline-root inspect', () => {
  let offline: OfflineRoot;
  let serial: string;
  beforeAll(async () => {
    offline = await openOfflineRoot();
    makeCsr(offline, 'issuing', { cn: 'Issuing' });
    ({ serial } = await offline.must(
      ...['sign-intermediate', ...withPass, '--csr', 'issuing.csr', '--out', 'issuing.crt'],
    ));
    await offline.must('revoke', '--serial', serial, '--yes');
    await offline.must('crl', ...withPass);
  });
  afterAll(() => offline.remove());

  it('shows what is in the folder', async () => {
    expect(await offline.must('inspect')).toMatchObject({
      keyIsHere: true,
      lastCrlNumber: 1,
      interrupted: null,
      root: { commonName: 'Test Root', isCa: true, selfSigned: true },
      crl: { number: '1', signedByThisRoot: true, scope: 'ca', revoked: [{ serial }] },
      intermediates: [{ serial, commonName: 'Issuing', revoked: { reason: 'unspecified' } }],
    });
    const { out } = await offline.run('inspect');
    expect(out).toContain(`${serial}  "Issuing", revoked`);
  });

  it('shows certificates, CSRs and CRLs, in PEM and DER, and whether this root signed them', async () => {
    openssl(offline, 'x509', '-in', 'issuing.crt', '-outform', 'DER', '-out', 'issuing.der');
    openssl(offline, 'req', '-in', 'issuing.csr', '-outform', 'DER', '-out', 'issuing.csr.der');
    for (const file of ['issuing.crt', 'issuing.der']) {
      expect(await offline.must('inspect', file)).toMatchObject({
        ...{ kind: 'certificate', commonName: 'Issuing', serial, isCa: true, pathLen: 0 },
        ...{ signedByThisRoot: true, selfSigned: false },
      });
    }
    for (const file of ['issuing.csr', 'issuing.csr.der']) {
      expect(await offline.must('inspect', file)).toMatchObject({
        ...{ kind: 'csr', commonName: 'Issuing', algorithm: 'ec-p256' },
      });
    }
    for (const file of ['root.crl', 'root.crl.der']) {
      expect(await offline.must('inspect', file)).toMatchObject({ kind: 'crl', number: '1' });
    }
  });

  it("says that another root's certificate is not this root's, whatever its names say", async () => {
    const other = await openOfflineRoot();
    offline.write('other.crt', other.read('root.crt'));
    other.remove();
    expect(await offline.must('inspect', 'other.crt')).toMatchObject({
      commonName: 'Test Root',
      signedByThisRoot: false,
    });
  });

  it('fingerprints the certificate as OpenSSL does', async () => {
    const { out } = await offline.run('inspect', 'root.crt');
    const said = openssl(offline, 'x509', '-in', 'root.crt', '-noout', '-fingerprint', '-sha256');
    expect(out).toContain(said.trim().split('=')[1]);
  });

  it('refuses keys, noise, CSRs without proof of possession, and files outside', async () => {
    await offline.refused(6, 'DER_MALFORMED', 'inspect', 'issuing.key');
    offline.write('noise', Buffer.from('3082000102', 'hex'));
    await offline.refused(6, 'DER_MALFORMED', 'inspect', 'noise');
    await offline.refused(6, 'FILE_UNREADABLE', 'inspect', '/etc/hostname');
    await offline.refused(6, 'FILE_NOT_FOUND', 'inspect', 'nothing.crt');
  });

  it('works in a folder without a root for a single file, and leaves no trace there', async () => {
    const empty = openOfflineFolder();
    empty.write('issuing.csr', offline.read('issuing.csr'));
    expect(await empty.must('inspect', 'issuing.csr')).toMatchObject({ commonName: 'Issuing' });
    expect(await empty.refused(6, 'STORE_MISSING', 'inspect')).toContain('keyline-root init');
    await empty.refused(6, 'STORE_MISSING', 'crl', ...withPass);
    expect(() => empty.read('transcript.jsonl')).toThrow('ENOENT');
    empty.remove();
  });

  it('answers also where the transcript can not be written, and says so', async () => {
    const transcript = offline.read('transcript.jsonl');
    rmSync(offline.path('transcript.jsonl'));
    mkdirSync(offline.path('transcript.jsonl'));
    const ran = await offline.run('inspect', '--json');
    expect(ran).toMatchObject({ code: 0 });
    expect(ran.err).toContain('transcript');
    rmdirSync(offline.path('transcript.jsonl'));
    offline.write('transcript.jsonl', transcript, 0o600);
  });

  it('has help with an example and exit codes for every command, in any folder', async () => {
    const { code, out } = await runLauncher(['--help'], { cwd: '/' });
    expect(code).toBe(0);
    expect(out).toContain('Exit codes:');
    for (const command of ['init', 'sign-intermediate', 'cross-sign', 'revoke', 'crl', 'inspect']) {
      expect(out).toContain(command);
      const help = await runLauncher([command, '--help'], { cwd: '/' });
      expect(help.code).toBe(0);
      expect(help.out).toMatch(/Example:\n {2}\$ keyline-root /);
      expect(help.out).toContain('--json');
      expect(help.out).toContain('--dir');
    }
    expect(await offline.run('sing-intermediate')).toMatchObject({ code: 2 });
    expect((await offline.run('sing-intermediate')).err).toContain('sign-intermediate');
  });
});
