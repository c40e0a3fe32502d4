// keyline-root sign-intermediate, by its launcher.
import { copyFileSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  certtool,
  makeCsr,
  openOfflineRoot,
  openssl,
  passphrase,
  runLauncher,
  withPass,
  type OfflineRoot,
} from './support/offline-root.ts';

describe.skipIf(!has('openssl'))('keyline-root sign-intermediate', () => {
  let offline: OfflineRoot;
  let counter = 0;
  /** A CSR of a name of its own. */
  const csr = (given: Parameters<typeof makeCsr>[2] = {}): string => {
    counter += 1;
    makeCsr(offline, `csr-${counter}`, given);
    return `csr-${counter}.csr`;
  };
  const sign = (file: string, ...more: string[]): string[] => [
    'sign-intermediate',
    ...withPass,
    '--csr',
    file,
    ...more,
  ];
  const signed = (): number => offline.readJson('root-state.json').intermediates.length;

  beforeAll(async () => {
    offline = await openOfflineRoot();
  });
  afterAll(() => offline.remove());

  it('signs an authority that OpenSSL and GnuTLS verify, for leaves that are TLS clients and servers', async () => {
    const made = await offline.must(...sign(csr({ cn: 'Issuing A' }), '--out', 'a.crt'));
    expect(made).toMatchObject({ certificate: 'a.crt', commonName: 'Issuing A' });
    expect(openssl(offline, 'verify', '-x509_strict', '-CAfile', 'root.crt', 'a.crt')).toContain(
      'OK',
    );
    if (has('certtool')) {
      certtool(offline, '--verify', '--load-ca-certificate', 'root.crt', '--infile', 'a.crt');
    }
    const text = openssl(offline, 'x509', '-in', 'a.crt', '-noout', '-text');
    expect(text).toMatch(/Basic Constraints: critical\s+CA:TRUE, pathlen:0\n/);
    expect(text).toMatch(/Key Usage: critical\s+Certificate Sign, CRL Sign\n/);
    expect(text).toMatch(
      /Extended Key Usage: \s+TLS Web Client Authentication, TLS Web Server Authentication\n/,
    );
    expect(offline.read('issued', `${made.serial}.crt`)).toBe(offline.read('a.crt'));
    expect(text.replaceAll(':', '').replace(/\s/g, '')).toContain(made.serial);
  });

  it('works as "keyline up" calls it: absolute paths in the folder, the passphrase on standard input', async () => {
    const file = offline.path(csr({ cn: 'Issuing B' }));
    const ran = await runLauncher(
      [
        'sign-intermediate',
        ...['--dir', offline.folder, '--passphrase-file', '-'],
        ...['--csr', file, '--out', offline.path('issuing.crt'), '--json', '--yes'],
      ],
      { input: `${passphrase}\n`, cwd: '/' },
    );
    expect(ran.code).toBe(0);
    expect(openssl(offline, 'verify', '-CAfile', 'root.crt', 'issuing.crt')).toContain('OK');
  });

  it('writes name, organization, path length, validity and addresses as they are given', async () => {
    await offline.must(
      ...sign(csr(), '--out', 'given.crt', '--common-name', 'Given Name', '--organization', 'Acme'),
      ...['--validity', 'P400D', '--path-len', '2', '--any-usage'],
      ...['--crl-url', 'http://pki.example.com/root.crl'],
      ...['--issuer-url', 'http://pki.example.com/root.crt'],
      ...['--ocsp-url', 'http://pki.example.com/ocsp'],
    );
    const text = openssl(offline, 'x509', '-in', 'given.crt', '-noout', '-text');
    expect(text).toMatch(/Subject: O = Acme, CN = Given Name/);
    expect(text).toContain('pathlen:2');
    expect(text).toContain('URI:http://pki.example.com/root.crl');
    expect(text).toContain('CA Issuers - URI:http://pki.example.com/root.crt');
    expect(text).toContain('OCSP - URI:http://pki.example.com/ocsp');
    expect(text).not.toContain('Extended Key Usage');
    const { notAfter } = await offline.must('inspect', 'given.crt');
    expect(Math.abs(Date.parse(notAfter) - Date.now() - 400 * 86_400_000)).toBeLessThan(60_000);
  });

  it('limits the names of everything below by a critical extension (RFC 5280 §4.2.1.10)', async () => {
    const file = csr({ cn: 'Limited' });
    await offline.must(
      ...sign(file, '--out', 'limited.crt', '--permit', 'dns:plant.example.com'),
      ...['--permit', 'dns:lab.example.com', '--exclude', 'ip:10.0.0.0/8'],
    );
    const text = openssl(offline, 'x509', '-in', 'limited.crt', '-noout', '-text');
    expect(text).toMatch(
      /Name Constraints: critical\s+Permitted:\s+DNS:plant.example.com\s+DNS:lab.example.com\s+Excluded:\s+IP:10.0.0.0\/255.0.0.0/,
    );
    const verify = (name: string): string => {
      openssl(
        offline,
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
        ...['-CA', 'limited.crt', '-CAkey', file.replace('.csr', '.key'), '-subj', '/CN=leaf'],
        ...['-addext', `subjectAltName=DNS:${name}`, '-keyout', 'leaf.key', '-out', 'leaf.crt'],
        ...['-addext', 'basicConstraints=critical,CA:FALSE', '-days', '1'],
      );
      return openssl(
        offline,
        'verify',
        '-CAfile',
        'root.crt',
        '-untrusted',
        'limited.crt',
        'leaf.crt',
      );
    };
    expect(verify('pump.plant.example.com')).toContain('OK');
    expect(() => verify('pump.example.org')).toThrow(/permitted subtree violation/);
    await offline.refused(2, 'USAGE', ...sign(csr(), '--permit', 'example.com'));
    await offline.refused(3, 'PROFILE_VIOLATION', ...sign(csr(), '--permit', 'dns:*.example.com'));
  });

  it("ends no later than the root, and takes a CSR in DER that asks for an authority's certificate", async () => {
    const file = csr({
      cn: 'Long',
      extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'],
    });
    openssl(offline, 'req', '-in', file, '-outform', 'DER', '-out', 'long.der');
    const made = await offline.must(...sign('long.der', '--validity', 'P30Y'));
    const root = await offline.must('inspect', 'root.crt');
    expect(made.notAfter).toBe(root.notAfter);
    expect(made.shortened).toMatch(/^20\d\d-.*was asked for; a root ends before$/);
    const whole = await offline.must(...sign(csr(), '--validity', 'P1Y'));
    expect(whole.shortened).toBeNull();
    const endless = await offline.must(...sign(csr(), '--validity', '9999-12-31'));
    expect(endless).toMatchObject({
      notAfter: root.notAfter,
      shortened: '9999-12-31T23:59:59Z was asked for; a root ends before',
    });
  });

  it('shows what it is about to sign, with what could deceive the eye made visible', async () => {
    const { out, err } = await offline.run(...sign(csr({ cn: 'Shown\u202E\u001B[2J' })));
    expect(err).toContain('Shown\\u{202e}\\u{1b}[2J');
    expect(err).not.toContain('\u001B');
    expect(err).toMatch(/clock says +20\d\d-/);
    // A name with control characters is then refused; nothing was signed.
    expect(out).toBe('');
    const before = signed();
    await offline.refused(
      2,
      'USAGE',
      'sign-intermediate',
      '--csr',
      csr(),
      '--passphrase-file',
      'pass',
    );
    expect(signed()).toBe(before);
  });

  it('refuses a wrong passphrase with exit code 8 and signs nothing', async () => {
    offline.write('wrong', 'a wrong passphrase\n', 0o600);
    const before = signed();
    await offline.refused(
      8,
      'KEY_DECRYPT_FAILED',
      ...['sign-intermediate', '--yes', '--passphrase-file', 'wrong', '--csr', csr()],
    );
    expect(signed()).toBe(before);
  });

  it('refuses a key it has signed before and names the serial', async () => {
    const file = csr({ cn: 'Reused' });
    const { serial } = await offline.must(...sign(file));
    expect(await offline.refused(3, 'CSR_KEY_IN_USE', ...sign(file))).toContain(serial);
    // The same key in another request, under another name.
    openssl(
      offline,
      ...['req', '-new', '-key', file.replace('.csr', '.key'), '-subj', '/CN=Other'],
      ...['-out', 'reused.csr'],
    );
    await offline.refused(3, 'CSR_KEY_IN_USE', ...sign('reused.csr'));
  });

  it("refuses the root's own key and the root's own name", async () => {
    openssl(
      offline,
      ...['req', '-new', '-key', 'root.key', '-passin', `pass:${passphrase}`, '-subj', '/CN=Self'],
      ...['-out', 'self.csr'],
    );
    await offline.refused(3, 'CSR_KEY_IN_USE', ...sign('self.csr'));
    await offline.refused(3, 'PROFILE_VIOLATION', ...sign(csr({ cn: 'Test Root' })));
  });

  it.each([
    ['says CA:FALSE', ['basicConstraints=critical,CA:FALSE']],
    ['wants a key usage without keyCertSign', ['keyUsage=critical,digitalSignature']],
    ['has a subjectAltName', ['subjectAltName=DNS:broker.example.com']],
  ])('refuses to make a CA of a CSR that %s', async (_what, extensions) => {
    const before = signed();
    await offline.refused(3, 'PROFILE_VIOLATION', ...sign(csr({ cn: 'Leaf', extensions })));
    expect(signed()).toBe(before);
  });

  it.each([
    ['RSA of 1024 bits', ['rsa:1024'], [], 'CSR_KEY_WEAK'],
    ['RSA of 2048 bits, too weak for an authority', ['rsa:2048'], [], 'CSR_KEY_WEAK'],
    [
      'a curve that is not allowed',
      ['ec', '-pkeyopt', 'ec_paramgen_curve:secp256k1'],
      [],
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
    [
      'SHA-1',
      ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ['-sha1'],
      'CSR_ALGORITHM_NOT_ALLOWED',
    ],
  ])('refuses %s', async (_what, algorithm, more, code) => {
    await offline.refused(6, code, ...sign(csr({ algorithm, more })));
  });

  it('refuses CSRs that are cut short, padded, altered, oversized or no CSRs at all, and stays as it was', async () => {
    openssl(offline, 'req', '-in', csr(), '-outform', 'DER', '-out', 'good.der');
    const good = readFileSync(offline.path('good.der'));
    const altered = Buffer.from(good);
    altered[good.length - 1]! ^= 1;
    const hostile: [string, Uint8Array, string][] = [
      ['cut short', good.subarray(0, -1), 'CSR_MALFORMED'],
      ['trailing byte', Buffer.concat([good, Buffer.from([0])]), 'CSR_MALFORMED'],
      ['altered signature', altered, 'CSR_SIGNATURE_INVALID'],
      ['empty', Buffer.alloc(0), 'CSR_MALFORMED'],
      ['nested without end', Buffer.from('30803080'.repeat(2000), 'hex'), 'CSR_MALFORMED'],
      ['a claim of 2 GiB', Buffer.from('30847fffffff3000', 'hex'), 'CSR_MALFORMED'],
      ['a certificate', Buffer.from(offline.read('root.crt')), 'CSR_MALFORMED'],
      ['20 KB', Buffer.alloc(20_000, 0x41), 'CSR_TOO_LARGE'],
      ['5 MB', Buffer.alloc(5_000_000, 0x41), 'REQUEST_TOO_LARGE'],
    ];
    const before = offline.read('root-state.json');
    for (const [what, bytes, code] of hostile) {
      offline.write('hostile', bytes);
      const ran = await offline.run(...sign('hostile'), '--json');
      expect({ what, code: ran.code, error: JSON.parse(ran.out).error.code }).toEqual({
        what,
        code: 6,
        error: code,
      });
    }
    expect(offline.read('root-state.json')).toBe(before);
  });

  it('refuses a CSR outside the folder, also through a link or a folder that is one', async () => {
    const file = csr();
    copyFileSync(offline.path(file), `${offline.outside}/outside.csr`);
    symlinkSync(`${offline.outside}/outside.csr`, offline.path('link.csr'));
    symlinkSync(offline.outside, offline.path('link-folder'));
    for (const name of [
      `${offline.outside}/outside.csr`,
      '../outside.csr',
      'link.csr',
      'link-folder/outside.csr',
    ]) {
      expect(await offline.refused(6, 'FILE_UNREADABLE', ...sign(name))).toContain(
        'not in the offline folder',
      );
    }
    await offline.refused(6, 'FILE_NOT_FOUND', ...sign('nowhere.csr'));
    await offline.refused(6, 'FILE_UNREADABLE', ...sign('issued'));
  });

  it('writes nothing outside the folder and overwrites nothing in it', async () => {
    const before = signed();
    await offline.refused(6, 'FILE_UNREADABLE', ...sign(csr(), '--out', '../escaped.crt'));
    await offline.refused(6, 'FILE_UNREADABLE', ...sign(csr(), '--out', 'link-folder/escaped.crt'));
    offline.write('there.crt', 'precious');
    symlinkSync(`${offline.outside}/through.crt`, offline.path('through.crt'));
    await offline.refused(6, 'FILE_EXISTS', ...sign(csr(), '--out', 'there.crt'));
    await offline.refused(6, 'FILE_EXISTS', ...sign(csr(), '--out', 'through.crt'));
    await offline.refused(6, 'FILE_EXISTS', ...sign(csr(), '--out', 'root.key'));
    expect(offline.read('there.crt')).toBe('precious');
    expect(existsSync(`${offline.outside}/escaped.crt`)).toBe(false);
    expect(existsSync(`${offline.outside}/through.crt`)).toBe(false);
    expect(signed()).toBe(before);
  });

  it('refuses a validity out of bounds, a strange path length, and a state or key file that was exchanged', async () => {
    await offline.refused(3, 'VALIDITY_NOT_ALLOWED', ...sign(csr(), '--validity', 'P31Y'));
    expect((await offline.run(...sign(csr(), '--path-len', '-1'))).code).toBe(2);
    const other = await openOfflineRoot();
    const before = offline.read('root.key');
    writeFileSync(offline.path('root.key'), other.read('root.key'));
    await offline.refused(3, 'PATH_INVALID', ...sign(csr()));
    writeFileSync(offline.path('root.key'), before);
    const state = offline.read('root-state.json');
    offline.write('root-state.json', state.slice(0, -20), 0o600);
    expect(await offline.refused(6, 'STORE_STALE', ...sign(csr()))).toContain('backup');
    offline.write('root-state.json', state, 0o600);
    other.remove();
  });

  it('writes every command down, refused ones too, with the files it read and made', async () => {
    const lines = offline
      .read('transcript.jsonl')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines[0]).toMatchObject({ command: 'init', result: 'done' });
    const done = lines.find((line) => line.options.out === 'a.crt');
    expect(done).toMatchObject({ command: 'sign-intermediate', result: 'done' });
    expect(done.inputs).toHaveLength(1);
    expect(done.outputs.map(({ file }: { file: string }) => file)).toContain('a.crt');
    expect(lines.some(({ result }) => result === 'CSR_KEY_IN_USE')).toBe(true);
    expect(offline.read('transcript.jsonl')).not.toContain(passphrase);
  });
});
