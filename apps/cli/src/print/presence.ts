// Who is online and when it was last seen, in words.
import type { PresenceView } from '@keyline/api';
import { formatDuration } from '@keyline/kernel';

export function formatOnline({ status }: PresenceView): string {
  return { online: 'yes', offline: 'no', unknown: 'unknown' }[status];
}

/** `now`, `2h 5m ago`; `never`, where every broker tells and none has; else `unknown`. */
export function formatLastSeen({ status, lastSeen }: PresenceView, now: number): string {
  if (status === 'online') return 'now';
  if (lastSeen === null) return status === 'offline' ? 'never' : 'unknown';
  return `${formatDuration(Math.max(0, now - Date.parse(lastSeen)))} ago`;
}

/** `MQTT 5`, with the client id where it is not the device's own. */
export function formatClient({ protocol, clientId }: PresenceView, device: string): string {
  const words = [
    ...(protocol === null ? [] : [`MQTT ${protocol}`]),
    ...(clientId === null || clientId === device ? [] : [`as ${clientId}`]),
  ];
  return words.length === 0 ? '-' : words.join(' ');
}
