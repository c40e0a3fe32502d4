// Who administers, held to keys: the certificates in the --admin-certificate files. They are looked at again and again, because an
// issuing CA makes itself a new key at each start.
import { readFile, stat } from 'node:fs/promises';
import type { Logger } from 'pino';
import { messageOf } from '@keyline/kernel';
import { keyIdOf, readCertificates } from './client-authorities.ts';

interface AdminCertificatesOptions {
  readonly files: readonly string[];
  readonly log: Logger;
  /** Milliseconds between two looks at the files. */
  readonly interval: number;
  readonly onChange: () => void;
}

export class AdminCertificates {
  readonly #options: AdminCertificatesOptions;
  /** By CN: ids of keys. */
  #keys: ReadonlyMap<string, ReadonlySet<string>> = new Map();
  #stamp: string | undefined;
  #complaint = '';
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  constructor(options: AdminCertificatesOptions) {
    this.#options = options;
  }

  /** Whether anybody is held to a key at all. */
  get areGiven(): boolean {
    return this.#options.files.length > 0;
  }

  async start(): Promise<void> {
    if (!this.areGiven) return;
    await this.check();
    this.#timer = setInterval(() => void this.check(), this.#options.interval).unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  isPinned(name: string, keyId: string): boolean {
    return this.#keys.get(name)?.has(keyId) === true;
  }

  /** Looks at the files now. */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  async #check(): Promise<void> {
    const { files, log, onChange } = this.#options;
    const stamp = (await Promise.all(files.map(stampOf))).join(' ');
    if (stamp === this.#stamp) return;
    const keys = new Map<string, Set<string>>();
    const complaints: string[] = [];
    for (const file of files) {
      try {
        for (const certificate of readCertificates(await readFile(file))) {
          // Node gives one CN as a string, and several as an array: none of ours has several.
          const name = certificate.toLegacyObject().subject.CN as unknown;
          if (typeof name !== 'string') throw new Error('a certificate in it has not one CN');
          const known = keys.get(name) ?? new Set();
          keys.set(name, known.add(keyIdOf(certificate.publicKey)));
        }
      } catch (error) {
        complaints.push(`${file}: ${messageOf(error)}`);
      }
    }
    const complaint = complaints.join('; ');
    if (complaint !== '' && complaint !== this.#complaint) {
      log.warn(
        { event: 'administrators unknown', error: complaint },
        `certificates of administrators can't be read, so those are not let in; looked at again: ${complaint}`,
      );
    }
    this.#complaint = complaint;
    this.#stamp = stamp;
    this.#keys = keys;
    onChange();
  }
}

async function stampOf(file: string): Promise<string> {
  try {
    const { ino, size, mtimeMs } = await stat(file);
    return `${String(ino)}/${String(size)}/${String(mtimeMs)}`;
  } catch {
    return 'none'; // said when it is read
  }
}
