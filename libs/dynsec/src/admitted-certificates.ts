// Which certificates of a client are on the issuing CA's list, oldest first: Keyline's own extension. A client without a list is one that
// nobody keeps a list for, and any certificate of its name will do.
import { isFields, readField, readFlag, readText, Refusal } from './fields.ts';
import type { Command } from './command.ts';
import { normalizeSerial } from './serial.ts';
import type { Client } from './state.ts';

/** `unlisted`: superseded by one that was used, or never issued: both are for the issuing CA to tell apart. */
export type CertificateVerdict = 'listed' | 'unlisted' | 'no list';

/** More are not kept at once: a device renews, is lost and comes back, and somebody may try many times. */
const mostListed = 8;
const mostReports = 1000;

// One string for the list: a fleet has a million of them, nearly all of one certificate.
export const listedSerials = (client: Pick<Client, 'serials'>): readonly string[] =>
  client.serials === undefined ? [] : client.serials.split(',');

export function joinSerials(serials: readonly string[]): string | undefined {
  return serials.length === 0 ? undefined : serials.slice(-mostListed).join(',');
}

interface Entry {
  readonly username: string;
  readonly serial: string;
  /** Undefined: nothing is said of what is there already. Null: there is none. */
  readonly predecessor: string | null | undefined;
  readonly anew: boolean;
}

/**
 * `{certificates: [{username, serial, predecessor?, anew?}]}`. Without `predecessor` the certificate is put behind those that are listed.
 * With it, what is listed before the certificate goes, but for the predecessor (null: for none), and the sessions of what goes are cut.
 * Clients that are not there are passed over: the list comes with them when they are made. So is a list on which neither of the two is:
 * it is of another past than the caller's, and `{passedOver: [{username, serials}]}` says so; `anew` has it replaced.
 */
export const admitCertificates: Command = (given, { state, effects }) => {
  const entries = readField(given, 'certificates');
  if (!Array.isArray(entries)) throw new Refusal('Invalid/missing certificates');
  const passedOver: { readonly username: string; readonly serials: readonly string[] }[] = [];
  for (const entry of entries.map(readEntry)) {
    const { username } = entry;
    const client = state.clients.get(username);
    if (client === undefined) continue;
    const listed = listedSerials(client);
    const next = nextList(listed, entry);
    if (next === undefined) {
      passedOver.push({ username, serials: listed });
      continue;
    }
    const serials = joinSerials(next);
    if (serials === client.serials) continue;
    const gone = listed.filter((serial) => !next.includes(serial));
    if (gone.length > 0) effects.supersede(client, gone);
    client.serials = serials;
    state.touchClient(client);
  }
  return passedOver.length === 0 ? undefined : { passedOver };
};

/** @returns undefined for a list that is of another past */
function nextList(
  listed: readonly string[],
  { serial, predecessor, anew }: Entry,
): readonly string[] | undefined {
  const at = listed.indexOf(serial);
  // In its place if it is there: the list is in the order of issuance, and the same news may come twice.
  if (predecessor === undefined) return at < 0 ? [...listed, serial] : listed;
  const before = predecessor === null ? [] : [predecessor];
  if (listed.length === 0 || anew) return [...before, serial];
  // What went from the list because its successor was used does not come back, whatever is asked for.
  const kept = before.filter((one) => listed.includes(one));
  if (at >= 0) return [...kept.filter((one) => listed.indexOf(one) < at), ...listed.slice(at)];
  return kept.length > 0 ? [...kept, serial] : undefined;
}

function readEntry(entry: unknown): Entry {
  const fields = isFields(entry) ? entry : {};
  const username = readText(fields, 'username');
  const serial = normalizeSerial(readText(fields, 'serial') ?? '');
  if (username === undefined || serial === undefined) throw new Refusal('Invalid certificate');
  const anew = readFlag(fields, 'anew') ?? false;
  const before = readField(fields, 'predecessor');
  if (before === undefined || before === null) {
    return { username, serial, predecessor: before, anew };
  }
  const predecessor = typeof before === 'string' ? normalizeSerial(before) : undefined;
  if (predecessor === undefined) throw new Refusal('Invalid predecessor');
  return { username, serial, predecessor, anew };
}

/**
 * `{uses: [{username, serial}]}`: the issuing CA has it on record that these successors were used, so they are reported no more. Another use
 * of the same client since stays.
 */
export const settleCertificateUses: Command = (given, { state }) => {
  const entries = readField(given, 'uses');
  if (!Array.isArray(entries)) throw new Refusal('Invalid/missing uses');
  for (const { username, serial } of entries.map(readEntry)) state.settleUse(username, serial);
  return undefined;
};

/** A client that was refused with a certificate that is not on its list. */
export interface UnlistedReport {
  /** Grows by one with each. */
  readonly n: number;
  readonly kind: 'unlisted';
  readonly username: string;
  readonly serial: string;
  /** Of the peer. */
  readonly address: string;
}

/** Of those that were refused: in memory, because whoever is refused comes again. */
export class UnlistedReports {
  readonly #reports = new Map<string, UnlistedReport>();
  #last = 0;

  get last(): number {
    return this.#last;
  }

  /** One for each certificate, the newest: whoever comes again and again does not push out the others. */
  add(report: Pick<UnlistedReport, 'username' | 'serial' | 'address'>): void {
    this.#last += 1;
    this.#reports.delete(report.serial);
    this.#reports.set(report.serial, { n: this.#last, kind: 'unlisted', ...report });
    if (this.#reports.size <= mostReports) return;
    const [oldest] = this.#reports.keys();
    if (oldest !== undefined) this.#reports.delete(oldest);
  }

  after(n: number): UnlistedReport[] {
    return [...this.#reports.values()].filter((report) => report.n > n);
  }
}

/** Told at once; the others come when these are settled. */
export const mostUsesTold = 1000;
