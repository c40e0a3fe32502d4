// Which certificates of a client are on the issuing CA's list, oldest first: Keyline's own extension. A client without a list is one that
// nobody keeps a list for, and any certificate of its name will do.
import { isFields, readField, readText, Refusal } from './fields.ts';
import type { Command } from './command.ts';
import { normalizeSerial } from './serial.ts';
import type { Client } from './state.ts';

/** `unlisted`: superseded by one that was used, or never issued: both are for the issuing CA to tell apart. */
export type CertificateVerdict = 'listed' | 'unlisted' | 'no list';

/** A client that was seen with a certificate the list says something of: for the issuing CA. */
export interface CertificateReport {
  /** Grows by one with each. */
  readonly n: number;
  /** `used`: for the first time, in place of an earlier one; `unlisted`: it was refused. */
  readonly kind: 'used' | 'unlisted';
  readonly username: string;
  readonly serial: string;
  /** Of the peer. */
  readonly address: string;
}

/** More are not kept at once: a device renews, is lost and comes back, and somebody may try many times. */
const mostListed = 8;
const mostReports = 1000;

// One string for the list: a fleet has a million of them, nearly all of one certificate.
export const listedSerials = (client: Pick<Client, 'serials'>): readonly string[] =>
  client.serials === undefined ? [] : client.serials.split(',');

export function joinSerials(serials: readonly string[]): string | undefined {
  return serials.length === 0 ? undefined : serials.slice(-mostListed).join(',');
}

/**
 * `{certificates: [{username, serial, predecessor?}]}`: each is put behind those that are listed; with a predecessor these two are all
 * there is. Clients that are not there are passed over: the list comes with them when they are made.
 */
export const admitCertificates: Command = (given, { state }) => {
  const entries = readField(given, 'certificates');
  if (!Array.isArray(entries)) throw new Refusal('Invalid/missing certificates');
  for (const { username, serial, predecessor } of entries.map(readEntry)) {
    const client = state.clients.get(username);
    if (client === undefined) continue;
    const listed = predecessor === undefined ? listedSerials(client) : [predecessor];
    // In its place if it is there: the list is in the order of issuance, and the same news may come twice.
    if (listed.includes(serial)) continue;
    const serials = joinSerials([...listed, serial]);
    if (serials === client.serials) continue;
    client.serials = serials;
    state.touchClient(client);
  }
  return undefined;
};

function readEntry(entry: unknown): {
  readonly username: string;
  readonly serial: string;
  readonly predecessor: string | undefined;
} {
  const fields = isFields(entry) ? entry : {};
  const username = readText(fields, 'username');
  const serial = normalizeSerial(readText(fields, 'serial') ?? '');
  if (username === undefined || serial === undefined) throw new Refusal('Invalid certificate');
  const before = readField(fields, 'predecessor');
  if (before === undefined) return { username, serial, predecessor: undefined };
  const predecessor = typeof before === 'string' ? normalizeSerial(before) : undefined;
  if (predecessor === undefined) throw new Refusal('Invalid predecessor');
  return { username, serial, predecessor };
}

export class CertificateReports {
  readonly #reports = new Map<string, CertificateReport>();
  #last = 0;

  get last(): number {
    return this.#last;
  }

  /** One for each certificate and kind, the newest: whoever comes again and again does not push out the others. */
  add(report: Omit<CertificateReport, 'n'>): void {
    this.#last += 1;
    const key = `${report.kind} ${report.serial}`;
    this.#reports.delete(key);
    this.#reports.set(key, { ...report, n: this.#last });
    if (this.#reports.size <= mostReports) return;
    const [oldest] = this.#reports.keys();
    if (oldest !== undefined) this.#reports.delete(oldest);
  }

  after(n: number): CertificateReport[] {
    return [...this.#reports.values()].filter((report) => report.n > n);
  }
}
