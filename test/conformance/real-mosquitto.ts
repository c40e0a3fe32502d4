// A real Mosquitto with its dynamic-security plugin on 127.0.0.1, for as long as a test wants it.
import { spawn } from 'node:child_process';
import { pbkdf2Sync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { findPlugin } from '../support/mosquitto-plugin.ts';
import { findCommand } from '../support/needs.ts';

export interface RealMosquitto {
  readonly port: number;
  /** 0 without `tls`. */
  readonly tlsPort: number;
  readonly url: string;
  /** The state file stays and is returned. */
  stop(): Promise<string>;
}

/** The admin of `adminState`. */
export const adminLogin = { username: 'admin', password: 'admin-password' };

const adminTopic = '$CONTROL/dynamic-security/#';

/** A state with one admin, as `mosquitto_ctrl dynsec init` begins. */
export function adminState(): string {
  const salt = randomBytes(12);
  const hash = pbkdf2Sync(adminLogin.password, salt, 101, 64, 'sha512');
  return JSON.stringify({
    defaultACLAccess: {
      publishClientSend: false,
      publishClientReceive: true,
      subscribe: false,
      unsubscribe: true,
    },
    clients: [
      {
        username: adminLogin.username,
        password: hash.toString('base64'),
        salt: salt.toString('base64'),
        iterations: 101,
        roles: [{ rolename: 'admin' }],
      },
    ],
    roles: [
      {
        rolename: 'admin',
        acls: [
          ...['publishClientSend', 'publishClientReceive', 'subscribePattern'].map((acltype) => ({
            acltype,
            topic: adminTopic,
            allow: true,
          })),
          // It is also the one who publishes what clients are to receive.
          { acltype: 'publishClientSend', topic: '#', allow: true },
        ],
      },
    ],
  });
}

export async function startMosquitto(
  state: string,
  options: {
    readonly port?: number;
    /** Files of a second listener, for client certificates alone: the CN is the user name. */
    readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  } = {},
): Promise<RealMosquitto> {
  const { tls } = options;
  const folder = mkdtempSync(join(tmpdir(), 'keyline-mosquitto-'));
  const port = options.port ?? (await freePort());
  const tlsPort = tls === undefined ? 0 : await freePort();
  const stateFile = join(folder, 'dynamic-security.json');
  writeFileSync(stateFile, state, { mode: 0o600 });
  const configuration = join(folder, 'mosquitto.conf');
  writeFileSync(
    configuration,
    [
      'per_listener_settings false',
      'user root',
      `listener ${port} 127.0.0.1`,
      'allow_anonymous false',
      'set_tcp_nodelay true',
      `plugin ${findPlugin()}`,
      `plugin_opt_config_file ${stateFile}`,
      ...(tls === undefined
        ? []
        : [
            `listener ${tlsPort} 127.0.0.1`,
            `cafile ${tls.ca}`,
            `certfile ${tls.cert}`,
            `keyfile ${tls.key}`,
            'require_certificate true',
            'use_identity_as_username true',
          ]),
      '',
    ].join('\n'),
  );
  const child = spawn(findCommand('mosquitto')!, ['-c', configuration, '-v'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const lines: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (data: Buffer) => lines.push(data));
  }
  const log = (): string => Buffer.concat(lines).toString();
  const ended = once(child, 'exit');
  for (let tries = 0; !(await isListening(port)); tries += 1) {
    if (child.exitCode !== null || tries > 500)
      throw new Error(`Mosquitto did not start:\n${log()}`);
    await sleep(20);
  }
  return {
    port,
    tlsPort,
    url: `mqtt://127.0.0.1:${port}`,
    stop: async () => {
      if (child.exitCode === null) child.kill('SIGTERM');
      await ended;
      const written = readFileSync(stateFile, 'utf8');
      rmSync(folder, { recursive: true });
      return written;
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false; // not yet
  } finally {
    socket.destroy();
  }
}
