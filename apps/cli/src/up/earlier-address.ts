// How this Keyline was called before it moved: certificates name that until they end, so it goes on being answered.
import { isIP } from 'node:net';
import { isNodeError } from '@keyline/files';
import { formatInstant } from '@keyline/kernel';
import { tryListen } from './ports.ts';

/** How it was called before it moved. */
export interface EarlierAddress {
  readonly hosts: readonly string[];
  /** Origin of the plain listener, as certificates of then name it. */
  readonly http: string;
  /** IP address that was listened on. */
  readonly listen?: string | undefined;
  /** RFC 3339. */
  readonly leftAt: string;
}

interface Address {
  readonly hosts: readonly string[];
  /** Origin of the plain listener. */
  readonly http: string;
}

/** The earlier addresses after a move, without those that are in use again. */
export function leaveAddress(
  before: readonly EarlierAddress[] = [],
  {
    left,
    next,
    listen,
    now,
  }: {
    readonly left: Address;
    readonly next: Address;
    readonly listen: string | undefined;
    /** Epoch milliseconds. */
    readonly now: number;
  },
): EarlierAddress[] {
  const isTrueStill = (one: Address): boolean =>
    one.http === next.http && one.hosts.every((host) => next.hosts.includes(host));
  const others = before.filter(
    // Of two visits to one address the later counts.
    (one) => one.http !== left.http || one.hosts.some((host) => !left.hosts.includes(host)),
  );
  const last: EarlierAddress = {
    hosts: left.hosts,
    http: left.http,
    ...(listen === undefined ? {} : { listen }),
    leftAt: formatInstant(now),
  };
  return [...others, last].filter((one) => !isTrueStill(one));
}

interface Moved {
  readonly host: string;
  readonly listen?: string | undefined;
  readonly ports: { readonly http: number };
  readonly earlier?: readonly EarlierAddress[] | undefined;
}

/** Plain ports that certificates of earlier name. */
export function earlierHttpPortsOf({
  earlier = [],
  ports,
}: Pick<Moved, 'earlier' | 'ports'>): number[] {
  const found = earlier.map(({ http }) => Number(new URL(http).port || '80'));
  return [...new Set(found)].filter((port) => port !== ports.http);
}

const everywhere: readonly string[] = ['0.0.0.0', '::'];

/** Addresses of this machine that certificates of earlier name and that nothing listens on otherwise. @param say told of those it lost */
export async function findEarlierListens(
  { host, listen = host, earlier = [] }: Moved,
  say: (text: string) => void,
): Promise<string[]> {
  const isCovered = (address: string): boolean =>
    address === listen || listen === '::' || (listen === '0.0.0.0' && isIP(address) === 4);
  const named = new Set(
    earlier
      .flatMap((one) => [...one.hosts, ...(one.listen === undefined ? [] : [one.listen])])
      .filter((address) => isIP(address) !== 0 && !everywhere.includes(address)),
  );
  const found: string[] = [];
  for (const address of named) {
    if (isCovered(address)) continue;
    const error = await tryListen(address, 0);
    if (error === undefined) found.push(address);
    else if (isNodeError(error, 'EADDRNOTAVAIL')) {
      say(
        `certificates name the address ${address}, which this machine has no more: who checks them there gets no CRL and no OCSP. Let that address lead here, or renew its devices.`,
      );
    } else throw error;
  }
  return found;
}

export function isEarlierAddress(value: unknown): value is EarlierAddress {
  if (typeof value !== 'object' || value === null) return false;
  const { hosts, http, listen, leftAt } = value as Partial<EarlierAddress>;
  return (
    isTexts(hosts) &&
    typeof http === 'string' &&
    URL.canParse(http) &&
    (listen === undefined || isIP(listen) !== 0) &&
    !Number.isNaN(Date.parse(leftAt ?? ''))
  );
}

export function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}
