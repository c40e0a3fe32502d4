// The dynamic-security state machine with its durable state, as a broker uses it: commands in, verdicts out.
import { KeylineError, systemClock, type Clock } from '@keyline/kernel';
import type { ConnectionInfo, DynsecCounts, Executed, Session } from './session.ts';

export interface DynsecEngine {
  /**
   * One payload published to `$CONTROL/dynamic-security/v1`, in the order of the calls. Rights change at once; resolves when what
   * changed is durable. Never throws for what a payload says: that is in the response.
   * @throws {KeylineError} INTERNAL when the journal cannot be written (the engine then refuses every further change)
   */
  execute(payload: Uint8Array, admin: Session): Promise<Executed>;
  /** Verdict on a client certificate's CN. */
  checkIdentity(username: string): 'known' | 'unknown' | 'disabled';
  /** For clients without a certificate. A client that has no password never passes ('wrong'). */
  checkPassword(
    username: string,
    password: string | Uint8Array,
  ): Promise<'ok' | 'unknown' | 'disabled' | 'wrong'>;
  /** The client id a user name is bound to (`clientid` of createClient, setClientId), if any: the broker enforces it. */
  boundClientId(username: string): string | undefined;
  /** Keyline's extension (`revokeCertificates`). Any hex spelling: case, colons and leading zeros do not matter. */
  isRevoked(serialHex: string): boolean;
  /** ACL type publishClientSend. */
  mayPublish(session: Session, topic: string): boolean;
  /** ACL type publishClientReceive. */
  mayReceive(session: Session, topic: string): boolean;
  /** ACL types subscribeLiteral and subscribePattern. A shared subscription is asked for whole (`$share/group/filter`). */
  maySubscribe(session: Session, filter: string): boolean;
  mayUnsubscribe(session: Session, filter: string): boolean;
  counts(): DynsecCounts;
  /** The state as Mosquitto's own `dynamic-security.json` (revoked serials are no part of it). */
  exportState(): Promise<string>;
  /** Makes everything durable, compacts the journal and lets go of the folder. */
  close(): Promise<void>;
}

export interface DynsecEngineOptions {
  /** Created (0700) when absent. A Mosquitto's `dynamic-security.json` laid into an empty one is where it begins. */
  readonly folder: string;
  /** User names that may always use `$CONTROL/dynamic-security/#`, known to the state or not. */
  readonly admins: readonly string[];
  readonly log?: (level: 'info' | 'warn' | 'error', message: string) => void;
  readonly clock?: Clock;
  /** Live connections of a user name, for `getClient` (2.1). */
  readonly connectionsOf?: (username: string) => readonly ConnectionInfo[];
}

/** @throws {KeylineError} FILE_UNREADABLE when the state is damaged or belongs to another running engine */
export function openDynsecEngine(options: DynsecEngineOptions): Promise<DynsecEngine> {
  const clock = options.clock ?? systemClock;
  return Promise.reject(
    new KeylineError(
      'INTERNAL',
      `The engine for ${options.folder} is not built yet (${String(clock.now())}).`,
    ),
  );
}
