// Files that the programs which people use have to read: OpenSSL, GnuTLS, NSS (Firefox) and Java.
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isKeylineError, Secret } from '@keyline/kernel';
import { decodePem, encodePem, type KeyAlgorithm } from '@keyline/x509';
import { has } from '../../../test/support/needs.ts';
import { runProgram } from '../../../test/support/openssl.ts';
import { encodePkcs12, generateKey, type Pkcs12Form } from '../src/index.ts';

const password = 'import me: 7$"+';
const forms: readonly Pkcs12Form[] = ['modern', 'compatible'];
let folder: string;
let authority: Uint8Array;
const leaves = new Map<KeyAlgorithm, { key: KeyObject; certificate: Uint8Array }>();

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'keyline-p12-'));
  const ca = await selfSigned('ec-p256', 'Issuing CA');
  authority = ca.certificate;
  for (const algorithm of ['ec-p256', 'rsa-2048', 'ed25519'] as const) {
    leaves.set(algorithm, await selfSigned(algorithm, 'alice@operator'));
  }
});
afterAll(() => rm(folder, { recursive: true }));

async function selfSigned(
  algorithm: KeyAlgorithm,
  name: string,
): Promise<{ key: KeyObject; certificate: Uint8Array }> {
  const key = generateKey(algorithm);
  const file = join(folder, 'self.key');
  await writeFile(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const { out } = await runProgram('openssl', [
    ...['req', '-x509', '-new', '-key', file, '-subj', `/CN=${name}`, '-days', '9'],
  ]);
  return { key, certificate: decodePem(out, 'CERTIFICATE') };
}

async function write(form: Pkcs12Form, algorithm: KeyAlgorithm = 'ec-p256'): Promise<string> {
  const leaf = leaves.get(algorithm);
  if (leaf === undefined) throw new Error('no such leaf');
  const file = join(folder, `${form}-${algorithm}.p12`);
  const content = { ...leaf, chain: [authority], name: 'alice@operator' };
  await writeFile(file, encodePkcs12(content, { password: new Secret(password), form }));
  return file;
}

describe.skipIf(!has('openssl', 'certtool', 'keytool', 'pk12util', 'certutil'))(
  'a PKCS#12 file (RFC 7292)',
  () => {
    it.each(
      forms.flatMap((form) =>
        [...(['ec-p256', 'rsa-2048', 'ed25519'] as const)].map(
          (algorithm) => [form, algorithm] as const,
        ),
      ),
    )(
      'in the %s form with a key of %s is read by OpenSSL: the key, its certificate and the chain',
      async (form, algorithm) => {
        const file = await write(form, algorithm);
        const { code, out, err } = await runProgram('openssl', [
          ...['pkcs12', '-in', file, '-nodes', '-passin', `pass:${password}`],
        ]);
        expect(err).toBe('');
        expect(code).toBe(0);
        const leaf = leaves.get(algorithm);
        const certificates = out.match(
          /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g,
        );
        expect(
          certificates?.map((pem) => encodePem('CERTIFICATE', decodePem(pem, 'CERTIFICATE'))),
        ).toEqual([
          encodePem('CERTIFICATE', leaf?.certificate ?? authority),
          encodePem('CERTIFICATE', authority),
        ]);
        const key =
          /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/.exec(out)?.[0] ?? '';
        expect(createPrivateKey(key).equals(leaf?.key ?? createPrivateKey(key))).toBe(true);
        expect(new X509Certificate(certificates?.[0] ?? '').subject).toBe('CN=alice@operator');
      },
    );

    it.each(forms)('in the %s form is opened by no other password', async (form) => {
      const file = await write(form);
      const { code } = await runProgram('openssl', [
        ...['pkcs12', '-in', file, '-nodes', '-passin', 'pass:import me'],
      ]);
      expect(code).not.toBe(0);
    });

    it.each(forms)('in the %s form is read by GnuTLS', async (form) => {
      const file = await write(form);
      const { out, err } = await runProgram('certtool', [
        ...['--p12-info', '--inder', '--infile', file, '--password', password],
      ]);
      // It ends with 0 also where it reads nothing.
      expect(err.replaceAll(/^(?:MAC info|\s).*$/gm, '').trim()).not.toMatch(/error/i);
      expect(out.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
      expect(out).toMatch(/BEGIN (?:ENCRYPTED |UNENCRYPTED |)PRIVATE KEY|PKCS #8|Private key/i);
    });

    it.each(forms)('in the %s form is imported by NSS, as Firefox does', async (form) => {
      const file = await write(form);
      const store = await mkdtemp(join(folder, 'nss-'));
      const database = `sql:${store}`;
      await runProgram('certutil', ['-N', '-d', database, '--empty-password']);
      const imported = await runProgram('pk12util', [
        ...['-i', file, '-d', database, '-W', password, '-K', ''],
      ]);
      expect(imported.out + imported.err).toMatch(/PKCS12 IMPORT SUCCESSFUL/);
      const { out } = await runProgram('certutil', ['-K', '-d', database]);
      expect(out).toContain('alice@operator');
    });

    it.each(forms)('in the %s form is a key store of Java, with the chain', async (form) => {
      const file = await write(form);
      const { code, out } = await runProgram('keytool', [
        ...['-J-Xshare:auto', '-list', '-v', '-keystore', file, '-storepass', password],
      ]);
      expect(code).toBe(0);
      expect(out).toMatch(/alice@operator/);
      expect(out).toMatch(/PrivateKeyEntry/);
    });
  },
);

it.each(['', 'ä', 'a\nb', 'x'.repeat(257)])(
  'takes no password like %j, which Java could not give',
  (bad) => {
    const leaf = leaves.get('ec-p256');
    if (leaf === undefined) throw new Error('no such leaf');
    try {
      encodePkcs12({ ...leaf, chain: [], name: 'x' }, { password: new Secret(bad) });
      expect.fail('it was taken');
    } catch (error) {
      expect(isKeylineError(error) && error.code).toBe('USAGE');
    }
  },
);
