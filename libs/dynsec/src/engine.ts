// The dynamic-security state machine with its durable state, as a broker uses it: commands in, verdicts out.
import { setImmediate } from 'node:timers/promises';
import { KeylineError, messageOf } from '@keyline/kernel';
import {
  joinSerials,
  listedSerials,
  UnlistedReports,
  type CertificateVerdict,
} from './admitted-certificates.ts';
import { Effects } from './effects.ts';
import {
  executePayload,
  parsePayload,
  passwordsOf,
  refusePayload,
  type Payload,
} from './execute.ts';
import { hashPassword, isPassword, nobodysPassword } from './passwords.ts';
import { Rights } from './rights.ts';
import { normalizeSerial } from './serial.ts';
import type { ConnectionInfo, DynsecCounts, Executed, Session, TellPresence } from './session.ts';
import { writeSnapshot } from './snapshot.ts';
import type { DynsecState, Rates } from './state.ts';
import { DynsecStore, type Log } from './store.ts';
import { Turns } from './turns.ts';

export interface DynsecEngine {
  /**
   * One payload published to `$CONTROL/dynamic-security/v1`, in the order of the calls. Rights change at once; resolves when what
   * changed is durable. Never throws for what a payload says: that is in the response.
   * @throws {KeylineError} INTERNAL when the journal cannot be written (the next call tries again before it does anything)
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
  /** What the issuing CA's list says of a certificate that shows this name. */
  checkCertificate(username: string, serialHex: string): CertificateVerdict;
  /**
   * A client is here with a listed certificate: those before it are good no more, and leave the list.
   * @returns those
   */
  noteUse(username: string, serialHex: string, address: string): readonly string[];
  /** A client came with a certificate that is not listed: the issuing CA is told when it asks. */
  reportUnlisted(username: string, serialHex: string, address: string): void;
  /** ACL type publishClientSend. */
  mayPublish(session: Session, topic: string): boolean;
  /** ACL type publishClientReceive. */
  mayReceive(session: Session, topic: string): boolean;
  /** ACL types subscribeLiteral and subscribePattern. A shared subscription is asked for whole (`$share/group/filter`). */
  maySubscribe(session: Session, filter: string): boolean;
  mayUnsubscribe(session: Session, filter: string): boolean;
  /**
   * Keyline's extension (`messagerate`, `byterate` of a role): what a client may send in a second; 0: its roles say nothing. As with ACLs,
   * its own roles come before its groups', and the first that says something decides.
   */
  ratesOf(username: string): Rates;
  /** Roles that decide of a client, its own before its groups'; with the text that whoever made them has given them. */
  rolesOf(
    username: string,
  ): readonly { readonly name: string; readonly text: string | undefined }[];
  /** Grows with every change: what `ratesOf` said before it may hold no longer. */
  readonly version: number;
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
  readonly log?: Log;
  /** Live connections of a user name, for `getClient` (2.1). */
  readonly connectionsOf?: (username: string) => readonly ConnectionInfo[];
  /** Who came and went, for `getPresence`; absent: that command is not known. */
  readonly tellPresence?: TellPresence;
}

/** @throws {KeylineError} FILE_UNREADABLE when the state is damaged */
export async function openDynsecEngine(options: DynsecEngineOptions): Promise<DynsecEngine> {
  const { folder, admins, log = () => undefined, connectionsOf = () => [], tellPresence } = options;
  const turns = new Turns();
  const store = await DynsecStore.open({ folder, turns, log });
  return new Engine(store, new Set(admins), { turns, log, connectionsOf, tellPresence });
}

class Engine implements DynsecEngine {
  readonly #store: DynsecStore;
  readonly #admins: ReadonlySet<string>;
  readonly #rights: Rights;
  readonly #reports = new UnlistedReports();
  readonly #log: Log;
  readonly #connectionsOf: (username: string) => readonly ConnectionInfo[];
  readonly #tellPresence: TellPresence | undefined;
  /** Payloads, exports: each is carried out whole before the next. Durable they become together. */
  readonly #turns: Turns;
  #closing: Promise<void> | undefined;

  constructor(
    store: DynsecStore,
    admins: ReadonlySet<string>,
    surroundings: {
      readonly turns: Turns;
      readonly log: Log;
      readonly connectionsOf: (username: string) => readonly ConnectionInfo[];
      readonly tellPresence: TellPresence | undefined;
    },
  ) {
    this.#store = store;
    this.#admins = admins;
    this.#rights = new Rights(store.state, admins);
    this.#turns = surroundings.turns;
    this.#log = surroundings.log;
    this.#connectionsOf = surroundings.connectionsOf;
    this.#tellPresence = surroundings.tellPresence;
  }

  get #state(): DynsecState {
    return this.#store.state;
  }

  async execute(bytes: Uint8Array, admin: Session): Promise<Executed> {
    if (this.#closing !== undefined) {
      throw new KeylineError('INTERNAL', 'The broker is stopping: no change is taken any more.');
    }
    const payload = parsePayload(bytes);
    if ('error' in payload) {
      return { response: refusePayload(payload.error), ...new Effects().finish(this.#state) };
    }
    const { saved, executed } = await this.#turns.take(() => this.#carryOut(payload, admin));
    await saved;
    return executed;
  }

  async #carryOut(
    payload: Payload,
    admin: Session,
  ): Promise<{ readonly saved: Promise<void>; readonly executed: Executed }> {
    // Nothing is carried out on top of changes that could not be written.
    await this.#store.retry();
    const passwordHashes = new Map<unknown, string>();
    for (const [command, password] of passwordsOf(payload)) {
      passwordHashes.set(command, await hashPassword(password));
    }
    const state = this.#state;
    const { response, effects } = executePayload(payload, {
      state,
      passwordHashes,
      reports: this.#reports,
      connectionsOf: this.#connectionsOf,
      tellPresence: this.#tellPresence,
    });
    const before = state.recordIndex;
    const saved = this.#store.save();
    saved.catch(() => undefined); // whoever executes waits for it
    if (state.recordIndex !== before) {
      this.#log(
        'info',
        `Rights changed by ${admin.username ?? 'anonymous'} (${admin.clientId}): ${payload.commands.length} commands, change ${state.changeIndex}.`,
      );
    }
    return { saved, executed: { response, ...effects.finish(state) } };
  }

  checkIdentity(username: string): 'known' | 'unknown' | 'disabled' {
    // An admin can't lock itself out.
    if (this.#admins.has(username)) return 'known';
    const client = this.#state.clients.get(username);
    if (client === undefined) return 'unknown';
    return client.disabled ? 'disabled' : 'known';
  }

  async checkPassword(
    username: string,
    password: string | Uint8Array,
  ): Promise<'ok' | 'unknown' | 'disabled' | 'wrong'> {
    const client = this.#state.clients.get(username);
    const encoded = client?.password;
    // It takes as long whether there is such a client, and one with a password, or not.
    const isRight = await isPassword(encoded ?? nobodysPassword, password);
    if (client === undefined) return 'unknown';
    if (client.disabled) return 'disabled';
    if (encoded === undefined || !isRight) return 'wrong';
    // It took a while: is it still so?
    const now = this.#state.clients.get(username);
    if (now?.password !== encoded) return 'wrong';
    return now.disabled ? 'disabled' : 'ok';
  }

  boundClientId(username: string): string | undefined {
    return this.#state.clients.get(username)?.clientId;
  }

  isRevoked(serialHex: string): boolean {
    const serial = normalizeSerial(serialHex);
    // What is no serial can't be vouched for.
    return serial === undefined || this.#state.isRevoked(serial);
  }

  checkCertificate(username: string, serialHex: string): CertificateVerdict {
    const client = this.#state.clients.get(username);
    if (client?.serials === undefined) return 'no list';
    const serial = normalizeSerial(serialHex);
    const isListed =
      client.serials === serial || (serial !== undefined && listedSerials(client).includes(serial));
    return isListed ? 'listed' : 'unlisted';
  }

  noteUse(username: string, serialHex: string, address: string): readonly string[] {
    const client = this.#state.clients.get(username);
    const serial = normalizeSerial(serialHex);
    if (client?.serials === undefined || client.serials === serial) return [];
    const listed = listedSerials(client);
    const at = listed.indexOf(serial ?? '');
    if (at <= 0 || serial === undefined || this.#closing !== undefined) return [];
    client.serials = joinSerials(listed.slice(at));
    this.#state.touchClient(client);
    this.#state.putUse(username, { serial, address });
    // In turn like every other change; what holds from now on need not wait for the disk.
    this.#turns
      .take(() => Promise.resolve({ saved: this.#store.save() }))
      .then(({ saved }) => saved)
      .catch((error: unknown) => {
        this.#log('error', `The use of a new certificate could not be kept: ${messageOf(error)}`);
      });
    return listed.slice(0, at);
  }

  reportUnlisted(username: string, serialHex: string, address: string): void {
    const serial = normalizeSerial(serialHex);
    if (serial !== undefined) {
      this.#reports.add({ username, serial, address });
    }
  }

  mayPublish(session: Session, topic: string): boolean {
    return this.#rights.mayPublish(session, topic);
  }

  mayReceive(session: Session, topic: string): boolean {
    return this.#rights.mayReceive(session, topic);
  }

  maySubscribe(session: Session, filter: string): boolean {
    return this.#rights.maySubscribe(session, filter);
  }

  mayUnsubscribe(session: Session, filter: string): boolean {
    return this.#rights.mayUnsubscribe(session, filter);
  }

  ratesOf(username: string): Rates {
    return this.#rights.ratesOf(username);
  }

  rolesOf(
    username: string,
  ): readonly { readonly name: string; readonly text: string | undefined }[] {
    const client = this.#state.clients.get(username);
    if (client === undefined) return [];
    const roles = [client.roles, ...client.groups.map(({ of }) => of.roles)].flat();
    return roles.map(({ of }) => ({ name: of.name, text: of.textDescription }));
  }

  get version(): number {
    return this.#state.recordIndex;
  }

  counts(): DynsecCounts {
    const { clients, groups, roles, revokedCount, changeIndex, recordIndex } = this.#state;
    return {
      clients: clients.size,
      groups: groups.size,
      roles: roles.size,
      revokedSerials: revokedCount,
      changeIndex,
      recordIndex,
    };
  }

  exportState(): Promise<string> {
    // In turn, so that no payload changes it half-way; in slices, so that everything else goes on.
    return this.#turns.take(async () => {
      const slices: string[] = [];
      for (const slice of writeSnapshot(this.#state, undefined)) {
        slices.push(slice);
        await setImmediate();
      }
      return slices.join('');
    });
  }

  close(): Promise<void> {
    this.#closing ??= this.#turns.wait().then(() => this.#store.close());
    return this.#closing;
  }
}
