// A second embedded broker, as an operator runs it beside Keyline's own: a keyline-broker with a folder, a certificate and a port of its
// own, named in targets.yaml; Keyline neither starts nor stops it.
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expectStatus } from './answers.ts';
import { createDeviceKey } from './device-key.ts';
import { endChild } from './end-child.ts';
import type { Place } from './external-mosquitto.ts';
import type { Fleet } from './fleet.ts';
import { projectFolder } from './keyline.ts';
import type { BrokerAddress } from './mqtt-device.ts';

const main = join(projectFolder, 'apps', 'broker', 'src', 'main.ts');

export class ExternalBroker {
  readonly folder: string;
  readonly port: number;
  readonly #fleet: Fleet;
  #child: ChildProcess | undefined;
  #log = '';

  private constructor({ folder, port }: Place, fleet: Fleet) {
    this.folder = folder;
    this.port = port;
    this.#fleet = fleet;
  }

  static async create(place: Place, fleet: Fleet): Promise<ExternalBroker> {
    mkdirSync(place.folder, { recursive: true });
    const key = createDeviceKey();
    const name = 'broker@hall-4';
    const request = {
      ...{ profile: 'service-server', name, csr: await key.csr(name) },
      ipAddresses: ['127.0.0.1'],
    };
    const { body } = expectStatus(await fleet.admin.post('/v1/certificates', request), 201);
    const chain = [body.certificate, ...body.chain].join('');
    writeFileSync(join(place.folder, 'server.crt'), chain);
    writeFileSync(join(place.folder, 'server.key'), key.keyPem, { mode: 0o600 });
    return new ExternalBroker(place, fleet);
  }

  get address(): BrokerAddress {
    return { url: `mqtts://127.0.0.1:${String(this.port)}`, ca: this.#fleet.keyline.caPem };
  }

  get log(): string {
    return this.#log;
  }

  /** @param state 'empty': with nothing of what it knew */
  async start(state: 'kept' | 'empty' = 'kept'): Promise<void> {
    const { data } = this.#fleet.keyline;
    const at = (name: string): string => join(this.folder, name);
    if (state === 'empty') rmSync(at('data'), { recursive: true, force: true });
    rmSync(at('ready'), { force: true });
    const child = spawn(
      process.execPath,
      [
        ...[main, 'serve', '--data', at('data'), '--port', String(this.port)],
        ...['--cert', at('server.crt'), '--key', at('server.key')],
        ...['--ca', join(data, 'broker', 'ca.pem'), '--ready-file', at('ready')],
        ...['--client-authorities', join(data, 'ca', 'client-authorities.pem')],
        ...['--admin', 'keyline@service', '--admin', 'admin@keyline'],
        ...['--admin-certificate', join(data, 'ca', 'broker-admin.pem')],
        ...['--admin-certificate', join(data, 'admin', 'admin.crt')],
      ],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (part: string) => (this.#log += part));
    }
    for (let tries = 0; !existsSync(at('ready')); tries += 1) {
      if (child.exitCode !== null || tries > 1500) {
        throw new Error(`The broker did not start:\n${this.#log}`);
      }
      await sleep(20);
    }
  }

  async stop(signal?: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    await endChild(child, signal);
  }
}
