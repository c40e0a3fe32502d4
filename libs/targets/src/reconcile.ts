// Desired state against actual state: what a broker has is listed, compared with what the fleet says, and repaired. It also fills an
// empty broker, faster than the ledger could be told again.
import type { DeviceTypes } from '@keyline/access';
import { revokedPages, type Device, type Store } from '@keyline/fleet';
import { Duration, isDeviceId, KeylineError, type Clock } from '@keyline/kernel';
import type { BrokerLine } from './broker-line.ts';
import {
  correctionsFor,
  readClient,
  readPassedOver,
  type ActualClient,
  type PassedOver,
  type WantedClient,
} from './client-commands.ts';
import type { Dialect } from './dialect.ts';
import {
  isMissing,
  isThereAlready,
  readList,
  readObject,
  type DynsecCommand,
} from './dynsec-messages.ts';

/** What a comparison found, all of it repaired but `foreign`. */
export interface Reconciliation {
  /** Epoch milliseconds, when it ended. */
  readonly at: number;
  readonly milliseconds: number;
  /** Everything up to this ledger position is on the broker. */
  readonly seq: number;
  readonly devices: number;
  /** Known to the fleet and not to the broker. */
  readonly missing: number;
  /** Other role, groups or state than the fleet says. */
  readonly changed: number;
  /** Revoked or decommissioned, and still there. */
  readonly stale: number;
  /** Named like a device and unknown to the fleet; removed from a broker that is Keyline's alone. */
  readonly foreign: number;
  /** Roles and default rights that were not as ca-config has them, since the comparison before. */
  readonly roles: number;
  /** Active, and of a type that ca-config has no more: left as they are, because what they may is not known. */
  readonly untyped: number;
}

export type FleetReader = Pick<
  Store,
  | 'listDevices'
  | 'findDevice'
  | 'findCertificate'
  | 'listCertificatesOf'
  | 'lastSeq'
  | 'listRevoked'
  | 'listAuthorities'
>;

/** How far a comparison has come; what it has done already need not be done again for an entry that it includes. */
export interface Progress {
  /** Ledger position that it includes. */
  seq: number;
  /** Devices that are as they should be. */
  readonly done: Set<string>;
}

export interface ReconcileOptions {
  readonly line: BrokerLine;
  readonly fleet: FleetReader;
  readonly types: DeviceTypes;
  readonly clock: Clock;
  readonly dialect: Dialect;
  /** Whether clients that the fleet does not know may be removed. */
  readonly exclusive: boolean;
  /** Between payloads: what the ledger brought meanwhile must not wait for the end of a comparison, least of all a revocation. */
  readonly giveTurn: () => Promise<void>;
  /** Whether a device was dealt with in such a turn: what was read of it before is out of date. */
  readonly isTouched: (device: string) => boolean;
  readonly progress: Progress;
  /** Lists that are of another past than the fleet's. */
  readonly judgePassedOver: (lists: readonly PassedOver[]) => Promise<void>;
}

const devicesPerPage = 1000;
const questionsPerPayload = 100;
// A verbose client is some 100 bytes; Mosquitto builds the page while nothing else runs.
const clientsPerPage = 500;
/** Commands that give something, gathered before the first is sent. */
const mostHeldBack = 5000;
/** The broker's clock may be behind. */
const endsLater = Duration.days(1);

/** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED; then some of it is repaired, and the next time does the rest */
export async function reconcile(options: ReconcileOptions): Promise<Omit<Reconciliation, 'roles'>> {
  const { line, fleet, clock, types, dialect, giveTurn, isTouched } = options;
  const begun = performance.now();
  // First: what is read afterwards holds at least this much.
  const seq = await fleet.lastSeq();
  options.progress.seq = seq;
  if (dialect.knowsSerials) await sendSerials(options);
  const actual = await listClients(line);
  const counts = { devices: 0, missing: 0, changed: 0, stale: 0, foreign: 0, untyped: 0 };
  const queue = createQueue(options);
  const made = new Map<string, WantedClient>();

  for await (const devices of devicePages(fleet)) {
    for (const device of devices) {
      counts.devices++;
      const client = actual.get(device.id);
      actual.delete(device.id);
      if (isTouched(device.id)) continue;
      if (device.state === 'active' && !types.has(device.type)) {
        counts.untyped++;
        continue;
      }
      const isOver = !dialect.fillsNames && (await isOverFor(fleet, device, clock.now()));
      const wanted = { ...wantedOf(device, types), isOver };
      const { kind, commands } = compare(wanted, client, dialect);
      if (kind === 'missing') made.set(device.id, wanted);
      if (kind !== 'same') counts[kind]++;
      if (commands.length === 0) options.progress.done.add(device.id);
      await queue.add(commands, device.state === 'active' ? 'gives' : 'takes');
    }
    await giveTurn();
  }
  for (const username of actual.keys()) {
    // Names with an "@" are of services, and brokers have admins of their own.
    if (!isDeviceId(username) || isTouched(username)) continue;
    counts.foreign++;
    if (options.exclusive) await queue.add([{ command: 'deleteClient', username }], 'takes');
  }
  await queue.flush();
  // Who was made by somebody else since the listing: Mosquitto's supervisor denies whom it does not know yet.
  const others = queue.thereAlready().flatMap((name) => made.get(name) ?? []);
  for (let start = 0; start < others.length; start += questionsPerPayload) {
    const some = others.slice(start, start + questionsPerPayload);
    const clients = await line.ask(
      some.map(({ device }) => ({ command: 'getClient', username: device })),
      isMissing,
    );
    for (const [position, wanted] of some.entries()) {
      const answer = clients[position];
      if (answer === undefined || isMissing(answer) || isTouched(wanted.device)) continue;
      const client = readClient(readObject(answer.data, 'client'));
      await queue.add(correctionsFor(wanted, client, dialect), 'gives');
    }
  }
  await queue.flush();
  await options.judgePassedOver(queue.passedOver());
  const failure = queue.failure();
  if (failure !== undefined) throw failure;
  return { at: clock.now(), milliseconds: Math.round(performance.now() - begun), seq, ...counts };
}

/** What the fleet says of a device. @throws {KeylineError} DEVICE_TYPE_UNKNOWN for an active one: what it may is not known */
export function wantedOf(device: Device, types: DeviceTypes): WantedClient {
  const type = types.get(device.type);
  if (type === undefined && device.state === 'active') {
    throw new KeylineError(
      'DEVICE_TYPE_UNKNOWN',
      `The device "${device.id}" is of the type "${device.type}", which ca-config/types.yaml has no more. Bring it back, or decommission the device.`,
    );
  }
  return {
    device: device.id,
    state: device.state,
    role: type?.role ?? '',
    restarts: false,
    serials: listOf(device),
  };
}

/** Certificates that a device may come with: the newest, after the one that may be used in its place. */
export function listOf({ serial, predecessor }: Pick<Device, 'serial' | 'predecessor'>): string[] {
  return [predecessor, serial].filter((one) => one !== null);
}

/** Whether a device that was let go of could show no certificate any more, so that a broker may forget it. */
export async function isOverFor(
  fleet: Pick<FleetReader, 'listCertificatesOf'>,
  { id, state, notAfter }: Device,
  now: number,
): Promise<boolean> {
  const ended = state === 'revoked' || state === 'decommissioned';
  if (!ended || (notAfter !== null && now < notAfter + endsLater)) return false;
  // An earlier one may have been made for longer than the newest.
  const certificates = await fleet.listCertificatesOf(id);
  return certificates.every((certificate) => now >= certificate.notAfter + endsLater);
}

function compare(
  wanted: WantedClient,
  client: ActualClient | undefined,
  dialect: Dialect,
): { kind: 'same' | 'missing' | 'changed' | 'stale'; commands: DynsecCommand[] } {
  const commands = correctionsFor(wanted, client, dialect);
  // Forgetting one that is over is no repair.
  // Nor is a certificate that was issued while the broker was being listed.
  const isListed = commands.every(({ command }) => command === 'admitCertificates');
  if (isListed || wanted.isOver === true) return { kind: 'same', commands };
  if (client === undefined) return { kind: 'missing', commands };
  const ended = wanted.state === 'revoked' || wanted.state === 'decommissioned';
  return { kind: ended ? 'stale' : 'changed', commands };
}

export async function* devicePages(
  fleet: Pick<FleetReader, 'listDevices'>,
): AsyncGenerator<readonly Device[]> {
  let cursor: string | undefined;
  do {
    const page = await fleet.listDevices({ limit: devicesPerPage, cursor });
    yield page.items;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}

async function listClients(line: BrokerLine): Promise<Map<string, ActualClient>> {
  const clients = new Map<string, ActualClient>();
  for (let offset = 0; ; offset += clientsPerPage) {
    const [answer] = await line.ask([
      { command: 'listClients', verbose: true, count: clientsPerPage, offset },
    ]);
    const page = readList(answer?.data, 'clients');
    for (const client of page) {
      const { username } = client;
      if (typeof username === 'string') clients.set(username, readClient(client));
    }
    if (page.length < clientsPerPage) return clients;
  }
}

/** Certificates that ended for good. A hold is no such: the device is refused by its name. */
async function sendSerials({ line, fleet, clock, giveTurn }: ReconcileOptions): Promise<void> {
  for (const { id: authority } of await fleet.listAuthorities()) {
    for await (const page of revokedPages(fleet, { authority, endsFrom: clock.now() })) {
      const serials = page.flatMap(({ serial, reason }) =>
        reason === 'certificateHold' ? [] : [serial],
      );
      if (serials.length > 0) await line.ask([{ command: 'revokeCertificates', serials }]);
      await giveTurn();
    }
  }
}

/**
 * Commands gathered into payloads of the size that suits the broker. What takes rights away goes first: a broker that came back from
 * an older backup lets in who was revoked since.
 */
function createQueue({
  line,
  giveTurn,
  isTouched,
  progress,
}: Pick<ReconcileOptions, 'line' | 'giveTurn' | 'isTouched' | 'progress'>): {
  add(commands: readonly DynsecCommand[], effect: 'takes' | 'gives'): Promise<void>;
  flush(): Promise<void>;
  /** Clients that were to be made and are there, since the start. */
  thereAlready(): readonly string[];
  passedOver(): readonly PassedOver[];
  /** What the broker refused first. One refusal keeps nothing from the others. */
  failure(): KeylineError | undefined;
} {
  const there = new Set<string>();
  const refused = new Set<string>();
  const passedOver: PassedOver[] = [];
  let failure: KeylineError | undefined;
  const waiting: Record<'takes' | 'gives', DynsecCommand[]> = { takes: [], gives: [] };
  async function send(effect: 'takes' | 'gives'): Promise<void> {
    while (waiting[effect].length > 0) {
      const commands = waiting[effect]
        .splice(0, line.payloadSize())
        .filter(({ username }) => !isTouched(username as string));
      if (commands.length === 0) continue;
      const answers = await line.sendAll(commands);
      for (const [position, answer] of answers.entries()) {
        const username = commands[position]?.['username'] as string;
        passedOver.push(...readPassedOver(answer));
        // Somebody else may have done the same in the meantime.
        if (isThereAlready(answer)) there.add(username);
        else if (answer.error !== undefined && !isMissing(answer)) {
          failure ??= line.refused(commands[position], answer);
          refused.add(username);
        }
        if (!there.has(username) && !refused.has(username)) progress.done.add(username);
      }
      // Its last commands may be in the next payload.
      const [next] = waiting[effect];
      if (next !== undefined) progress.done.delete(next['username'] as string);
      await giveTurn();
    }
  }
  async function flush(): Promise<void> {
    await send('takes');
    await send('gives');
  }
  return {
    flush,
    thereAlready: () => [...there],
    passedOver: () => passedOver,
    failure: () => failure,
    async add(commands, effect) {
      waiting[effect].push(...commands);
      if (waiting.takes.length >= line.payloadSize()) await send('takes');
      if (waiting.gives.length >= mostHeldBack) await flush();
    },
  };
}
