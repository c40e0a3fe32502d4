// Certificates for tests, made by OpenSSL in a folder of their own: any subject, any dates, any purpose, any CA.
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface TestCertificate {
  readonly certFile: string;
  readonly keyFile: string;
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Lower-case hex. */
  readonly serialHex: string;
}

export interface IssueOptions {
  /** OpenSSL's `-subj`; `/CN=<name>` when absent. */
  readonly subject?: string;
  readonly ca?: TestCertificate;
  /** Of the extended key usage; `none`: there is no such extension. */
  readonly usage?: 'clientAuth' | 'serverAuth' | 'none';
  /** Its basicConstraints say CA:TRUE. */
  readonly isCa?: boolean;
  /** Decimal or 0x…, negative too: what OpenSSL's `-set_serial` takes. */
  readonly serial?: string;
  /** `20200101000000Z`. */
  readonly from?: string;
  readonly until?: string;
}

export class TestPki {
  readonly folder: string;
  readonly ca: TestCertificate;
  #count = 0;

  private constructor(folder: string, ca: TestCertificate) {
    this.folder = folder;
    this.ca = ca;
  }

  static async create(): Promise<TestPki> {
    const folder = await mkdtemp(join(tmpdir(), 'keyline-broker-'));
    return new TestPki(folder, await createCa(folder, 'ca', 'Test Issuing CA'));
  }

  /** A CA nobody here trusts. */
  createOtherCa(name = 'Some Other CA'): Promise<TestCertificate> {
    return createCa(this.folder, `ca-${String(this.#count++)}`, name);
  }

  /** A CA below the root `ca`, as there may be others of beside ours. */
  async createSubordinate(cn: string, ca: TestCertificate = this.ca): Promise<TestCertificate> {
    return this.issue(cn, { ca, isCa: true, usage: 'none' });
  }

  async issue(name: string, options: IssueOptions = {}): Promise<TestCertificate> {
    const { subject = `/CN=${name}`, ca = this.ca, usage = 'clientAuth' } = options;
    const { from = '20250101000000Z', until = '20991231235959Z', isCa = false, serial } = options;
    const place = join(this.folder, String(this.#count++));
    await mkdir(place);
    const at = (file: string): string => join(place, file);
    await writeFile(at('index'), '');
    await writeFile(
      at('ca.cnf'),
      `[ca]
default_ca = it
[it]
database = ${at('index')}
new_certs_dir = ${place}
rand_serial = yes
default_md = sha256
policy = any
x509_extensions = leaf
copy_extensions = none
unique_subject = no
email_in_dn = no
[any]
commonName = optional
organizationName = optional
[leaf]
basicConstraints = critical, CA:${isCa ? 'TRUE' : 'FALSE'}
keyUsage = critical, digitalSignature${isCa ? ', keyCertSign' : ''}
${usage === 'none' ? '' : `extendedKeyUsage = ${usage}`}
subjectAltName = IP:127.0.0.1, DNS:localhost
`,
    );
    await run('openssl', [
      ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
      ...['-keyout', at('key.pem'), '-out', at('csr.pem'), '-subj', subject],
    ]);
    if (serial !== undefined) {
      await run('openssl', [
        ...['x509', '-req', '-in', at('csr.pem'), '-out', at('cert.pem'), '-days', '365'],
        ...['-CA', ca.certFile, '-CAkey', ca.keyFile, '-set_serial', serial],
        ...['-extfile', at('ca.cnf'), '-extensions', 'leaf'],
      ]);
      return readCertificate(at('cert.pem'), at('key.pem'));
    }
    await run('openssl', [
      ...['ca', '-batch', '-notext', '-preserveDN', '-config', at('ca.cnf')],
      ...['-cert', ca.certFile, '-keyfile', ca.keyFile, '-in', at('csr.pem')],
      ...['-out', at('cert.pem'), '-startdate', from, '-enddate', until],
    ]);
    return readCertificate(at('cert.pem'), at('key.pem'));
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function createCa(folder: string, name: string, cn: string): Promise<TestCertificate> {
  const certFile = join(folder, `${name}.pem`);
  const keyFile = join(folder, `${name}.key`);
  await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-keyout', keyFile, '-out', certFile, '-subj', `/CN=${cn}`, '-days', '3650'],
    ...['-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
  ]);
  return readCertificate(certFile, keyFile);
}

async function readCertificate(certFile: string, keyFile: string): Promise<TestCertificate> {
  const [cert, key, { stdout }] = await Promise.all([
    readFile(certFile),
    readFile(keyFile),
    run('openssl', ['x509', '-in', certFile, '-noout', '-serial']),
  ]);
  return { certFile, keyFile, cert, key, serialHex: stdout.trim().slice(7).toLowerCase() };
}
