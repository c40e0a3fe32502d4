// The broker's own certificate and its CA file: loaded, checked, and noticed when they change.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { Stats } from 'node:fs';
import { open, stat } from 'node:fs/promises';
import { platform } from 'node:os';
import type { Logger } from 'pino';
import {
  assertPrivate,
  formatInstant,
  isKeylineError,
  KeylineError,
  messageOf,
  type Instant,
} from '@keyline/kernel';
import type { CertificateFiles } from './options.ts';

export interface ServerCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** What chains are checked against. */
  readonly ca: Buffer;
  /** Whose clients are let in. */
  readonly clientAuthorities: Buffer;
  readonly serialHex: string;
  readonly notAfter: Instant;
}

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, CONFIG_INVALID when key and certificate do not belong together */
export async function loadServerCertificate(files: CertificateFiles): Promise<ServerCertificate> {
  const [cert, key, ca, clientAuthorities] = await Promise.all([
    readPem(files.cert, 'server certificate'),
    readPem(files.key, 'server key', assertOwn),
    readPem(files.ca, 'CA file'),
    readPem(files.clientAuthorities ?? files.ca, 'file of client authorities'),
  ]);
  const leaf = parse(files.cert, () => new X509Certificate(cert));
  parse(files.ca, () => new X509Certificate(ca));
  const privateKey = parse(files.key, () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey)) {
    throw new KeylineError(
      'CONFIG_INVALID',
      `The key in ${files.key} does not belong to the certificate in ${files.cert}. Write both, certificate and key of one issuance.`,
    );
  }
  return {
    cert,
    key,
    ca,
    clientAuthorities,
    serialHex: leaf.serialNumber.toLowerCase(),
    notAfter: leaf.validToDate.getTime(),
  };
}

/** A key is its owner's alone. */
function assertOwn(path: string, { mode }: Stats): void {
  assertPrivate({ path, what: 'server key', mode, platform: platform() });
}

async function readPem(
  file: string,
  what: string,
  look: (path: string, status: Stats) => void = () => undefined,
): Promise<Buffer> {
  try {
    const handle = await open(file);
    try {
      look(file, await handle.stat());
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (error) {
    if (isKeylineError(error)) throw error;
    const missing = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new KeylineError(
      missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      `The ${what} ${file} ${missing ? 'is not there' : 'could not be read'}: give its path, readable by the broker’s user.`,
      { cause: error },
    );
  }
}

function parse<T>(file: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new KeylineError(
      'FILE_UNREADABLE',
      `${file} is not the PEM it should be: ${messageOf(error)}.`,
      { cause: error },
    );
  }
}

interface WatchOptions {
  readonly files: CertificateFiles;
  readonly log: Logger;
  /** Milliseconds between two looks at the files. */
  readonly interval: number;
  readonly onChange: (certificate: ServerCertificate) => void;
}

/**
 * Looks at the files' times and sizes now and then: unlike file notifications this also sees a renamed file, a bind mount and a
 * network folder. What does not fit together (only one of two files written so far) is tried again, and the old stays in use.
 */
export class CertificateWatch {
  readonly #options: WatchOptions;
  #stamp = '';
  #complaint = '';
  #timer: NodeJS.Timeout | undefined;
  #checking: Promise<void> | undefined;

  constructor(options: WatchOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    this.#stamp = await this.#readStamp();
    this.#timer = setInterval(() => void this.check(), this.#options.interval);
    this.#timer.unref();
  }

  /** Looks at once (SIGHUP). */
  check(): Promise<void> {
    this.#checking ??= this.#check().finally(() => {
      this.#checking = undefined;
    });
    return this.#checking;
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  async #check(): Promise<void> {
    const { files, log, onChange } = this.#options;
    try {
      const stamp = await this.#readStamp();
      if (stamp === this.#stamp) return;
      const certificate = await loadServerCertificate(files);
      onChange(certificate);
      this.#stamp = stamp;
      this.#complaint = '';
      log.info(
        { event: 'certificate swapped', serialHex: certificate.serialHex },
        `the server certificate was swapped; the new one is valid until ${formatInstant(certificate.notAfter)}`,
      );
    } catch (error) {
      // Said once per message: the files may be halfway through being replaced, and the next look may find them whole.
      const complaint = messageOf(error);
      if (complaint !== this.#complaint) {
        log.error(
          { event: 'certificate not swapped', error: complaint },
          `the changed certificate files can't be used, the old ones stay in use: ${complaint}`,
        );
      }
      this.#complaint = complaint;
    }
  }

  async #readStamp(): Promise<string> {
    const { cert, key, ca, clientAuthorities = ca } = this.#options.files;
    const files = [cert, key, ca, clientAuthorities];
    const stats = await Promise.all(files.map((file) => stat(file)));
    return stats.map(({ ino, size, mtimeMs }) => `${ino}/${size}/${mtimeMs}`).join(' ');
  }
}
