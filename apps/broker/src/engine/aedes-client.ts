// What we touch of aedes beyond its declared types, in one place: held against the pinned version when the broker starts.
import { Aedes, type Client, type PublishPacket } from 'aedes';
import { KeylineError } from '@keyline/kernel';

export interface EngineClient extends Client {
  /** Reported in CONNACK as Assigned Client Identifier. */
  _assignedClientId: string | undefined;
  readonly subscriptions: Readonly<Record<string, { readonly qos: number }>>;
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
