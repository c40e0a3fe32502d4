// What the steps of the demo share: the running Keyline, the device side, and who talks to whom.
import { readFileSync } from 'node:fs';
import { createDeviceKey, type DeviceKey } from '../../test/support/device-key.ts';
import type { RunningKeyline } from '../../test/support/keyline.ts';
import {
  type BrokerAddress,
  type MqttDevice,
  type MqttIdentity,
} from '../../test/support/mqtt-device.ts';
import type { Answer, RestClient } from '../../test/support/rest-client.ts';
import type { Screen } from './screen.ts';

export interface DemoDevice extends MqttIdentity {
  readonly serial: string;
  /** Issuing CA, PEM. */
  readonly issuer: string;
  readonly deviceKey: DeviceKey;
  readonly topics: { readonly publish: string[]; readonly subscribe: string[] };
  session?: MqttDevice;
}

export class World {
  readonly screen: Screen;
  /** Temporary; everything the demo makes is in it. */
  readonly folder: string;
  readonly keyline: RunningKeyline;
  /** Whether the `openssl` command is on this machine; without it only Node checks. */
  readonly hasOpenssl: boolean;
  readonly devices = new Map<string, DemoDevice>();
  /** A program of the team that listens to the fleet and sends it commands. */
  application: MqttDevice | undefined;
  #admin: RestClient | undefined;
  #broker: BrokerAddress | undefined;

  constructor(given: Pick<World, 'screen' | 'folder' | 'keyline' | 'hasOpenssl'>) {
    this.screen = given.screen;
    this.folder = given.folder;
    this.keyline = given.keyline;
    this.hasOpenssl = given.hasOpenssl;
  }

  /** The operator: calls the API with the admin's certificate. Once the services run. */
  get admin(): RestClient {
    this.#admin ??= this.keyline.asAdmin();
    return this.#admin;
  }

  get broker(): BrokerAddress {
    this.#broker ??= { url: this.keyline.endpoints.broker, ca: this.keyline.caPem };
    return this.#broker;
  }
}

/** @throws {Error} with the sentence when it does not hold */
export function must(condition: boolean, sentence: string): asserts condition {
  if (!condition) throw new Error(sentence);
}

/** The answer, when it has one of these statuses. @throws {Error} with what the service said */
export function expectStatus(answer: Answer, ...statuses: readonly number[]): Answer {
  must(
    statuses.includes(answer.status),
    `The service answered ${answer.status} instead of ${statuses.join(' or ')}: ${answer.text.slice(0, 500)}`,
  );
  return answer;
}

/** A refusal with this code, and nothing else. @throws {Error} */
export function expectRefusal(answer: Answer, code: string): string {
  must(
    answer.status >= 400 && answer.body?.code === code,
    `The service answered ${answer.status} instead of refusing with ${code}: ${answer.text.slice(0, 500)}`,
  );
  return `${answer.status} ${code}`;
}

export async function createToken(world: World, request: object): Promise<string> {
  const { body } = expectStatus(await world.admin.post('/v1/tokens', request), 201);
  return body.secret;
}

/** As the device's firmware would: a key pair, a CSR, one POST. */
export async function enrollDevice(
  world: World,
  request: { id: string; token: string; validity?: string },
): Promise<DemoDevice> {
  const { id } = request;
  const deviceKey = createDeviceKey();
  const csr = await deviceKey.csr(id);
  const device = world.keyline.as('anyone');
  const { body } = expectStatus(await device.post('/v1/enroll', { ...request, csr }), 201);
  device.close();
  must(
    body.provisioned === true,
    `${id} has its certificate, but the broker does not know it after 2 s.`,
  );
  const enrolled = readEnrolled(body, deviceKey);
  world.devices.set(id, enrolled);
  return enrolled;
}

export function readEnrolled(body: Answer['body'], deviceKey: DeviceKey): DemoDevice {
  const [issuer] = body.chain;
  return {
    id: body.device.id,
    certificate: `${body.certificate.trim()}\n${issuer.trim()}\n`,
    key: deviceKey.keyPem,
    serial: body.serial,
    issuer,
    deviceKey,
    topics: body.broker.topics,
  };
}

export function deviceOf(world: World, id: string): DemoDevice & { session: MqttDevice } {
  const device = world.devices.get(id);
  must(device?.session !== undefined, `${id} is not connected.`);
  return { ...device, session: device.session };
}

/** The first admin, as the broker knows it. */
export function adminIdentity(world: World): MqttIdentity {
  const { admin } = world.keyline.endpoints;
  return {
    id: 'admin@keyline',
    certificate: readFileSync(admin.certificate, 'utf8'),
    key: readFileSync(admin.key, 'utf8'),
  };
}

/** A certificate for something that is not a device: a station, a program of the team. */
export async function issueIdentity(
  world: World,
  { profile, name }: { profile: string; name: string },
): Promise<MqttIdentity> {
  const key = createDeviceKey();
  const request = { profile, name, csr: await key.csr(name) };
  const { body } = expectStatus(await world.admin.post('/v1/certificates', request), 201);
  return { id: name, certificate: [body.certificate, ...body.chain].join('\n'), key: key.keyPem };
}
