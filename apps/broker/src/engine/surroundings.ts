// What a connection needs of the broker around it.
import type { MalformedPacket, Packet, ReadLimits } from '@keyline/mqtt';
import type { Limits } from '../options.ts';
import type { BusyConnections } from './busy-connections.ts';
import type { Connection } from './connection.ts';
import type { SharedBudget } from './shared-budget.ts';

export interface Surroundings {
  readonly limits: Limits;
  readonly readLimits: ReadLimits;
  readonly busy: BusyConnections;
  /** Memory for packets that are not whole yet. */
  readonly partials: SharedBudget;
  /** Memory for what peers have not read yet. */
  readonly unread: SharedBudget;
  /** Milliseconds of a clock that never goes back; the engine keeps it, so that reading it costs nothing. */
  readonly now: () => number;
  /** A whole PUBLISH, from `start` to `end`. @returns what it has cost; 0: it is for `onPacket` */
  readonly onPublish: (connection: Connection, bytes: Buffer, start: number, end: number) => number;
  /** @returns what it has cost, at least 1 */
  readonly onPacket: (connection: Connection, packet: Packet) => number;
  /** What MQTT does not allow: the connection is closed after it. */
  readonly onRefused: (connection: Connection, error: MalformedPacket) => void;
  /** Beyond a limit of ours: the connection is ended with this reason. */
  readonly onLimit: (connection: Connection, reasonCode: number, text: string) => void;
  /** A fault of ours: the connection is closed after it. */
  readonly onFailure: (connection: Connection, error: unknown) => void;
  /** It is held back, or was: what it has sent meanwhile is counted in a moment, when it is known. */
  readonly onHeld: (connection: Connection) => void;
  /** It has read what it was sent. */
  readonly onDrained: (connection: Connection) => void;
  /** Once, when it ends. */
  readonly onLeave: (connection: Connection) => void;
  readonly applyRights: (connection: Connection) => void;
  readonly sendTo: (connection: Connection, topic: string, payload: string) => void;
}
