// The brokers that are measured, each a process of its own with the same certificates and the same rights: Keyline's embedded one as
// its command serves it, Debian's Mosquitto, and a node:tls server that does nothing else.
import { fork, spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPlugin } from '../../support/mosquitto-plugin.ts';
import { findCommand } from '../../support/needs.ts';
import { freePort, stopper } from '../support/issuing-ca.ts';
import { cpuSecondsOf } from '../support/process-figures.ts';
import { adminName, type FleetFiles } from './fleet-certificates.ts';

export type BrokerKind = 'embedded' | 'mosquitto' | 'bare';

export interface BrokerUnderTest {
  readonly kind: BrokerKind;
  readonly port: number;
  readonly pid: number;
  /** All its threads. */
  cpuSeconds(): number;
  residentKib(): number;
  stop(): Promise<void>;
}

interface StartOptions {
  /** Temporary. */
  readonly folder: string;
  readonly fleet: FleetFiles;
  /** dynamic-security.json to begin with; the same for each. Absent: empty. */
  readonly state?: string;
  /** More of the embedded broker's command line. */
  readonly options?: readonly string[];
}

const project = join(import.meta.dirname, '../../..');
const patience = 60_000;
/** Above what the benches have under way: Mosquitto 2.0.11 forgets to go on with a queue once its window was full. */
const maxInflight = 200;
/** One descriptor for each connection, and some to live. */
const spareFiles = 500;

export async function startBroker(
  kind: BrokerKind,
  options: StartOptions,
): Promise<BrokerUnderTest> {
  const folder = join(options.folder, kind);
  mkdirSync(folder, { recursive: true });
  const port = await freePort();
  const child = launchers[kind]({ ...options, folder, port });
  const log = join(folder, 'log');
  for (const stream of [child.stdout, child.stderr]) {
    stream?.pipe(createWriteStream(log, { flags: 'a' }));
  }
  const stop = stopper(child);
  const until = performance.now() + patience;
  while (!(await isListening(port))) {
    if (child.exitCode !== null || performance.now() > until) {
      await stop();
      throw new Error(`the ${kind} broker does not serve: ${readFileSync(log, 'utf8')}`);
    }
    await sleep(10);
  }
  const { pid } = child;
  if (pid === undefined) throw new Error(`the ${kind} broker has no pid`);
  return {
    kind,
    port,
    pid,
    cpuSeconds: () => cpuSecondsOf(pid),
    residentKib: () => residentKibOf(pid),
    stop,
  };
}

/** @throws {Error} that says what to do when this process and its children may not open so many files */
export function assertOpenFiles(connections: number): void {
  const line = /^Max open files +(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'utf8'));
  const limit = Number(line?.[1] === 'unlimited' ? Infinity : line?.[1]);
  if (limit >= connections + spareFiles) return;
  throw new Error(
    `${connections} connections need ${connections + spareFiles} open files, and only ${limit} are allowed: run "ulimit -n ${connections + spareFiles}" first, or with QUICK=1.`,
  );
}

interface Launch extends StartOptions {
  readonly port: number;
}

const launchers: Record<BrokerKind, (launch: Launch) => ChildProcess> = {
  embedded: ({ folder, fleet, port, state, options = [] }) => {
    mkdirSync(join(folder, 'dynsec'), { mode: 0o700 });
    if (state !== undefined) writeFileSync(join(folder, 'dynsec/dynamic-security.json'), state);
    return spawn(
      join(project, 'apps/broker/bin/keyline-broker'),
      [
        'serve',
        ...['--data', folder, '--port', String(port)],
        ...['--cert', fleet.cert, '--key', fleet.key, '--ca', fleet.ca, '--admin', adminName],
        ...['--max-inflight-messages', String(maxInflight), ...options],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'], env: profiled() },
    );
  },
  mosquitto: ({ folder, fleet, port, state }) => {
    const stateFile = join(folder, 'dynamic-security.json');
    if (state !== undefined) writeFileSync(stateFile, state);
    const configuration = [
      'per_listener_settings false',
      ...(process.getuid?.() === 0 ? ['user root'] : []),
      'allow_anonymous false',
      'set_tcp_nodelay true',
      'max_queued_messages 1000',
      `max_inflight_messages ${maxInflight}`,
      `plugin ${findPlugin()}`,
      `plugin_opt_config_file ${stateFile}`,
      `listener ${port} 127.0.0.1`,
      `cafile ${fleet.ca}`,
      `certfile ${fleet.cert}`,
      `keyfile ${fleet.key}`,
      'require_certificate true',
      'use_identity_as_username true',
      '',
    ];
    writeFileSync(join(folder, 'mosquitto.conf'), configuration.join('\n'));
    const program = findCommand('mosquitto');
    if (program === undefined) {
      throw new Error('Mosquitto is not installed: apt-get install mosquitto.');
    }
    return spawn(program, ['-c', join(folder, 'mosquitto.conf')], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  },
  bare: ({ fleet, port }) =>
    fork(
      join(import.meta.dirname, 'bare-tls-process.ts'),
      [String(port), fleet.cert, fleet.key, fleet.ca],
      { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] },
    ),
};

/** PROFILE=folder leaves a CPU profile of the embedded broker there. */
function profiled(): NodeJS.ProcessEnv {
  const { PROFILE: folder, BROKER_NODE_OPTIONS: more = '' } = process.env;
  const options = [
    ...(folder === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${folder}`]),
    ...(more === '' ? [] : [more]),
  ];
  return options.length === 0 ? process.env : { ...process.env, NODE_OPTIONS: options.join(' ') };
}

export function residentKibOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1]);
}

function isListening(port: number): Promise<boolean> {
  return new Promise((answer) => {
    const socket = connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      answer(true);
    });
    socket.once('error', () => answer(false));
  });
}
