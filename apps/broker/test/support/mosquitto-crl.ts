// CRLs of a test CA, made by OpenSSL and served over plain HTTP as the issuing CA serves them.
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { TestCertificate, TestPki } from './test-pki.ts';

const run = promisify(execFile);

interface CrlChoices {
  readonly number: number;
  readonly revoked?: readonly TestCertificate[];
  /** Who signs; the test CA when absent. */
  readonly ca?: TestCertificate;
  /** `20990101000000Z`. */
  readonly nextUpdate?: string;
  readonly lastUpdate?: string;
}

export class CrlServer {
  readonly #pki: TestPki;
  readonly #server: Server;
  #body: Uint8Array = Buffer.alloc(0);
  #etag = '';
  #count = 0;

  private constructor(pki: TestPki) {
    this.#pki = pki;
    this.#server = createServer((request, response) => {
      if (this.#etag === '') {
        response.writeHead(404).end();
      } else if (request.headers['if-none-match'] === this.#etag) {
        response.writeHead(304, { etag: this.#etag }).end();
      } else {
        response
          .writeHead(200, { etag: this.#etag, 'content-type': 'application/pkix-crl' })
          .end(this.#body);
      }
    });
  }

  static async start(pki: TestPki): Promise<CrlServer> {
    const crls = new CrlServer(pki);
    await new Promise<void>((done) => crls.#server.listen(0, '127.0.0.1', done));
    return crls;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/crl/test.crl`;
  }

  async publish(choices: CrlChoices): Promise<void> {
    this.serve(await this.make(choices));
  }

  /** Any bytes. */
  serve(body: Uint8Array): void {
    this.#body = body;
    this.#etag = `"${this.#count++}"`;
  }

  /** Answers 404. */
  withdraw(): void {
    this.#etag = '';
  }

  /** DER. */
  async make(choices: CrlChoices): Promise<Uint8Array> {
    const { number, revoked = [], ca = this.#pki.ca } = choices;
    const { lastUpdate = '20250101000000Z', nextUpdate = '20990101000000Z' } = choices;
    const folder = await mkdtemp(join(this.#pki.folder, 'crl-'));
    const at = (name: string): string => join(folder, name);
    await writeFile(
      at('index'),
      revoked
        .map(
          ({ serialHex }) =>
            `R\t991231235959Z\t250101000000Z\t${serialHex.toUpperCase()}\tunknown\t/CN=x\n`,
        )
        .join(''),
    );
    const hex = number.toString(16);
    await writeFile(at('number'), `${hex.length % 2 === 0 ? hex : `0${hex}`}\n`);
    await writeFile(
      at('ca.cnf'),
      `[ca]
default_ca = it
[it]
database = ${at('index')}
crlnumber = ${at('number')}
default_md = sha256
crl_extensions = ext
[ext]
authorityKeyIdentifier = keyid
`,
    );
    await run('openssl', [
      ...['ca', '-gencrl', '-config', at('ca.cnf'), '-cert', ca.certFile, '-keyfile', ca.keyFile],
      ...['-crl_lastupdate', lastUpdate, '-crl_nextupdate', nextUpdate, '-out', at('crl.pem')],
    ]);
    await run('openssl', [
      ...['crl', '-in', at('crl.pem'), '-outform', 'DER', '-out', at('crl.der')],
    ]);
    return readFile(at('crl.der'));
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
}
