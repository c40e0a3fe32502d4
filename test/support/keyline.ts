// A running Keyline in a folder, as a person starts it: the `keyline up` command, found by its endpoints.json, stopped by its pid.
import { spawn, type ChildProcess } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Endpoints } from '@keyline/api';
import { RestClient } from './rest-client.ts';

export const projectFolder = join(import.meta.dirname, '..', '..');
export const keylineCommand = join(projectFolder, 'apps/cli/bin/keyline');

export interface StartOptions {
  /** Folder for all state; kept when Keyline stops. */
  readonly data: string;
  /** Profiles, roles and alert rules instead of the project's. */
  readonly config?: string | undefined;
  /** Chosen at the first start, and kept; Keyline's own when absent. */
  readonly broker?: 'mosquitto' | undefined;
  /** `name=value` for its broker. */
  readonly brokerOptions?: readonly string[];
  /** Instead of this process's own. */
  readonly env?: NodeJS.ProcessEnv | undefined;
}

const startTimeout = 100_000;
const stopTimeout = 20_000;

/** Answers when it was started, not when it serves: see `ready`. */
export function launchKeyline(options: StartOptions): RunningKeyline {
  const { data, config, broker, brokerOptions = [], env } = options;
  const args = [
    ...['up', '--data', data, '--json'],
    ...(config === undefined ? [] : ['--config', config]),
    ...(broker === undefined ? [] : ['--broker', broker]),
    ...brokerOptions.flatMap((option) => ['--broker-option', option]),
  ];
  return new RunningKeyline(data, args, env);
}

/** Answers when it serves. */
export async function startKeyline(options: StartOptions): Promise<RunningKeyline> {
  const keyline = launchKeyline(options);
  await keyline.ready;
  return keyline;
}

export class RunningKeyline {
  readonly data: string;
  /** Rejects with what was said when the start fails. */
  readonly ready: Promise<void>;
  readonly #process: ChildProcess;
  readonly #ended: Promise<string>;
  readonly #stopOnExit: () => void;
  #isEnded = false;
  #said = '';

  constructor(data: string, args: readonly string[], env?: NodeJS.ProcessEnv) {
    this.data = data;
    // A group of its own: Ctrl-C reaches the starter alone, which then decides.
    const child = spawn(keylineCommand, args, {
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: env ?? process.env,
    });
    this.#process = child;
    this.#stopOnExit = (): void => void child.kill('SIGTERM');
    process.once('exit', this.#stopOnExit);
    this.#ended = new Promise((resolve) => {
      const end = (how: string): void => {
        this.#isEnded = true;
        process.off('exit', this.#stopOnExit);
        resolve(how);
      };
      child.once('error', (error) => end(error.message));
      child.once('exit', (code, signal) => end(signal ?? `exit code ${code ?? '?'}`));
    });
    child.stderr.setEncoding('utf8').on('data', (part: string) => (this.#said += part));
    const served = new Promise<void>((resolve) => {
      let printed = '';
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        printed += part;
        // One line of JSON when it serves; a failed start prints a document of its own.
        if (printed.startsWith('{"') && printed.includes('\n')) resolve();
      });
    });
    this.ready = this.#waitFor(served);
    // Whoever stops it before it serves has no use for the reason.
    this.ready.catch(() => undefined);
  }

  async #waitFor(served: Promise<void>): Promise<void> {
    const timeout = new AbortController();
    const late = sleep(startTimeout, 'no answer for 100 s', { signal: timeout.signal });
    const how = await Promise.race([served, this.#ended, late]);
    timeout.abort();
    late.catch(() => undefined);
    if (how !== undefined) throw new Error(`keyline up did not start: ${how}\n${this.logs()}`);
  }

  /** As endpoints.json has it now: a service that was started again has another pid. */
  get endpoints(): Endpoints & { pids: NonNullable<Endpoints['pids']> } {
    const endpoints = JSON.parse(readFileSync(this.endpointsFile, 'utf8')) as Endpoints;
    if (endpoints.pids === undefined) throw new Error('endpoints.json names no processes');
    return { ...endpoints, pids: endpoints.pids };
  }

  get endpointsFile(): string {
    return join(this.data, 'endpoints.json');
  }

  /** Trust anchor, PEM. */
  get caPem(): string {
    return readFileSync(this.endpoints.ca, 'utf8');
  }

  /** The API as the first admin calls it. */
  asAdmin(): RestClient {
    const { api, admin } = this.endpoints;
    return new RestClient(api, {
      ca: this.caPem,
      cert: readFileSync(admin.certificate, 'utf8'),
      key: readFileSync(admin.key, 'utf8'),
    });
  }

  /** The API as somebody with this certificate calls it, or with none. */
  as(identity: { readonly certificate: string; readonly key: string } | 'anyone'): RestClient {
    const proof = identity === 'anyone' ? {} : { cert: identity.certificate, key: identity.key };
    return new RestClient(this.endpoints.api, { ca: this.caPem, ...proof });
  }

  /** What `keyline up` said, and the end of each service's log. */
  logs(): string {
    const folder = join(this.data, 'logs');
    let names: string[] = [];
    try {
      names = readdirSync(folder);
    } catch {
      // It ended before it made the folder; what it said is all there is.
    }
    const tails = names.map((name) => `--- ${name}\n${tailOf(join(folder, name))}`);
    return [`--- keyline up\n${this.#said.trimEnd()}`, ...tails].join('\n');
  }

  /** SIGKILL to `keyline up` alone: its services are left behind. */
  async kill(): Promise<void> {
    this.#process.kill('SIGKILL');
    await this.#ended;
  }

  /** As when its terminal is closed: nobody reads what it says, and SIGHUP. Answers with how it ended. */
  async hangUp(): Promise<string> {
    this.#process.stdout?.destroy();
    this.#process.stderr?.destroy();
    this.#process.kill('SIGHUP');
    return this.#ended;
  }

  /** SIGTERM, and SIGKILL when that does not help. Answers when it is gone. */
  async stop(): Promise<void> {
    if (this.#isEnded) return;
    this.#process.kill('SIGTERM');
    const killer = setTimeout(() => this.#process.kill('SIGKILL'), stopTimeout);
    await this.#ended;
    clearTimeout(killer);
  }
}

const tailLines = 30;

function tailOf(file: string): string {
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-tailLines).join('\n');
}
