// How the API shows who is there, and what was refused to whom.
import type { PresenceView, RefusalList } from '@keyline/api';
import type { Presence, RefusalRow } from '@keyline/fleet';
import { formatInstant } from '@keyline/kernel';
import { optionalInstant } from './views.ts';

const protocols = new Map([
  [3, '3.1'],
  [4, '3.1.1'],
  [5, '5'],
]);

export function viewPresence({ status, lastSeen, since, seen }: Presence): PresenceView {
  return {
    status,
    lastSeen: optionalInstant(lastSeen),
    since: optionalInstant(since),
    broker: seen?.target ?? null,
    address: orNull(seen?.address),
    clientId: orNull(seen?.clientId),
    protocol: protocols.get(seen?.protocol ?? 0) ?? null,
  };
}

export function viewRefusal(row: RefusalRow): RefusalList['items'][number] {
  const { event, reason, count, happened, remedy, proven } = row;
  return {
    ...{ event, reason, topic: orNull(row.topic), count },
    firstAt: formatInstant(row.firstAt),
    lastAt: formatInstant(row.lastAt),
    broker: row.target,
    address: orNull(row.address),
    clientId: orNull(row.clientId),
    serial: orNull(row.serial),
    ...{ happened, remedy, proven },
  };
}

const orNull = (text: string | undefined): string | null => (text ? text : null);
