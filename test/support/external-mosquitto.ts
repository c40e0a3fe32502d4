// A Mosquitto of the team's own, as an operator runs it beside Keyline: its own mosquitto.conf, an admin for Keyline, the CRL it was
// given last. Named in targets.yaml; Keyline neither starts nor stops it.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadConfig } from '@keyline/config';
import { drawServicePort } from '@keyline/kernel';
import { compileAclFile } from '@keyline/targets';
import { encodePem } from '@keyline/x509';
import { createDeviceKey } from './device-key.ts';
import { expectStatus } from './answers.ts';
import { endChild } from './end-child.ts';
import type { Fleet } from './fleet.ts';
import type { BrokerAddress } from './mqtt-device.ts';
import { findPlugin } from './mosquitto-plugin.ts';
import { findCommand } from './needs.ts';

const admins = ['keyline@service', 'admin@keyline'];

export interface Place {
  /** Of its own; made when it is missing. Absolute. */
  readonly folder: string;
  readonly port: number;
}

export async function choosePort(): Promise<number> {
  for (;;) {
    const port = drawServicePort();
    if (!(await isListening(port))) return port;
  }
}

/** What stands in targets.yaml. */
export function targetsYaml(name: string, { port }: Pick<Place, 'port'>): string {
  const url = `mqtts://127.0.0.1:${port}`;
  return `targets:\n  - { name: ${name}, description: In hall 3., url: '${url}', exclusive: true }\n`;
}

export class ExternalMosquitto {
  readonly folder: string;
  readonly port: number;
  readonly #fleet: Fleet;
  #child: ChildProcess | undefined;
  #log = '';

  private constructor(place: Place, fleet: Fleet) {
    this.folder = place.folder;
    this.port = place.port;
    this.#fleet = fleet;
  }

  /** With nobody in it but its admins. @param config the folder whose roles become its acl_file */
  static async create(place: Place, fleet: Fleet, config: string): Promise<ExternalMosquitto> {
    mkdirSync(place.folder, { recursive: true });
    const mosquitto = new ExternalMosquitto(place, fleet);
    const key = createDeviceKey();
    const request = {
      profile: 'service-server',
      name: 'mosquitto@hall-3',
      csr: await key.csr('mosquitto@hall-3'),
      ipAddresses: ['127.0.0.1'],
    };
    const { body } = expectStatus(await fleet.admin.post('/v1/certificates', request), 201);
    mosquitto.#write('server.crt', [body.certificate, ...body.chain].join(''));
    mosquitto.#write('server.key', key.keyPem);
    mosquitto.#write('ca.pem', readFileSync(join(fleet.keyline.data, 'broker', 'ca.pem'), 'utf8'));
    mosquitto.#write('acl', compileAclFile((await loadConfig(config)).roles));
    mosquitto.state = emptyState();
    return mosquitto;
  }

  get address(): BrokerAddress {
    return { url: `mqtts://127.0.0.1:${this.port}`, ca: this.#fleet.keyline.caPem };
  }

  get pid(): number {
    const pid = this.#child?.pid;
    if (pid === undefined) throw new Error('Mosquitto does not run');
    return pid;
  }

  /** dynamic-security.json, to be looked at, kept as a backup, and put back while it does not run. */
  get state(): string {
    return readFileSync(join(this.folder, 'dynamic-security.json'), 'utf8');
  }

  set state(text: string) {
    this.#write('dynamic-security.json', text);
  }

  get log(): string {
    return this.#log;
  }

  /** As its unit file would, after a look at the state file. @param crl 'fetched': with the CRL that is in force now; 'none': with none, so that only rights keep anybody out */
  async start(crl: 'fetched' | 'none' = 'fetched'): Promise<void> {
    // 2.0 empties this file and then writes it: kill -9 in between leaves nothing, and then nobody may administer it.
    if (!isJson(this.state)) this.state = emptyState();
    const crlLine = crl === 'none' ? '' : await this.#fetchCrl();
    this.#write('mosquitto.conf', `${this.#configuration()}${crlLine}`);
    const child = spawn(findCommand('mosquitto')!, ['-c', 'mosquitto.conf'], {
      cwd: this.folder,
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#child = child;
    child.stderr.setEncoding('utf8').on('data', (part: string) => (this.#log += part));
    for (let tries = 0; !(await isListening(this.port)); tries += 1) {
      if (child.exitCode !== null || tries > 500) {
        throw new Error(`Mosquitto did not start:\n${this.#log}`);
      }
      await sleep(20);
    }
  }

  async stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await endChild(child, signal);
  }

  #write(name: string, text: string): void {
    writeFileSync(join(this.folder, name), text, { mode: 0o600 });
  }

  async #fetchCrl(): Promise<string> {
    const answer = await fetch(await this.#fleet.crlUrl());
    this.#write('crl.pem', encodePem('X509 CRL', Buffer.from(await answer.arrayBuffer())));
    return 'crlfile crl.pem\n';
  }

  #configuration(): string {
    return [
      'per_listener_settings false',
      'user root',
      'allow_anonymous false',
      'set_tcp_nodelay true',
      `plugin ${findPlugin()}`,
      'plugin_opt_config_file dynamic-security.json',
      'acl_file acl',
      'persistence true',
      'persistence_location ./',
      'log_dest stderr',
      `listener ${this.port} 127.0.0.1`,
      'cafile ca.pem',
      'certfile server.crt',
      'keyfile server.key',
      'require_certificate true',
      'use_identity_as_username true',
      'use_username_as_clientid true',
      '',
    ].join('\n');
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** As `mosquitto_ctrl dynsec init` begins, with identities of certificates in place of a password. */
function emptyState(): string {
  return JSON.stringify({
    defaultACLAccess: {
      publishClientSend: false,
      publishClientReceive: false,
      subscribe: false,
      unsubscribe: true,
    },
    clients: admins.map((username) => ({ username, roles: [{ rolename: 'admin' }] })),
    groups: [],
    roles: [
      {
        rolename: 'admin',
        acls: ['publishClientSend', 'publishClientReceive', 'subscribePattern'].map((acltype) => ({
          acltype,
          topic: '$CONTROL/dynamic-security/#',
          allow: true,
        })),
      },
    ],
  });
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
