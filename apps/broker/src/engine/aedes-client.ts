// What we touch of aedes beyond its declared types, in one place: held against the pinned version when the broker starts.
import type { EventEmitter } from 'node:events';
import { Aedes, type Client, type PublishPacket } from 'aedes';
import { KeylineError } from '@keyline/kernel';

/** Hands a message to the client; aedes calls it for every match, and we put our own in its place. */
export type Deliver = (packet: DeliveredPacket, done: () => void) => void;

export interface DeliveredPacket extends PublishPacket {
  /** The publisher. */
  readonly clientId?: string;
  readonly brokerId: string | null;
  readonly brokerCounter: number;
  /** The subscription's no-local option. */
  readonly nl?: boolean;
  /** Milliseconds since the epoch. */
  readonly messageExpiry?: number;
}

export interface EngineClient extends Omit<Client, 'clean'> {
  /** aedes treats a persistent session through the persistence port alone, which is ours; so every session is one to it. */
  clean: boolean;
  deliver0: Deliver;
  deliverQoS: Deliver;
  readonly subscriptions: Readonly<
    Record<string, { readonly qos: 0 | 1 | 2; readonly rap?: boolean } | undefined>
  >;
  readonly _parser: EventEmitter;
  readonly _serverKeepAlive: number | undefined;
  readonly _sessionExpiryClamped: boolean;
  readonly _cleanStart: boolean;
  readonly _requestProblemInformation: boolean | undefined;
}

export interface EnginePublish extends PublishPacket {
  /** Set in authorizePublish: aedes neither routes nor acknowledges the packet, because we did. */
  _notAuthorized?: boolean;
}

export const aedesVersion = '2.0.0-beta.1';

/** @throws {KeylineError} INTERNAL when another aedes is installed than the one these internals were read in */
export function assertAedes(): void {
  const { version } = Object.getPrototypeOf(new Aedes()) as { version?: string };
  if (version !== aedesVersion) {
    throw new KeylineError(
      'INTERNAL',
      `aedes ${String(version)} is installed, and the broker is made for ${aedesVersion}: run "make setup" to install what package-lock.json says.`,
    );
  }
}
