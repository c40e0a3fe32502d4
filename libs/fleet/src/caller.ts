// Who is asking, after an edge has proved it.
import type { CallerRole, Certificate } from './model.ts';

export interface Caller {
  readonly role: CallerRole;
  /** Operator, station or device name, or the id of an API token. */
  readonly name: string;
  readonly via: 'certificate' | 'token';
  /** The client certificate the caller proved, when there is one. */
  readonly certificate?: Certificate;
}

/** How the ledger names a caller: `operator:alice@keyline`, `device:d1`. */
export function actorOf(caller: Caller): string {
  return `${caller.role}:${caller.name}`;
}
