// keyline-root init, by its launcher.
import { rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  certtool,
  openssl,
  openOfflineFolder,
  passphrase,
  runLauncher,
  withPass,
  type OfflineRoot,
  makeCsr,
} from './support/offline-root.ts';

let offline: OfflineRoot;
beforeEach(() => {
  offline = openOfflineFolder();
});
afterEach(() => offline.remove());

describe('keyline-root init', () => {
  it.skipIf(!has('openssl'))(
    'makes a root that OpenSSL verifies strictly, with a key that OpenSSL opens with the passphrase',
    async () => {
      const made = await offline.must(
        'init',
        ...withPass,
        ...['--common-name', 'Acme Root', '--organization', 'Acme', '--validity', 'P10Y'],
      );
      expect(made).toMatchObject({ commonName: 'Acme Root', algorithm: 'ec-p256' });
      expect(
        openssl(offline, 'verify', '-x509_strict', '-CAfile', 'root.crt', 'root.crt'),
      ).toContain('OK');
      const text = openssl(offline, 'x509', '-in', 'root.crt', '-noout', '-text');
      expect(text).toMatch(/Subject: O = Acme, CN = Acme Root/);
      expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE\n/);
      expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
      expect(offline.read('root.key')).toMatch(/^-----BEGIN ENCRYPTED PRIVATE KEY-----/);
      const opened = openssl(offline, 'pkcs8', '-in', 'root.key', '-passin', `pass:${passphrase}`);
      expect(opened).toMatch(/^-----BEGIN PRIVATE KEY-----/);
      expect(() => openssl(offline, 'pkcs8', '-in', 'root.key', '-passin', 'pass:wrong')).toThrow();
      const notAfter = Date.parse(made.notAfter);
      expect(Math.abs(notAfter - Date.now() - 3650 * 86_400_000)).toBeLessThan(60_000);
    },
  );

  it.skipIf(!has('openssl', 'certtool'))(
    'makes a root and an authority without a well-defined end for IDevIDs (RFC 5280 §4.1.2.5, IEEE 802.1AR), which OpenSSL and GnuTLS verify',
    async () => {
      const end = '9999-12-31T23:59:59Z';
      const made = await offline.must('init', ...withPass, '--validity', '9999-12-31');
      expect(made.notAfter).toBe(end);
      makeCsr(offline, 'idevid');
      const signed = await offline.must(
        ...['sign-intermediate', ...withPass, '--csr', 'idevid.csr', '--out', 'idevid.crt'],
        ...['--validity', end],
      );
      expect(signed).toMatchObject({ notAfter: end, shortened: null });
      const text = openssl(offline, 'x509', '-in', 'idevid.crt', '-noout', '-enddate');
      expect(text).toContain('notAfter=Dec 31 23:59:59 9999 GMT');
      expect(
        openssl(offline, 'verify', '-x509_strict', '-CAfile', 'root.crt', 'idevid.crt'),
      ).toContain('OK');
      offline.write('chain.pem', offline.read('idevid.crt') + offline.read('root.crt'));
      expect(
        certtool(offline, '--verify', '--load-ca-certificate', 'root.crt', '--infile', 'chain.pem'),
      ).toMatch(/Chain verification output: Verified/);
      await offline.refused(2, 'REQUEST_INVALID', 'init', ...withPass, '--validity', '9999-12-30');
    },
  );

  it.skipIf(!has('certtool'))('makes a root that GnuTLS verifies', async () => {
    await offline.must('init', ...withPass, '--algorithm', 'ec-p384');
    const said = certtool(
      offline,
      '--verify',
      '--load-ca-certificate',
      'root.crt',
      '--infile',
      'root.crt',
    );
    expect(said).toMatch(/Chain verification output: Verified/);
  });

  it('keeps the key file, the state and the transcript from others, and the passphrase out of all of them', async () => {
    await offline.must('init', ...withPass);
    for (const name of ['root.key', 'root-state.json', 'transcript.jsonl']) {
      expect({ name, mode: statSync(offline.path(name)).mode & 0o777 }).toEqual({
        name,
        mode: 0o600,
      });
      expect(offline.read(name)).not.toContain(passphrase);
    }
  });

  it('takes the passphrase on standard input, as "keyline up" gives it, and makes the folder', async () => {
    const folder = `${offline.outside}/new`;
    const ran = await runLauncher(
      ['init', '--dir', folder, '--passphrase-file', '-', '--json', '--yes'],
      { input: `${passphrase}\n` },
    );
    expect(ran.code).toBe(0);
    expect(JSON.parse(ran.out)).toMatchObject({ folder, commonName: 'Keyline Root CA' });
    expect(statSync(folder).mode & 0o777).toBe(0o700);
  });

  it.each(['ed25519', 'rsa-3072', 'ml-dsa-65'])('makes a root with %s', async (algorithm) => {
    expect(await offline.must('init', ...withPass, '--algorithm', algorithm)).toMatchObject({
      algorithm,
    });
    expect(await offline.must('crl', ...withPass)).toMatchObject({ number: 1 });
  });

  it('refuses a second root in the same folder and leaves the first as it is', async () => {
    await offline.must('init', ...withPass);
    const before = offline.read('root.key');
    expect(await offline.refused(6, 'FILE_EXISTS', 'init', ...withPass)).toContain('already');
    expect(await offline.refused(6, 'FILE_EXISTS', 'init', '--resume', ...withPass)).toContain(
      'already',
    );
    expect(offline.read('root.key')).toBe(before);
  });

  it('refuses a passphrase that is short, empty or of two lines, and writes nothing', async () => {
    for (const input of ['short\n', '\n', '', 'two words\nand a line\n']) {
      const ran = await runLauncher(
        ['init', '--dir', offline.folder, '--passphrase-file', '-', '--yes'],
        { input },
      );
      expect({ input, code: ran.code }).toEqual({ input, code: 2 });
    }
    await expect(offline.run('inspect')).resolves.toMatchObject({ code: 6 });
    expect(() => offline.read('root.key')).toThrow('ENOENT');
  });

  it('refuses a passphrase file that others can read, and says how to change that', async () => {
    offline.write('open', `${passphrase}\n`, 0o644);
    expect(
      await offline.refused(6, 'FILE_UNREADABLE', 'init', '--passphrase-file', 'open', '--yes'),
    ).toMatch(/chmod 600/);
  });

  it('refuses a passphrase file outside the folder, also by a link inside it', async () => {
    writeFileSync(`${offline.outside}/pass`, `${passphrase}\n`, { mode: 0o600 });
    symlinkSync(`${offline.outside}/pass`, offline.path('link'));
    for (const file of [`${offline.outside}/pass`, '../pass', 'link']) {
      expect(
        await offline.refused(6, 'FILE_UNREADABLE', 'init', '--passphrase-file', file, '--yes'),
      ).toContain('not in the offline folder');
    }
  });

  it('refuses a folder that others may write to, and one with a link among its own files', async () => {
    symlinkSync(`${offline.outside}/elsewhere`, offline.path('transcript.jsonl'));
    expect(await offline.refused(6, 'FILE_UNREADABLE', 'init', ...withPass)).toContain('link');
    offline.remove();
    offline = openOfflineFolder();
    const { chmodSync } = await import('node:fs');
    chmodSync(offline.folder, 0o777);
    expect(await offline.refused(6, 'FILE_UNREADABLE', 'init', ...withPass)).toContain('chmod 700');
  });

  it('asks before it makes a root, and does nothing where nobody can answer', async () => {
    expect(await offline.refused(2, 'USAGE', 'init', '--passphrase-file', 'pass')).toContain(
      '--yes',
    );
    expect(() => offline.read('root.key')).toThrow('ENOENT');
  });

  it('refuses validities out of bounds, unknown algorithms and names that can not stand in a certificate', async () => {
    await offline.refused(3, 'VALIDITY_NOT_ALLOWED', 'init', ...withPass, '--validity', 'P1D');
    await offline.refused(3, 'VALIDITY_NOT_ALLOWED', 'init', ...withPass, '--validity', 'P9999Y');
    await offline.refused(2, 'REQUEST_INVALID', 'init', ...withPass, '--validity', '20 years');
    expect((await offline.run('init', ...withPass, '--algorithm', 'rsa-2048')).code).toBe(2);
    for (const name of ['', 'x'.repeat(65), 'a\nb']) {
      await offline.refused(3, 'PROFILE_VIOLATION', 'init', ...withPass, '--common-name', name);
    }
    expect(() => offline.read('root.key')).toThrow('ENOENT');
  });

  it('finishes with --resume what was interrupted after the key, and after the certificate', async () => {
    await offline.must('init', ...withPass);
    const key = offline.read('root.key');
    rmSync(offline.path('root-state.json'));
    rmSync(offline.path('root.crt'));
    expect(await offline.refused(6, 'STORE_MISSING', 'inspect')).toContain('--resume');
    expect(await offline.refused(6, 'FILE_EXISTS', 'init', ...withPass)).toContain('--resume');
    const wrong = offline.write('wrong', 'not the passphrase\n', 0o600);
    await offline.refused(
      8,
      'KEY_DECRYPT_FAILED',
      'init',
      '--resume',
      '--yes',
      '--passphrase-file',
      wrong,
    );
    const made = await offline.must('init', '--resume', ...withPass, '--common-name', 'Resumed');
    expect(offline.read('root.key')).toBe(key);

    rmSync(offline.path('root-state.json'));
    const again = await offline.must('init', '--resume', ...withPass);
    expect(again).toMatchObject({ serial: made.serial, commonName: 'Resumed' });
    expect(await offline.must('inspect')).toMatchObject({ keyIsHere: true, interrupted: null });
  });

  it('refuses to resume with the certificate of another key', async () => {
    await offline.must('init', ...withPass);
    rmSync(offline.path('root-state.json'));
    const other = openOfflineFolder();
    await other.must('init', ...withPass);
    offline.write('root.crt', other.read('root.crt'));
    other.remove();
    await offline.refused(6, 'FILE_EXISTS', 'init', '--resume', ...withPass);
  });
});
