// keyline-root cross-sign, by its launcher.
import { mkdirSync, rmdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { has } from '../../../test/support/needs.ts';
import {
  certtool,
  makeCsr,
  openOfflineRoot,
  openssl,
  withPass,
  type OfflineRoot,
} from './support/offline-root.ts';

describe.skipIf(!has('openssl'))('keyline-root cross-sign', () => {
  let older: OfflineRoot;
  let newer: OfflineRoot;
  const cross = (...more: string[]): string[] => ['cross-sign', ...withPass, ...more];
  const signed = (): number => newer.readJson('root-state.json').intermediates.length;

  beforeAll(async () => {
    older = await openOfflineRoot('--common-name', 'Older Root');
    newer = await openOfflineRoot('--common-name', 'Newer Root', '--algorithm', 'ec-p384');
    makeCsr(older, 'issuing');
    await older.must(
      ...['sign-intermediate', ...withPass, '--csr', 'issuing.csr', '--out', 'issuing.crt'],
    );
    newer.write('older.crt', older.read('root.crt'));
    newer.write('issuing.crt', older.read('issuing.crt'));
    older.write('newer.crt', newer.read('root.crt'));
  });
  afterAll(() => {
    older.remove();
    newer.remove();
  });

  it('leads those who trust the new root to what the old one signed, and the other way', async () => {
    const made = await newer.must(
      ...cross('--certificate', 'older.crt', '--out', 'old-by-new.crt'),
    );
    expect(made).toMatchObject({ certificate: 'old-by-new.crt', commonName: 'Older Root' });
    const path = ['-untrusted', 'old-by-new.crt', 'issuing.crt'];
    expect(openssl(newer, 'verify', '-x509_strict', '-CAfile', 'root.crt', ...path)).toContain(
      'OK',
    );
    expect(() => openssl(newer, 'verify', '-CAfile', 'root.crt', 'issuing.crt')).toThrow();
    if (has('certtool')) {
      newer.write(
        'chain.pem',
        ['issuing.crt', 'old-by-new.crt', 'root.crt'].map((name) => newer.read(name)).join(''),
      );
      certtool(newer, '--verify', '--load-ca-certificate', 'root.crt', '--infile', 'chain.pem');
    }
    await older.must(...cross('--certificate', 'newer.crt', '--out', 'new-by-old.crt'));
    expect(
      openssl(older, 'verify', '-x509_strict', '-CAfile', 'root.crt', 'new-by-old.crt'),
    ).toContain('OK');
  });

  it('says where OCSP answers about it are, and the root signs them with its CRL (RFC 5280 §4.2.2.1)', async () => {
    await newer.must(
      ...cross('--certificate', 'older.crt', '--out', 'served.crt', '--yes'),
      ...['--crl-url', 'http://pki.example.com/crl/root.crl'],
      ...['--issuer-url', 'http://pki.example.com/aia/root.cer'],
      ...['--ocsp-url', 'http://pki.example.com/ocsp'],
    );
    const text = openssl(newer, 'x509', '-in', 'served.crt', '-noout', '-text');
    expect(text).toContain('OCSP - URI:http://pki.example.com/ocsp');
    await newer.must('crl', ...withPass);
    const answers = newer.read('root.crl.ocsp').split('-----BEGIN OCSP RESPONSE-----').slice(1);
    // OpenSSL fails on one that is about another certificate.
    const say = (): string => {
      try {
        return openssl(
          newer,
          ...['ocsp', '-issuer', 'root.crt', '-cert', 'served.crt', '-CAfile', 'root.crt'],
          ...['-respin', 'answer.der', '-no_nonce'],
        );
      } catch {
        return '';
      }
    };
    const said = answers.map((pem) => {
      newer.write('answer.der', Buffer.from(pem.replace(/-----END[^]*/, ''), 'base64'));
      return say();
    });
    expect(said.join('')).toContain('served.crt: good');
  });

  it('is taken back by revoking it: the CRL stops the path', async () => {
    const { serial } = await newer.must(
      ...cross('--certificate', 'older.crt', '--out', 'again.crt', '--validity', 'P30D'),
    );
    await newer.must('revoke', '--serial', serial, '--yes', '--reason', 'cACompromise');
    await newer.must('crl', ...withPass);
    const check = ['verify', '-crl_check', '-CAfile', 'root.crt', '-CRLfile', 'root.crl'];
    expect(() => openssl(newer, ...check, 'again.crt')).toThrow(/certificate revoked/);
    expect(openssl(newer, ...check, 'old-by-new.crt')).toContain('OK');
  });

  it("refuses what is not another root's self-signed certificate", async () => {
    const before = signed();
    openssl(
      newer,
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-subj', '/CN=Leaf', '-addext', 'basicConstraints=critical,CA:FALSE'],
      ...['-keyout', 'leaf.key', '-out', 'leaf.crt'],
    );
    for (const file of ['issuing.crt', 'leaf.crt', 'root.crt']) {
      await newer.refused(3, 'PATH_INVALID', ...cross('--certificate', file));
    }
    await newer.refused(6, 'DER_MALFORMED', ...cross('--certificate', 'leaf.key'));
    await newer.refused(6, 'FILE_UNREADABLE', ...cross('--certificate', older.path('root.crt')));
    await newer.refused(
      6,
      'FILE_EXISTS',
      ...cross('--certificate', 'older.crt', '--out', 'leaf.crt'),
    );
    await newer.refused(2, 'USAGE', 'cross-sign', '--certificate', 'older.crt');
    expect(signed()).toBe(before);
  });

  it('delivers what an interrupted run had signed', async () => {
    const before = signed();
    mkdirSync(newer.path('.late.crt.tmp'));
    const request = cross('--certificate', 'older.crt', '--out', 'late.crt');
    await newer.refused(6, 'FILE_UNREADABLE', ...request);
    rmdirSync(newer.path('.late.crt.tmp'));
    const { serial } = await newer.must(...request);
    expect(signed()).toBe(before + 1);
    expect(await newer.must('inspect', 'late.crt')).toMatchObject({
      serial,
      signedByThisRoot: true,
    });
  });
});
