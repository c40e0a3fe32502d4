// keyline-root revoke and crl, by the launcher.
import { readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  certtool,
  makeCsr,
  openOfflineRoot,
  openssl,
  withPass,
  type OfflineRoot,
} from './support/offline-root.ts';

describe.skipIf(!has('openssl'))('keyline-root revoke and crl', () => {
  let offline: OfflineRoot;
  let serial: string;
  beforeEach(async () => {
    offline = await openOfflineRoot();
    makeCsr(offline, 'issuing');
    const made = await offline.must(
      ...['sign-intermediate', ...withPass, '--csr', 'issuing.csr', '--out', 'issuing.crt'],
    );
    serial = made.serial;
  });
  afterEach(() => offline.remove());

  it('signs an empty CRL that OpenSSL verifies, with the scope and number RFC 5280 wants (§5.2.3, §5.2.5)', async () => {
    const made = await offline.must('crl', ...withPass, '--validity', 'P180D');
    expect(made).toMatchObject({ number: 1, crl: 'root.crl', crlDer: 'root.crl.der', revoked: [] });
    expect(crlText('root.crl')).toMatch(/CRL Number: \s+1\n/);
    expect(crlText('root.crl')).toMatch(
      /Issuing Distribution Point: critical\s+Only CA Certificates/,
    );
    expect(crlText('root.crl')).toContain('No Revoked Certificates');
    openssl(offline, 'crl', '-in', 'root.crl', '-outform', 'DER', '-out', 'converted.der');
    expect(readFileSync(offline.path('root.crl.der'))).toEqual(
      readFileSync(offline.path('converted.der')),
    );
    const life = Date.parse(made.nextUpdate) - Date.parse(made.thisUpdate);
    expect(life).toBe(180 * 86_400_000);
  });

  it('leaves the critical distribution point out where it is told to, for software that loads no CRL with it (§5.2.5)', async () => {
    await offline.must('revoke', '--certificate', 'issuing.crt', '--yes');
    const made = await offline.must('crl', ...withPass, '--no-distribution-point');
    expect(made).toMatchObject({ number: 1, revoked: [{ serial }] });
    expect(crlText('root.crl')).not.toContain('Issuing Distribution Point');
    expect(crlText('root.crl')).not.toContain('critical');
    expect(() => verifyWithCrl()).toThrow(/certificate revoked/);
    expect(await offline.must('inspect', 'root.crl')).toMatchObject({ scope: 'all' });
  });

  it('revokes by serial or by certificate; the next CRL makes OpenSSL refuse the authority', async () => {
    await offline.must('crl', ...withPass);
    expect(verifyWithCrl()).toContain('OK');
    const revoked = await offline.must(
      'revoke',
      '--certificate',
      'issuing.crt',
      '--yes',
      '--reason',
      'cACompromise',
    );
    expect(revoked).toMatchObject({ serial, reason: 'cACompromise' });
    const made = await offline.must('crl', ...withPass);
    expect(made).toMatchObject({ number: 2, revoked: [{ serial, reason: 'cACompromise' }] });
    expect(() => verifyWithCrl()).toThrow(/certificate revoked/);
    expect(crlText('root.crl')).toMatch(/CRL Reason Code: \s+CA Compromise/);

    makeCsr(offline, 'second');
    const second = await offline.must('sign-intermediate', ...withPass, '--csr', 'second.csr');
    const asOpenSslPrints = second.serial.toUpperCase().match(/../g).join(':');
    await offline.must('revoke', '--serial', `0x00:${asOpenSslPrints}`, '--yes');
    const { revoked: both } = await offline.must('crl', ...withPass);
    expect(both.map((entry: { serial: string }) => entry.serial)).toEqual([serial, second.serial]);
    // "unspecified" is not written (§5.3.1).
    expect(crlText('root.crl').match(/CRL Reason Code/g)).toHaveLength(1);
  });

  it('signs OCSP answers of the same time that OpenSSL verifies with the root alone, good and then revoked (RFC 6960 §4.2.2.2)', async () => {
    const ask = (): string => {
      const [, sha1 = ''] = offline.read('root.crl.ocsp').split('-----BEGIN OCSP RESPONSE-----');
      const base64 = sha1.replace(/-----END[^]*/, '');
      offline.write('answer.der', Buffer.from(base64, 'base64'));
      return openssl(
        offline,
        ...['ocsp', '-issuer', 'root.crt', '-cert', 'issuing.crt', '-CAfile', 'root.crt'],
        ...['-respin', 'answer.der', '-no_nonce'],
      );
    };
    const made = await offline.must('crl', ...withPass);
    expect(made).toMatchObject({ ocsp: 'root.crl.ocsp' });
    expect(ask()).toMatch(/issuing.crt: good/);
    await offline.must(
      ...['revoke', '--certificate', 'issuing.crt', '--yes', '--reason', 'cACompromise'],
    );
    await offline.must('crl', ...withPass, '--out', 'second.crl');
    expect(offline.read('second.crl.ocsp')).toBe(offline.read('root.crl.ocsp'));
    expect(ask()).toMatch(/issuing.crt: revoked[^]*cACompromise/);
    // Nothing is overwritten that a person named.
    await offline.refused(6, 'FILE_EXISTS', 'crl', ...withPass, '--out', 'second.crl');
  });

  it.skipIf(!has('certtool'))('signs a CRL that GnuTLS verifies', async () => {
    await offline.must('revoke', '--certificate', 'issuing.crt', '--yes');
    await offline.must('crl', ...withPass);
    const said = certtool(
      offline,
      '--verify-crl',
      '--load-ca-certificate',
      'root.crt',
      '--infile',
      'root.crl',
    );
    expect(said).toMatch(/Verification output: Verified/);
  });

  it('refuses to revoke twice and changes nothing', async () => {
    await offline.must('revoke', '--serial', serial, '--yes', '--reason', 'superseded');
    const before = offline.read('root-state.json');
    expect(
      await offline.refused(
        3,
        'CERTIFICATE_ALREADY_REVOKED',
        'revoke',
        '--serial',
        serial,
        '--yes',
      ),
    ).toContain('superseded');
    expect(offline.read('root-state.json')).toBe(before);
  });

  it('refuses to revoke what it has not signed, what is not named, and for no reason it knows', async () => {
    await offline.refused(4, 'CERTIFICATE_NOT_FOUND', 'revoke', '--serial', 'abcd', '--yes');
    await offline.refused(
      4,
      'CERTIFICATE_NOT_FOUND',
      'revoke',
      '--certificate',
      'root.crt',
      '--yes',
    );
    await offline.refused(2, 'USAGE', 'revoke', '--yes');
    await offline.refused(
      2,
      'USAGE',
      'revoke',
      '--serial',
      serial,
      '--certificate',
      'root.crt',
      '--yes',
    );
    await offline.refused(2, 'USAGE', 'revoke', '--serial', 'not hex', '--yes');
    await offline.refused(2, 'USAGE', 'revoke', '--serial', serial);
    await offline.refused(6, 'DER_MALFORMED', 'revoke', '--certificate', 'issuing.csr', '--yes');
    for (const reason of ['certificateHold', 'removeFromCRL', 'boredom']) {
      expect((await offline.run('revoke', '--serial', serial, '--reason', reason)).code).toBe(2);
    }
    expect(offline.readJson('root-state.json').intermediates[0].revoked).toBeUndefined();
  });

  it('writes a CRL also where it is asked to, and overwrites nothing there', async () => {
    expect(await offline.must('crl', ...withPass, '--out', 'june.crl')).toMatchObject({
      crl: 'june.crl',
      crlDer: 'june.crl.der',
      number: 1,
    });
    expect(offline.read('june.crl')).toBe(offline.read('root.crl'));
    await offline.refused(6, 'FILE_EXISTS', 'crl', ...withPass, '--out', 'june.crl');
    expect(await offline.must('crl', ...withPass)).toMatchObject({ number: 2 });
  });

  it('refuses a wrong passphrase and a validity out of bounds without using up a number', async () => {
    offline.write('wrong', 'a wrong passphrase\n', 0o600);
    await offline.refused(8, 'KEY_DECRYPT_FAILED', 'crl', '--passphrase-file', 'wrong', '--yes');
    await offline.refused(3, 'VALIDITY_NOT_ALLOWED', 'crl', ...withPass, '--validity', 'PT1M');
    expect(await offline.must('crl', ...withPass)).toMatchObject({ number: 1 });
  });

  /** Verified against the root on the way: OpenSSL says "verify OK" on stderr and ends with 1 where it does not. */
  function crlText(file: string): string {
    return openssl(
      offline,
      ...['crl', '-in', file, '-CAfile', 'root.crt', '-verify', '-noout', '-text'],
    );
  }

  function verifyWithCrl(): string {
    return openssl(
      offline,
      ...[
        'verify',
        '-x509_strict',
        '-crl_check_all',
        '-CAfile',
        'root.crt',
        '-CRLfile',
        'root.crl',
      ],
      'issuing.crt',
    );
  }
});
