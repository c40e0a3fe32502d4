// Topic permissions of a device type or of services, in no broker's dialect. Each target compiles them to its own.
import type { IdentityKind } from './identity-kind.ts';
import { fillTopic, isTemplate, type TopicValues } from './topic-template.ts';

/**
 * `%u` stands for the device id, `%{type}`, `%{batch}` and `%{label:NAME}` for what else is known of it. Topic filters as in MQTT
 * (`+`, `#`).
 */
export interface Role {
  readonly name: string;
  readonly description: string;
  /** Whose it may be; absent: of devices. */
  readonly kind?: IdentityKind | undefined;
  /** The certificate profile of services that have it; absent: `service-client`. */
  readonly profile?: string | undefined;
  /** Filters the device may publish to. */
  readonly publish: readonly string[];
  /** Filters the device may subscribe to, and receive from; `$share/GROUP/FILTER` only together with others of the group. */
  readonly subscribe: readonly string[];
  /** PUBLISH packets in a second that a device of this role may send; absent: what holds for everybody. Below 1: one in some seconds. */
  readonly messagesPerSecond?: number | undefined;
  /** The same for the bytes of these packets. */
  readonly bytesPerSecond?: number | undefined;
  /** Where it is written; absent for one that is made in a program. */
  readonly source?: RoleSource | undefined;
}

/** Places in a file, lines from 1. */
export interface RoleSource {
  /** Relative to the folder of the configuration: `roles/device.yaml`. */
  readonly file: string;
  readonly line: number;
  /** Of the two lists, and of each of their filters. */
  readonly lists: { readonly publish: number; readonly subscribe: number };
  readonly publish: readonly number[];
  readonly subscribe: readonly number[];
}

export type Roles = ReadonlyMap<string, Role>;

/**
 * A device type names its certificate profile and its role. Each role for services makes one more, which no device can have.
 */
export interface DeviceType {
  readonly name: string;
  readonly description: string;
  readonly profile: string;
  readonly role: string;
  /** Name of the target that its devices are meant to use; absent: the bundled broker, or the first one. */
  readonly broker?: string;
}

export type DeviceTypes = ReadonlyMap<string, DeviceType>;

/** The role's topics for one identity, as told to it at enrollment. What is closed to it is left out. */
export function topicsFor(
  role: Role,
  values: TopicValues,
): { publish: string[]; subscribe: string[] } {
  const fill = (filter: string): string[] => {
    const filled = fillTopic(filter, values);
    return 'filter' in filled ? [filled.filter] : [];
  };
  return { publish: role.publish.flatMap(fill), subscribe: role.subscribe.flatMap(fill) };
}

/** Whether what it gives depends on more than the identity's name. */
export function hasTemplates({ publish, subscribe }: Pick<Role, 'publish' | 'subscribe'>): boolean {
  return publish.some(isTemplate) || subscribe.some(isTemplate);
}
