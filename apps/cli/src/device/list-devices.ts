// `keyline device list`.
import type { DeviceList } from '@keyline/api';
import type { RouteInput } from '@keyline/client';
import { openClient } from '../find-service.ts';
import { formatInstant, KeylineError, parseDuration } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { readPages } from '../read-pages.ts';
import { formatClient, formatLastSeen, formatOnline } from '../print/presence.ts';
import { formatTable } from '../print/table.ts';
import { formatEnd } from '../print/time.ts';

export interface DeviceListOptions extends ClientOptions {
  readonly state?: string;
  readonly type?: string;
  readonly batch?: string;
  readonly label?: string;
  readonly expiresBefore?: string;
  readonly query?: string;
  readonly online?: boolean;
  readonly notSeenSince?: string;
  readonly limit?: number;
  readonly all?: boolean;
}

export async function listDevices(context: CliContext, options: DeviceListOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const { items, nextCursor } = await readPages(options, (page) =>
      client.call('listDevices', { query: { ...filterOf(options, context.clock.now()), ...page } }),
    );

    if (options.json === true) {
      printJson(context, { items, nextCursor });
      return;
    }
    if (items.length === 0) {
      context.terminal.err('No device is like that.\n');
      return;
    }
    context.terminal.out(formatDevices(items, context.clock.now()));
    if (nextCursor !== null) context.terminal.err('There are more: --all, or a larger --limit.\n');
  } finally {
    client.close();
  }
}

function formatDevices(items: DeviceList['items'], now: number): string {
  return formatTable(
    [
      ...['ID', 'STATE', 'ONLINE', 'LAST SEEN', 'ADDRESS', 'CLIENT', 'TYPE', 'BATCH'],
      'CERTIFICATE ENDS (UTC)',
    ],
    items.map(({ id, state, type, batch, notAfter, presence }) => [
      id,
      state,
      formatOnline(presence),
      formatLastSeen(presence, now),
      presence.address ?? '-',
      formatClient(presence, id),
      type,
      batch ?? '-',
      formatEnd(notAfter, now),
    ]),
  );
}

/** Filters go to the service as they are: it knows which states and labels there are. */
function filterOf(
  options: DeviceListOptions,
  now: number,
): Omit<RouteInput<'listDevices'>['query'], 'limit' | 'cursor'> {
  const { state, type, batch, label, query, expiresBefore, online, notSeenSince } = options;
  return {
    ...(state === undefined
      ? {}
      : { state: state as NonNullable<RouteInput<'listDevices'>['query']['state']> }),
    ...(type === undefined ? {} : { type }),
    ...(batch === undefined ? {} : { batch }),
    ...(label === undefined ? {} : { label }),
    ...(query === undefined ? {} : { q: query }),
    ...(expiresBefore === undefined ? {} : { expiresBefore: parseTime(expiresBefore, now) }),
    ...(online === true ? { online: 'true' } : {}),
    ...(notSeenSince === undefined ? {} : { notSeenSince: parsePast(notSeenSince, now) }),
  };
}

/** RFC 3339, or how long ago: `7d`, `12h`. @throws {KeylineError} USAGE */
export function parsePast(text: string, now: number): string {
  const instant = Date.parse(parseTime(text, now));
  // A distance goes back from now; a time is as it is.
  return /^(?:\d+[a-z]|P)/i.test(text) ? formatInstant(2 * now - instant) : formatInstant(instant);
}

/** RFC 3339, or a distance from now: `30d`, `12h`. @throws {KeylineError} USAGE */
export function parseTime(text: string, now: number): string {
  const instant = /^\d{4}-\d\d-\d\d(T\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d))?$/i.test(text)
    ? Date.parse(text)
    : now + distanceOf(text);
  if (Number.isNaN(instant)) {
    throw new KeylineError(
      'USAGE',
      `"${text.slice(0, 40)}" is not a time: write 2027-01-31T00:00:00Z (RFC 3339), or 30d.`,
    );
  }
  return formatInstant(instant);
}

/** NaN when it is none. */
function distanceOf(text: string): number {
  try {
    return parseDuration(text);
  } catch {
    return Number.NaN; // the caller says what it may be
  }
}
