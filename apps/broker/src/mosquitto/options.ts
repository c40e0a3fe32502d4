// What Mosquitto is run with, and what its supervisor needs of the process around it.
import type { Logger } from 'pino';
import type { Clock } from '@keyline/kernel';
import type { BrokerOptions } from '../options.ts';

export interface MosquittoOptions extends BrokerOptions {
  /** Path of the program; undefined: it is looked for. */
  readonly mosquitto: string | undefined;
  /** Folder laid out like ca-config: its roles become the acl_file. */
  readonly config: string;
  /** Plain HTTP, each a complete CRL. Every authority whose certificates may connect needs one as soon as there is one. */
  readonly crlUrls: readonly string[];
  /** With more of them, one a line; looked at again and again, because authorities come and go. */
  readonly crlUrlsFile: string | undefined;
}

export interface MosquittoContext {
  readonly log: Logger;
  readonly clock: Clock;
  readonly host: {
    /** undefined where there are none (Windows). */
    readonly uid: number | undefined;
    readonly env: NodeJS.ProcessEnv;
    /** Throws when there is no such process. */
    readonly signal: (pid: number, signal: NodeJS.Signals) => void;
  };
  readonly paces?: Partial<Paces>;
}

/** All in milliseconds. */
export interface Paces {
  /** Between two looks at the certificate files. */
  readonly certificates: number;
  /** Between two questions for a CRL. */
  readonly crl: number;
  /** Between two restarts that only make a CRL or a certificate known, in the long run. */
  readonly restarts: number;
  /** First pause before a crashed Mosquitto is started again; doubles up to `longestBackOff`. */
  readonly backOff: number;
  readonly longestBackOff: number;
}

export const defaultPaces: Paces = {
  certificates: 2000,
  crl: 100,
  restarts: 60_000,
  backOff: 500,
  longestBackOff: 30_000,
};
