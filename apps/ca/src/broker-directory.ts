// Which broker an identity is meant to use, as devices reach it: that of the request, else that of its type, else the bundled one, else
// the first of targets.yaml.
import type { BrokerAccessView } from '@keyline/api';
import { topicsFor, type DeviceTypes, type Role } from '@keyline/access';
import type { TargetConfig } from '@keyline/config';
import { readText } from '@keyline/files';
import type { Device } from '@keyline/fleet';
import { KeylineError } from '@keyline/kernel';
import type { Logger } from 'pino';

interface KnownBroker {
  readonly name: string;
  /** mqtts:// URL for devices. */
  readonly url: string;
  readonly websocketUrl: string | null;
  /** PEM; null: Keyline's own trust anchors are what its certificate is checked against. */
  readonly trust: string | null;
}

export interface BrokerDirectory {
  /**
   * @param named of a request
   * @returns without an address where no broker is configured, or where that of its type can't be used as it is configured
   * @throws {KeylineError} REQUEST_INVALID when there is none of that name
   */
  accessOf(identity: {
    readonly device: Device;
    readonly role: Role;
    readonly named?: string | undefined;
  }): BrokerAccessView;
  /** Before anything is issued for it. @throws {KeylineError} REQUEST_INVALID */
  assertKnown(named: string | undefined): void;
}

const nowhere = { name: null, url: null, websocketUrl: null, trust: null } as const;

/** Of the broker that `keyline up` runs. */
const bundledName = 'broker';

export async function createBrokerDirectory(given: {
  /** URLs of the bundled broker; absent: there is none. */
  readonly bundled:
    { readonly url: string; readonly websocketUrl?: string | undefined } | undefined;
  readonly targets: readonly TargetConfig[];
  /** As they are in force. */
  readonly types: DeviceTypes;
  readonly log: Pick<Logger, 'error'>;
}): Promise<BrokerDirectory> {
  const { bundled, targets, types, log } = given;
  const own: KnownBroker[] =
    bundled === undefined
      ? []
      : [
          {
            ...{ name: bundledName, url: bundled.url, trust: null },
            websocketUrl: bundled.websocketUrl ?? null,
          },
        ];
  const others = await Promise.all(targets.map((target) => readTarget(target, log)));
  const brokers = [...own, ...others.filter((each) => each !== undefined)];
  const find = (name: string): KnownBroker | undefined =>
    brokers.find((broker) => broker.name === name);
  const get = (name: string): KnownBroker => {
    const found = find(name);
    if (found !== undefined) return found;
    const known = brokers.map((broker) => broker.name).join(', ');
    throw new KeylineError(
      'REQUEST_INVALID',
      `There is no broker "${name}" here.${known === '' ? ' None is configured (ca-config/targets.yaml).' : ` Known: ${known}.`}`,
    );
  };
  return {
    accessOf({ device, role, named }) {
      const ofType = types.get(device.type)?.broker;
      const broker =
        named !== undefined ? get(named) : ofType !== undefined ? find(ofType) : brokers[0];
      return {
        ...(broker ?? nowhere),
        clientId: device.id,
        userName: device.id,
        topics: topicsFor(role, device),
      };
    },
    assertKnown(named) {
      if (named !== undefined) get(named);
    },
  };
}

/** Undefined when its CA can't be read, which is said once more where the target itself is started. */
async function readTarget(
  { name, url, publicUrl, publicWebsocketUrl, ca }: TargetConfig,
  log: Pick<Logger, 'error'>,
): Promise<KnownBroker | undefined> {
  try {
    return {
      name,
      url: publicUrl ?? url,
      websocketUrl: publicWebsocketUrl ?? null,
      trust: ca === undefined ? null : await readText(ca, `the CA of the broker "${name}"`),
    };
  } catch (error) {
    log.error({ err: error, target: name }, `No device is sent to the broker "${name}".`);
    return undefined;
  }
}
