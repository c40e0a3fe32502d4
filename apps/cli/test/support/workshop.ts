// A folder of its own with a small authority in it (real openssl), and a command line whose output is kept.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@keyline/kernel';
import { runCli } from '../../src/program.ts';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Workshop {
  readonly folder: string;
  path(...names: string[]): string;
  read(...names: string[]): string;
  write(name: string, text: string): string;
  /** PEM of the authority, which is also the server's certificate. */
  readonly caPem: string;
  readonly caKeyPem: string;
  sign(csrPem: string): string;
  /** A key and CSR with this CN. */
  createCsr(commonName: string): string;
  run(...args: string[]): Promise<Ran>;
  runWith(given: { stdin?: string; env?: Record<string, string> }, ...args: string[]): Promise<Ran>;
  remove(): void;
}

export function openWorkshop(): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'keyline-cli-'));
  const path = (...names: string[]): string => join(folder, ...names);
  const read = (...names: string[]): string => readFileSync(path(...names), 'utf8');
  const write = (name: string, text: string): string => {
    writeFileSync(path(name), text);
    return path(name);
  };
  const openssl = (...args: string[]): string =>
    execFileSync('openssl', args, {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    });
  openssl(
    ...[
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:P-256',
      '-nodes',
      '-days',
      '2',
    ],
    ...['-subj', '/CN=Test Authority', '-addext', 'subjectAltName=IP:127.0.0.1'],
    ...['-keyout', 'test-ca.key', '-out', 'test-ca.pem'],
  );
  let counter = 0;
  const workshop: Workshop = {
    folder,
    path,
    read,
    write,
    caPem: read('test-ca.pem'),
    caKeyPem: read('test-ca.key'),
    sign(csrPem) {
      counter += 1;
      write(`signing-${String(counter)}.csr`, csrPem);
      return openssl(
        ...['x509', '-req', '-in', `signing-${String(counter)}.csr`, '-CA', 'test-ca.pem'],
        ...['-CAkey', 'test-ca.key', '-days', String(counter), '-set_serial', String(counter)],
      );
    },
    createCsr(commonName) {
      return openssl(
        ...['req', '-new', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
        ...['-subj', `/CN=${commonName}`, '-keyout', `made.key`],
      );
    },
    run: (...args) => workshop.runWith({}, ...args),
    async runWith(given, ...args) {
      let out = '';
      let err = '';
      const code = await runCli(args, {
        env: given.env ?? {},
        cwd: folder,
        stdin: (async function* () {
          yield given.stdin ?? '';
        })(),
        clock: systemClock,
        pid: process.pid,
        signalProcess: () => false,
        terminal: {
          out: (text) => (out += text),
          err: (text) => (err += text),
          interactive: false,
        },
        onStopSignal: () => () => undefined,
      });
      return { code, out, err };
    },
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return workshop;
}
