// Topic permissions of a device type or of services, in no broker's dialect. Each target compiles them to its own.
import type { IdentityKind } from './identity-kind.ts';

/** `%u` stands for the device id. Topic filters as in MQTT (`+`, `#`). */
export interface Role {
  readonly name: string;
  readonly description: string;
  /** Whose it may be; absent: of devices. */
  readonly kind?: IdentityKind | undefined;
  /** The certificate profile of services that have it; absent: `service-client`. */
  readonly profile?: string | undefined;
  /** Filters the device may publish to. */
  readonly publish: readonly string[];
  /** Filters the device may subscribe to, and receive from. */
  readonly subscribe: readonly string[];
  /** PUBLISH packets in a second that a device of this role may send; absent: what holds for everybody. Below 1: one in some seconds. */
  readonly messagesPerSecond?: number | undefined;
  /** The same for the bytes of these packets. */
  readonly bytesPerSecond?: number | undefined;
}

export type Roles = ReadonlyMap<string, Role>;

/** A device type names its certificate profile and its role. Each role for services makes one more, which no device can have. */
export interface DeviceType {
  readonly name: string;
  readonly description: string;
  readonly profile: string;
  readonly role: string;
}

export type DeviceTypes = ReadonlyMap<string, DeviceType>;

/** The role's topics for one device, as told to it at enrollment. */
export function topicsFor(
  role: Role,
  deviceId: string,
): { publish: string[]; subscribe: string[] } {
  const fill = (filter: string): string => filter.replaceAll('%u', () => deviceId);
  return { publish: role.publish.map(fill), subscribe: role.subscribe.map(fill) };
}
