// The CRLs Mosquitto checks by: fetched often, believed only when they hold, and kept in one file.
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { formatDuration, KeylineError, messageOf, type Clock } from '@keyline/kernel';
import { encodePem } from '@keyline/x509';
import type { MarkedCrl } from './canary.ts';
import type { WrittenCrls } from './crl-evidence.ts';
import { judgeCrl, type GoodCrl, type Issuers } from './judge-crl.ts';
import { runtimeFiles, type RuntimeFolder } from './runtime-folder.ts';

interface CrlWatchOptions {
  readonly urls: readonly string[];
  /** With more of them, one a line. */
  readonly urlsFile: string | undefined;
  readonly folder: RuntimeFolder;
  readonly issuers: () => Issuers;
  readonly interval: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onFailure: () => void;
  /** What stands last in the file, so that it can be seen whether the file was read. @param thisUpdate of the list that changed */
  readonly mark: (thisUpdate: number) => Promise<MarkedCrl>;
  /** The file was written. */
  readonly onWritten: (
    written: WrittenCrls,
    how: {
      readonly revocationsChanged: boolean;
      /** One that was there is listed no more: its authority's devices are let in no more. */
      readonly authorityGone: boolean;
    },
  ) => void;
}

export interface WatchedCrl {
  /** `issuing-1.crl`. */
  readonly name: string;
  readonly number: bigint;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly revoked: number;
}

interface Source {
  readonly url: string;
  readonly name: string;
  etag: string | undefined;
  crl: GoodCrl | undefined;
  complaint: string;
}

const largestBytes = 256 * 1024 * 1024;
const fetchTimeout = 10_000;
const warnEvery = 60_000;

export class CrlWatch {
  readonly #options: CrlWatchOptions;
  #sources: readonly Source[] = [];
  #complaint = '';
  /** The list of addresses was read, and so may be empty for a reason: of no authority anybody is let in. */
  #isListRead = false;
  #names: ReadonlySet<string> = new Set();
  readonly #stop = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #written = '';
  #inFile: ReadonlySet<Uint8Array> = new Set();
  #revocations = '';
  #warnedAt = -Infinity;

  constructor(options: CrlWatchOptions) {
    this.#options = options;
  }

  /** Those that were fetched and hold; what Mosquitto does by is another question. */
  get crls(): readonly WatchedCrl[] {
    return this.#sources.flatMap(({ name, crl }) => (crl === undefined ? [] : [{ name, ...crl }]));
  }

  /** Of all of them together. */
  get bytes(): number {
    return this.#sources.reduce((sum, { crl }) => sum + (crl?.der.length ?? 0), 0);
  }

  /** Answers when there is a good CRL from every address, from before or from now: without one of them its devices are all refused. */
  async start(): Promise<void> {
    const { interval, log } = this.#options;
    const { signal } = this.#stop;
    let said = false;
    for (;;) {
      signal.throwIfAborted();
      await this.#round();
      if (this.#isListRead && this.crls.length === this.#sources.length) break;
      if (!said) {
        said = true;
        log.warn(
          { event: 'waiting for CRL' },
          'Mosquitto is started when there is a good CRL from every address: without it, all devices would be refused',
        );
      }
      await sleep(Math.max(interval, 50), undefined, { signal });
    }
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      try {
        await sleep(this.#options.interval, undefined, { signal });
      } catch {
        return; // stopped
      }
      await this.#round();
      this.#warnOfEnd();
    }
  }

  async #round(): Promise<void> {
    const { log, onFailure } = this.#options;
    await this.#findSources();
    for (const source of this.#sources) {
      if (this.#isStopped()) return;
      try {
        await this.#ask(source);
        source.complaint = '';
      } catch (error) {
        if (this.#isStopped()) return;
        onFailure();
        const complaint = messageOf(error);
        // Said once: it is asked for again a moment later.
        if (complaint !== source.complaint) {
          log.error(
            { event: 'CRL not taken', url: source.url, error: complaint },
            `the CRL at ${source.url} was not taken, the last good one stays in use: ${complaint}`,
          );
        }
        source.complaint = complaint;
      }
    }
    await this.#write();
  }

  async #ask(source: Source): Promise<void> {
    const response = await fetch(source.url, {
      redirect: 'error',
      headers: source.etag === undefined ? {} : { 'if-none-match': source.etag },
      signal: AbortSignal.any([this.#stop.signal, AbortSignal.timeout(fetchTimeout)]),
    });
    if (response.status === 304) {
      await response.body?.cancel();
      return;
    }
    if (response.status !== 200) {
      await response.body?.cancel();
      throw new KeylineError('SERVICE_UNREACHABLE', `It answered ${String(response.status)}.`);
    }
    source.crl = this.#judge(await readBody(response), source.crl);
    source.etag = response.headers.get('etag') ?? undefined;
  }

  #judge(der: Uint8Array, previous: GoodCrl | undefined): GoodCrl {
    const { clock, issuers } = this.#options;
    return judgeCrl(der, { now: clock.now(), issuers: issuers(), previous });
  }

  async #write(): Promise<void> {
    const { folder, log, mark, onWritten, clock } = this.#options;
    const named = this.crls;
    const crls = this.#sources.flatMap(({ crl }) => (crl === undefined ? [] : [crl]));
    // One of a new authority may still be missing: its devices are refused until it is there, and nobody else. Where none is listed any
    // more, what the file holds must go: the authority it speaks for was revoked.
    if (crls.length === 0 && (this.#sources.length > 0 || !this.#isListRead)) return;
    const pem = crls.map(({ der }) => encodePem('X509 CRL', der)).join('');
    const print = createHash('sha256').update(pem).digest('hex');
    if (print === this.#written) return;
    const changed = crls.filter(({ der }) => !this.#inFile.has(der));
    let marked: MarkedCrl;
    try {
      const newest = (changed.length > 0 ? changed : crls).map(thisUpdateOf);
      marked = await mark(newest.length === 0 ? clock.now() : Math.max(...newest));
      for (const { url, crl } of this.#sources) if (crl) await folder.put(keptName(url), crl.der);
      await folder.put(runtimeFiles.crl, pem + marked.pem);
    } catch (error) {
      log.error(
        { event: 'CRL not written', error: messageOf(error) },
        `the CRL file could not be written, and is tried again: ${messageOf(error)}`,
      );
      return;
    }
    this.#written = print;
    this.#inFile = new Set(crls.map(({ der }) => der));
    const revocations = crls.map(({ revocations: each }) => each).join();
    const revocationsChanged = revocations !== this.#revocations;
    this.#revocations = revocations;
    const names = new Set(named.map(({ name }) => name));
    const authorityGone = [...this.#names].some((name) => !names.has(name));
    this.#names = names;
    onWritten({ crls: named, canary: marked.canary }, { revocationsChanged, authorityGone });
  }

  async #findSources(): Promise<void> {
    const { urls, urlsFile, log } = this.#options;
    let listed: readonly string[];
    try {
      const text = urlsFile === undefined ? '' : await readFile(urlsFile, 'utf8');
      listed = text.split('\n').filter((line) => line.startsWith('http://') && URL.canParse(line));
      this.#complaint = '';
      this.#isListRead = true;
    } catch (error) {
      const complaint = messageOf(error);
      if (complaint !== this.#complaint) {
        log.error(
          { event: 'CRL addresses not read', error: complaint },
          `the addresses of the CRLs can't be read, the last ones stay in use: ${complaint}`,
        );
      }
      this.#complaint = complaint;
      return;
    }
    const wanted = [...new Set([...urls, ...listed])];
    const known = new Map(this.#sources.map((source) => [source.url, source]));
    const sources: Source[] = [];
    for (const url of wanted) sources.push(known.get(url) ?? (await this.#createSource(url)));
    this.#sources = sources;
  }

  /** With what was good when this last ran, so that a start needs nobody else. */
  async #createSource(url: string): Promise<Source> {
    const name = new URL(url).pathname.split('/').at(-1) ?? url;
    let crl: GoodCrl | undefined;
    try {
      const kept = await this.#options.folder.read(keptName(url));
      if (kept !== undefined) crl = this.#judge(kept, undefined);
    } catch {
      // It does not hold any more: the one in force is fetched.
    }
    return { url, name, etag: undefined, crl, complaint: '' };
  }

  #warnOfEnd(): void {
    const { clock, log } = this.#options;
    if (performance.now() - this.#warnedAt < warnEvery) return;
    for (const { name, crl } of this.#sources) {
      if (crl === undefined) continue;
      const left = crl.nextUpdate - clock.now();
      const share = left / (crl.nextUpdate - crl.thisUpdate);
      if (share > 1 / 3) continue;
      this.#warnedAt = performance.now();
      log[share > 1 / 10 ? 'warn' : 'error'](
        { event: 'CRL ends', crl: name, number: String(crl.number), nextUpdate: crl.nextUpdate },
        left > 0
          ? `the CRL ${name} ends in ${formatDuration(left)} and no newer one came: from then on Mosquitto refuses every device. See why the issuing CA publishes none.`
          : `the CRL ${name} has ended: Mosquitto refuses every device until the issuing CA publishes a new one.`,
      );
    }
  }
}

function thisUpdateOf({ thisUpdate }: GoodCrl): number {
  return thisUpdate;
}

function keptName(url: string): string {
  return `crl-${createHash('sha256').update(url).digest('hex').slice(0, 16)}.der`;
}

/** @throws {KeylineError} REQUEST_TOO_LARGE */
async function readBody({ body }: Response): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  if (body !== null) {
    for await (const part of body as AsyncIterable<Uint8Array>) {
      bytes += part.length;
      if (bytes > largestBytes) {
        throw new KeylineError('REQUEST_TOO_LARGE', 'It is larger than 256 MiB.');
      }
      parts.push(part);
    }
  }
  return Buffer.concat(parts);
}
