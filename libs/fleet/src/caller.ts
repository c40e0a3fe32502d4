// Who is asking, after an edge has proved it.
import type { NewEntry } from '@keyline/ledger';
import type { CallerRole, Certificate } from './model.ts';

export interface Caller {
  readonly role: CallerRole;
  /** Operator, station or device name, or the id of an API token. */
  readonly name: string;
  readonly via: 'certificate' | 'token';
  /** The client certificate the caller proved, when there is one. */
  readonly certificate?: Certificate;
  /** IP address at the other end of the connection; absent where there is none. */
  readonly address?: string | undefined;
}

/** How the ledger names a caller: `operator:alice@keyline`, `device:d1`. */
export function actorOf(caller: Caller): string {
  return `${caller.role}:${caller.name}`;
}

/** Who an entry is by, and from where. */
export function entryBy(caller: Caller | 'keyline'): Pick<NewEntry, 'actor' | 'address'> {
  if (caller === 'keyline') return { actor: 'keyline' };
  return { actor: actorOf(caller), address: caller.address };
}
