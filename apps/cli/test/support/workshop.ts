// A folder of its own with a small authority in it, and a command line whose output is kept.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createCsrPem } from '@keyline/client';
import { systemClock } from '@keyline/kernel';
import { generateKey } from '@keyline/keys';
import type { CliContext } from '../../src/context.ts';
import { runCli } from '../../src/program.ts';
import { createTestAuthority } from '../../../../libs/client/test/support/test-authority.ts';

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
  /** A CSR with this CN; its key is in made.key. */
  createCsr(commonName: string): Promise<string>;
  run(...args: string[]): Promise<Ran>;
  runWith(
    given: {
      stdin?: string;
      env?: Record<string, string>;
      canAsk?: boolean;
      onStopSignal?: CliContext['onStopSignal'];
    },
    ...args: string[]
  ): Promise<Ran>;
  remove(): void;
}

export function openWorkshop(): Workshop {
  const folder = mkdtempSync(join(tmpdir(), 'keyline-cli-'));
  const path = (...names: string[]): string => join(folder, ...names);
  const read = (...names: string[]): string => readFileSync(path(...names), 'utf8');
  const write = (name: string, text: string): string => {
    writeFileSync(path(name), text, { mode: 0o600 });
    return path(name);
  };
  const authority = createTestAuthority();
  write('test-ca.pem', authority.certificatePem);
  write('test-ca.key', authority.keyPem);
  const workshop: Workshop = {
    folder,
    path,
    read,
    write,
    caPem: authority.certificatePem,
    caKeyPem: authority.keyPem,
    sign: (csrPem) => authority.sign(csrPem),
    async createCsr(commonName) {
      const key = generateKey('ec-p256');
      write('made.key', key.export({ type: 'pkcs8', format: 'pem' }));
      return createCsrPem(key, commonName);
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
          draw: (text) => (err += text),
          interactive: false,
          canAsk: given.canAsk ?? false,
        },
        onStopSignal: given.onStopSignal ?? (() => () => undefined),
      });
      return { code, out, err };
    },
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return workshop;
}
