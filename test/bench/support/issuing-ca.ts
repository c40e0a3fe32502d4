// The issuing CA as an operator runs it: made by its own commands, and served by a process of its own whose CPU is counted apart.
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { cpSync, createWriteStream, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { createSigner, generateKey } from '@keyline/keys';
import { createIssuingCertificate, createRootCertificate, parseCsr } from '@keyline/pki';
import { encodePem } from '@keyline/x509';
import { RestClient } from '../../support/rest-client.ts';
import type { LoadTarget } from './http-load.ts';
import { cpuSecondsOf } from './process-figures.ts';

const project = join(import.meta.dirname, '../../..');
const command = join(project, 'apps/ca/bin/keyline-ca');
const run = promisify(execFile);
const year = 365 * 24 * 3600 * 1000;

export interface IssuingCa {
  readonly folder: string;
  readonly database: string;
  readonly pid: number;
  /** Trust anchor, PEM. */
  readonly trust: string;
  readonly issuingDer: Buffer;
  readonly admin: RestClient;
  readonly api: LoadTarget;
  readonly http: LoadTarget;
  readonly adminProof: { readonly cert: string; readonly key: string };
  /** Seconds of CPU of the service process, all its threads. */
  cpuSeconds(): number;
  stop(): Promise<void>;
}

/** What enrolling, proving and counting need of it, however it was started. */
export type ServedCa = Pick<
  IssuingCa,
  'trust' | 'issuingDer' | 'admin' | 'api' | 'adminProof' | 'cpuSeconds'
>;

/** A folder with key, certificates, configuration, admin and an empty database; nothing runs yet. */
export async function createIssuingCa(folder: string): Promise<void> {
  const data = join(folder, 'ca');
  const passphraseFile = join(folder, 'ca.pass');
  writeFileSync(passphraseFile, 'a long enough passphrase\n', { mode: 0o600 });
  await run(command, [
    'init',
    ...['--data', data, '--passphrase-file', passphraseFile],
    ...['--http-url', 'http://127.0.0.1:8080'],
  ]);
  const now = Date.now();
  const signer = createSigner(generateKey('ec-p256'));
  const certificateDer = await createRootCertificate({
    signer,
    commonName: 'Bench Root',
    now,
    validity: 10 * year,
  });
  const csr = parseCsr(readFileSync(join(data, 'issuing.csr')));
  const issuingDer = await createIssuingCertificate({
    root: { certificateDer, signer },
    csr,
    now,
    validity: 5 * year,
  });
  writeFileSync(join(folder, 'root.crt'), encodePem('CERTIFICATE', certificateDer));
  writeFileSync(join(folder, 'issuing.crt'), encodePem('CERTIFICATE', issuingDer));
  writeFileSync(join(folder, 'issuing.der'), issuingDer);
  copyConfig(join(folder, 'config'));
  await run(command, [
    'install',
    ...['--data', data, '--config', join(folder, 'config')],
    ...['--certificate', join(folder, 'issuing.crt'), '--root', join(folder, 'root.crt')],
    ...['--admin-dir', join(folder, 'admin')],
  ]);
}

/** The project's own configuration; only its limits are out of the way: one client here stands for a fleet, a minute for months. */
export function copyConfig(folder: string): void {
  cpSync(join(project, 'ca-config'), folder, { recursive: true });
  const file = join(folder, 'service.yaml');
  const text = readFileSync(file, 'utf8');
  writeFileSync(
    file,
    text
      .replace(/requests: \d+/g, 'requests: 100000000')
      .replace('earlyWithSameKey: false', 'earlyWithSameKey: true')
      .replace(/perDay: \d+/, 'perDay: 100000'),
  );
}

export async function serveIssuingCa(
  folder: string,
  options: { readonly brokerUrl?: string; readonly timeout?: number } = {},
): Promise<IssuingCa> {
  const data = join(folder, 'ca');
  const [port, httpPort] = [await freePort(), await freePort()];
  const readyFile = join(folder, 'ready');
  const child = spawn(
    command,
    [
      'serve',
      ...['--data', data, '--config', join(folder, 'config')],
      ...['--port', String(port), '--http-port', String(httpPort), '--ready-file', readyFile],
      ...(options.brokerUrl === undefined ? [] : ['--broker-url', options.brokerUrl]),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'], env: serviceEnvironment() },
  );
  const log = join(folder, 'service.log');
  for (const stream of [child.stdout, child.stderr])
    stream.pipe(createWriteStream(log, { flags: 'a' }));
  const stop = stopper(child);
  await waitUntilReady(child, readyFile, options.timeout ?? 30_000, () =>
    readFileSync(log, 'utf8'),
  ).catch(async (error: unknown) => {
    await stop();
    throw error;
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('the service has no pid');
  const trust = readFileSync(join(folder, 'root.crt'), 'utf8');
  const adminProof = {
    cert: readFileSync(join(folder, 'admin', 'admin.crt'), 'utf8'),
    key: readFileSync(join(folder, 'admin', 'admin.key'), 'utf8'),
  };
  const admin = new RestClient(`https://localhost:${port}`, { ca: trust, ...adminProof });
  return {
    folder,
    database: join(data, 'keyline.db'),
    pid,
    trust,
    issuingDer: readFileSync(join(folder, 'issuing.der')),
    admin,
    api: { host: '127.0.0.1', port, tls: { ca: trust } },
    http: { host: '127.0.0.1', port: httpPort },
    adminProof,
    cpuSeconds: () => cpuSecondsOf(pid),
    stop: async () => {
      admin.close();
      await stop();
    },
  };
}

/** The usual case: made and served. */
export async function startIssuingCa(folder: string): Promise<IssuingCa> {
  await createIssuingCa(folder);
  return serveIssuingCa(folder);
}

/** PROFILE=folder leaves a CPU profile of the service there; PERF=1 lets Linux's perf name its functions. */
export function serviceEnvironment(): NodeJS.ProcessEnv {
  const { PROFILE: folder, PERF: perf } = process.env;
  const options = [
    ...(folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]),
    ...(perf === undefined ? [] : ['--perf-basic-prof', '--interpreted-frames-native-stack']),
  ];
  return options.length === 0 ? process.env : { ...process.env, NODE_OPTIONS: options.join(' ') };
}

async function waitUntilReady(
  child: ChildProcess,
  file: string,
  timeout: number,
  said: () => string,
): Promise<void> {
  const until = performance.now() + timeout;
  while (!existsSync(file)) {
    if (child.exitCode !== null) {
      throw new Error(`keyline-ca serve ended with ${child.exitCode}: ${said()}`);
    }
    if (performance.now() > until)
      throw new Error(`keyline-ca serve is not ready in ${timeout} ms`);
    await sleep(5);
  }
}

/** SIGTERM, and SIGKILL when that does not help. */
export function stopper(child: ChildProcess): () => Promise<void> {
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const onExit = (): void => void child.kill('SIGKILL');
  process.once('exit', onExit);
  return async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      const killer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await ended;
      clearTimeout(killer);
    }
    process.off('exit', onExit);
  };
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
