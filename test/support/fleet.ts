// A fleet around a running Keyline: the operator's calls, and devices that make their own keys.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { IClientOptions } from 'mqtt';
import type { KeyAlgorithm } from '@keyline/x509';
import { expectStatus } from './answers.ts';
import { createDeviceKey, type DeviceKey } from './device-key.ts';
import type { RunningKeyline } from './keyline.ts';
import { MqttDevice, type BrokerAddress, type MqttIdentity } from './mqtt-device.ts';
import type { Answer, RestClient } from './rest-client.ts';

/** What a device holds after it enrolled. `certificate` is leaf and chain. */
export interface EnrolledDevice extends MqttIdentity {
  readonly serial: string;
  /** The leaf alone, PEM. */
  readonly leaf: string;
  /** Issuing CA, PEM. */
  readonly issuer: string;
  readonly notAfter: string;
  /** Whether the broker knew the device when the answer came. */
  readonly provisioned: boolean;
  readonly topics: { readonly publish: string[]; readonly subscribe: string[] };
  readonly deviceKey: DeviceKey;
}

export interface EnrollChoices {
  readonly token?: string;
  /** ISO 8601. */
  readonly validity?: string;
  readonly algorithm?: KeyAlgorithm;
}

export class Fleet {
  readonly keyline: RunningKeyline;
  #admin: RestClient | undefined;
  #anyone: RestClient | undefined;
  #broker: BrokerAddress | undefined;

  constructor(keyline: RunningKeyline) {
    this.keyline = keyline;
  }

  /** The API as the first admin calls it. */
  get admin(): RestClient {
    this.#admin ??= this.keyline.asAdmin();
    return this.#admin;
  }

  /** The API without any proof of identity. */
  get anyone(): RestClient {
    this.#anyone ??= this.keyline.as('anyone');
    return this.#anyone;
  }

  get broker(): BrokerAddress {
    this.#broker ??= { url: this.keyline.endpoints.broker, ca: this.keyline.caPem };
    return this.#broker;
  }

  /** The first admin as the broker knows it: may use the dynamic-security API. */
  get adminIdentity(): MqttIdentity {
    const { admin } = this.keyline.endpoints;
    return {
      id: 'admin@keyline',
      certificate: readFileSync(admin.certificate, 'utf8'),
      key: readFileSync(admin.key, 'utf8'),
    };
  }

  /** Its secret. */
  async createToken(request: object = {}): Promise<string> {
    const { body } = expectStatus(await this.admin.post('/v1/tokens', request), 201);
    return body.secret;
  }

  /** As a device's firmware would: a key pair, a CSR, one POST. Without a token it gets one for itself. */
  async enroll(id: string, choices: EnrollChoices = {}): Promise<EnrolledDevice> {
    const deviceKey = createDeviceKey(choices.algorithm);
    const csr = await deviceKey.csr(id);
    const token = choices.token ?? (await this.createToken());
    const { validity } = choices;
    const request = { id, csr, token, ...(validity === undefined ? {} : { validity }) };
    return readEnrolled(
      expectStatus(await this.anyone.post('/v1/enroll', request), 201),
      deviceKey,
    );
  }

  /** A certificate for something that is not a device: a station, an operator, a program of the team. */
  async issueIdentity(given: { profile: string; name: string }): Promise<MqttIdentity> {
    const key = createDeviceKey();
    const request = { ...given, csr: await key.csr(given.name) };
    const { body } = expectStatus(await this.admin.post('/v1/certificates', request), 201);
    return {
      id: given.name,
      certificate: joinPem([body.certificate, ...body.chain]),
      key: key.keyPem,
    };
  }

  connect(identity: MqttIdentity, options?: IClientOptions): Promise<MqttDevice> {
    return MqttDevice.connect(this.broker, identity, options);
  }

  /** Why the broker does not let it in; undefined when it does. */
  whyRefused(identity: MqttIdentity, options?: IClientOptions): Promise<string | undefined> {
    return MqttDevice.whyRefused(this.broker, identity, options);
  }

  /** All devices as they are on record; who is there at a broker changes by itself. */
  async listDevices(): Promise<unknown[]> {
    const { body } = expectStatus(await this.admin.get('/v1/devices?limit=1000'), 200);
    return body.items.map(({ presence: _, ...device }: { presence: unknown }) => device);
  }

  /**
   * Entries of the ledger that came of somebody's call: what a refused request must leave as it is. Keyline's own (CRLs, alerts) are not
   * counted: the list of the test before is followed by its delta at any moment. Nor is that a call was refused.
   */
  countEntries(): number {
    const database = new DatabaseSync(join(this.keyline.data, 'ca', 'keyline.db'), {
      readOnly: true,
    });
    try {
      const row = database
        .prepare(
          `SELECT count(*) AS n FROM ledger
           WHERE actor <> 'keyline' AND json_extract(data, '$.kind') <> 'call-refused'`,
        )
        .get();
      return Number(row?.['n']);
    } finally {
      database.close();
    }
  }

  /** Where the issuing CA's CRL is. */
  async crlUrl(): Promise<string> {
    const { body } = expectStatus(await this.admin.get('/v1/authorities'), 200);
    return body.items.find(({ role }: { role: string }) => role === 'issuing').crl.url;
  }

  close(): void {
    this.#admin?.close();
    this.#anyone?.close();
  }
}

/** The answer to an enrollment or a renewal as what the device keeps. */
export function readEnrolled({ body }: Answer, deviceKey: DeviceKey): EnrolledDevice {
  return {
    id: body.device.id,
    certificate: joinPem([body.certificate, ...body.chain]),
    leaf: body.certificate,
    key: deviceKey.keyPem,
    serial: body.serial,
    issuer: body.chain[0],
    notAfter: body.device.notAfter,
    provisioned: body.provisioned,
    topics: body.broker.topics,
    deviceKey,
  };
}

function joinPem(pems: readonly string[]): string {
  return pems.map((pem) => `${pem.trim()}\n`).join('');
}
