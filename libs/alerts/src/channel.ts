// Where alerts go. A channel delivers what the ledger says, at least once, in order.
import type { Alert } from '@keyline/fleet';

export interface AlertChange {
  readonly status: 'firing' | 'resolved';
  /** Ledger position and time of the change. */
  readonly seq: number;
  readonly at: number;
  readonly alert: Alert;
}

export interface AlertChannel {
  readonly name: string;
  /** Whether it could deliver now, without telling anybody anything. @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
  probe(): Promise<void>;
  /** Rejects when something was not delivered, or `stop` told it to give up; everything given then comes again. */
  deliver(changes: readonly AlertChange[], stop?: AbortSignal): Promise<void>;
}

/** What a structured logger such as pino offers. */
export interface AlertLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}
