// An issuing CA for tests, made as an operator would make it, with a root from libs/pki in place of the offline one.
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { readFile } from 'node:fs/promises';
import { request as httpsRequest, type Agent } from 'node:https';
import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '@keyline/kernel';
import { createSigner, generateKey } from '@keyline/keys';
import { createIssuingCertificate, createRootCertificate, parseCsr } from '@keyline/pki';
import { createCsr, encodePem, type Signer } from '@keyline/x509';
import { pino } from 'pino';
import { runInit } from '../../src/commands/init.ts';
import { runInstall } from '../../src/commands/install.ts';
import { createService, type Service } from '../../src/wiring.ts';

export const config = resolve(import.meta.dirname, '../../../../ca-config');
const year = 365 * 24 * 3600 * 1000;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingMessage['headers'];
  readonly bytes: Buffer;
  readonly text: string;
  /** Parsed when it is JSON. */
  readonly body: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests take apart what they asked for
}

export interface Identity {
  readonly cert: string;
  readonly key: string;
}

export interface IssuingCa {
  readonly folder: string;
  readonly data: string;
  /** What the client side trusts, PEM. */
  trust: string;
  readonly admin: Identity;
  service: Service;
  /** Calls the API over TLS. */
  call(
    method: string,
    path: string,
    options?: {
      readonly body?: unknown;
      readonly as?: Identity | undefined;
      readonly headers?: Record<string, string>;
      /** Keeps connections; without it each call has its own. */
      readonly agent?: Agent;
    },
  ): Promise<Answer>;
  /** Calls the plain-HTTP listener. */
  plain(
    method: string,
    path: string,
    options?: { readonly body?: Uint8Array; readonly headers?: Record<string, string> },
  ): Promise<Answer>;
  readonly rootSigner: Signer;
  /** Closes the service and opens it again on the same data. */
  restart(otherConfig?: string): Promise<void>;
  /** Another service on the same data, where both share it; closing it leaves this one alone. */
  beside(otherConfig?: string): Promise<IssuingCa>;
  close(): Promise<void>;
}

/** Everything up to a service that listens on free ports. */
export async function buildIssuingCa({
  shared = false,
  clock,
}: { readonly shared?: boolean; readonly clock?: Clock } = {}): Promise<IssuingCa> {
  const folder = await mkdtemp(join(tmpdir(), 'keyline-ca-'));
  const data = join(folder, 'ca');
  const passphraseFile = join(folder, 'ca.pass');
  await writeFile(passphraseFile, 'a long enough passphrase\n', { mode: 0o600 });
  const { csr: csrFile } = await runInit({
    data,
    passphraseFile,
    httpUrl: 'http://127.0.0.1:8080',
    name: 'Test Issuing CA',
    algorithm: 'ec-p256',
  });
  const now = Date.now();
  const signer = createSigner(generateKey('ec-p256'));
  const rootDer = await createRootCertificate({
    signer,
    commonName: 'Test Root',
    now,
    validity: 10 * year,
  });
  const issuingDer = await createIssuingCertificate({
    root: { certificateDer: rootDer, signer },
    csr: parseCsr(await readFile(csrFile, 'utf8')),
    now,
    validity: 5 * year,
  });
  const trust = encodePem('CERTIFICATE', rootDer);
  await writeFile(join(folder, 'root.crt'), trust);
  await writeFile(join(folder, 'issuing.crt'), encodePem('CERTIFICATE', issuingDer));
  const adminFile = await runInstall({
    data,
    certificate: join(folder, 'issuing.crt'),
    root: join(folder, 'root.crt'),
    config,
    adminDir: join(folder, 'admin'),
  });
  const admin: Identity = {
    cert: await readFile(adminFile, 'utf8'),
    key: await readFile(join(folder, 'admin', 'admin.key'), 'utf8'),
  };
  const open = async (configFolder = config): Promise<Service> => {
    const service = await createService({
      data,
      config: configFolder,
      host: '127.0.0.1',
      tlsVersion: '1.2',
      brokerUrl: undefined,
      ...{ shared, clock },
      log: pino({ level: 'silent' }),
    });
    await service.api.listen({ host: '127.0.0.1', port: 0 });
    await service.http.listen({ host: '127.0.0.1', port: 0 });
    return service;
  };
  const around = (service: Service, removes: boolean): IssuingCa => {
    const issuingCa: IssuingCa = {
      folder,
      data,
      trust,
      admin,
      rootSigner: signer,
      service,
      call(method, path, { body, as, headers = {}, agent } = {}) {
        const isText = typeof body === 'string' || body instanceof Uint8Array;
        const payload = body === undefined ? undefined : isText ? body : JSON.stringify(body);
        return send(httpsRequest, payload, {
          host: '127.0.0.1',
          port: portOf(issuingCa.service.api.server.address()),
          method,
          path,
          headers: {
            ...(body === undefined || isText ? {} : { 'content-type': 'application/json' }),
            ...headers,
          },
          ca: issuingCa.trust,
          agent: agent ?? false,
          ...as,
        });
      },
      plain(method, path, { body, headers = {} } = {}) {
        return send(httpRequest, body, {
          host: '127.0.0.1',
          port: portOf(issuingCa.service.http.server.address()),
          method,
          path,
          headers,
          agent: false,
        });
      },
      async restart(otherConfig) {
        await issuingCa.service.close();
        issuingCa.service = await open(otherConfig);
      },
      beside: async (otherConfig) => around(await open(otherConfig), false),
      async close() {
        await issuingCa.service.close();
        if (removes) await rm(folder, { recursive: true, force: true });
      },
    };
    return issuingCa;
  };
  return around(await open(), true);
}

/** A copy of the shipped ca-config with changes to service.yaml, each of which must hit. @returns its folder */
export async function changedConfig(
  issuingCa: Pick<IssuingCa, 'folder'>,
  changes: readonly (readonly [from: string, to: string])[],
): Promise<string> {
  const folder = await mkdtemp(join(issuingCa.folder, 'config-'));
  await cp(config, folder, { recursive: true });
  const file = join(folder, 'service.yaml');
  let text = await readFile(file, 'utf8');
  for (const [from, to] of changes) {
    if (!text.includes(from)) throw new Error(`service.yaml has no "${from}"`);
    text = text.replace(from, to);
  }
  await writeFile(file, text);
  return folder;
}

function portOf(address: string | AddressInfo | null): number {
  return (address as AddressInfo).port;
}

function send(
  request: typeof httpsRequest | typeof httpRequest,
  payload: string | Uint8Array | undefined,
  options: RequestOptions & { ca?: string; cert?: string; key?: string },
): Promise<Answer> {
  return new Promise((done, fail) => {
    const sent = request(options, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', fail);
      response.on('end', () => {
        const bytes = Buffer.concat(parts);
        const text = bytes.toString('utf8');
        const isJson = response.headers['content-type']?.includes('json') === true;
        done({
          status: response.statusCode ?? 0,
          headers: response.headers,
          bytes,
          text,
          body:
            isJson && !response.headers['content-type']?.includes('ndjson')
              ? JSON.parse(text)
              : undefined,
        });
      });
    });
    sent.on('error', fail);
    sent.end(payload);
  });
}

export interface MadeCsr {
  readonly pem: string;
  readonly der: Uint8Array;
  readonly key: string;
}

/** A device's own key and its CSR. */
export async function makeCsr(
  commonName: string,
  algorithm: Parameters<typeof generateKey>[0] = 'ec-p256',
): Promise<MadeCsr> {
  const key = generateKey(algorithm);
  const der = await createCsr({ signer: createSigner(key), commonName });
  return {
    pem: encodePem('CERTIFICATE REQUEST', der),
    der,
    key: key.export({ type: 'pkcs8', format: 'pem' }),
  };
}
