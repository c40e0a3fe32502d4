// `keyline ledger`.
import { setTimeout as sleep } from 'node:timers/promises';
import type { EntryView, LedgerPage } from '@keyline/api';
import type { ApiClient, RouteInput } from '@keyline/client';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { parsePast } from '../device/list-devices.ts';
import { openClient } from '../find-service.ts';
import { formatEntryDetails } from '../print/entry.ts';
import { formatTable } from '../print/table.ts';
import { formatSecond } from '../print/time.ts';

type Filter = Pick<RouteInput<'listLedger'>['query'], 'device' | 'actor' | 'kind' | 'since'>;

export interface LedgerOptions extends ClientOptions {
  readonly device?: string;
  readonly actor?: string;
  readonly kind?: NonNullable<Filter['kind']>;
  readonly since?: string;
  readonly limit?: number;
  readonly follow?: boolean;
}

/** Milliseconds between two looks. */
const pace = 1000;
const pageSize = 1000;

export async function showLedger(context: CliContext, options: LedgerOptions): Promise<void> {
  const client = await openClient(context, options);
  const filter = filterOf(options, context.clock.now());
  try {
    const newest = await listNewest(client, filter, options.limit ?? 50);
    if (options.follow === true) {
      await follow(context, client, { filter, newest, isJson: options.json === true });
      return;
    }
    const { items, nextCursor } = newest;
    if (options.json === true) {
      printJson(context, { items, nextCursor });
      return;
    }
    if (items.length === 0) {
      context.terminal.err('No entry is like that.\n');
      return;
    }
    context.terminal.out(formatTable(headings, items.map(rowOf)));
    if (nextCursor !== null) context.terminal.err('There may be more: a larger --limit.\n');
  } finally {
    client.close();
  }
}

async function listNewest(client: ApiClient, filter: Filter, limit: number): Promise<LedgerPage> {
  const items: EntryView[] = [];
  let cursor: string | null = null;
  let lastSeq: number | undefined;
  // A page may be empty and have a next one.
  do {
    const page: LedgerPage = await client.call('listLedger', {
      query: {
        ...{ ...filter, limit: Math.min(pageSize, limit - items.length) },
        ...(cursor === null ? {} : { cursor }),
      },
    });
    items.push(...page.items);
    cursor = page.nextCursor;
    lastSeq ??= page.lastSeq;
  } while (cursor !== null && items.length < limit);
  return { items, nextCursor: cursor, lastSeq };
}

/** Prints as it comes: lines of a table, or a JSON document a line. */
async function follow(
  context: CliContext,
  client: ApiClient,
  given: { readonly filter: Filter; readonly newest: LedgerPage; readonly isJson: boolean },
): Promise<void> {
  const { filter, newest, isJson } = given;
  const stop = new AbortController();
  const release = context.onStopSignal(() => {
    stop.abort();
  });
  let isFirst = true;
  const print = (items: readonly EntryView[]): void => {
    if (isJson) {
      context.terminal.out(items.map((item) => `${JSON.stringify(item)}\n`).join(''));
      return;
    }
    const lines = formatTable(headings, items.map(rowOfStream)).split('\n');
    const shown = isFirst ? lines : lines.slice(1);
    isFirst = false;
    context.terminal.out(shown.join('\n'));
  };
  try {
    print(newest.items.toReversed());
    let after = newest.lastSeq;
    let cursor: string | null = null;
    while (!stop.signal.aborted) {
      const page: LedgerPage = await client.call('listLedger', {
        query: { ...filter, after, limit: pageSize, ...(cursor === null ? {} : { cursor }) },
      });
      if (page.items.length > 0) print(page.items);
      cursor = page.nextCursor;
      if (cursor !== null) continue;
      after = page.lastSeq;
      await sleep(pace, undefined, { signal: stop.signal }).catch(() => undefined); // stopped
    }
  } finally {
    release();
  }
}

const headings = ['WHEN (UTC)', 'WHAT', 'SUBJECT', 'WHO', 'FROM', 'ENTRY', 'DETAILS'];

function rowOf({ at, kind, subject, actor, address, seq, data }: EntryView): (string | number)[] {
  return [
    formatSecond(at),
    ...[kind, subject, actor, address ?? '-', seq],
    formatEntryDetails(data),
  ];
}

/** What comes later can't be known, so its columns are as wide as most need. */
function rowOfStream(entry: EntryView): string[] {
  const widths = [19, 23, 20, 24, 15, 7];
  return rowOf(entry).map((cell, column) => String(cell).padEnd(widths[column] ?? 0));
}

function filterOf({ device, actor, kind, since }: LedgerOptions, now: number): Filter {
  return {
    ...(device === undefined ? {} : { device }),
    ...(actor === undefined ? {} : { actor }),
    ...(kind === undefined ? {} : { kind }),
    ...(since === undefined ? {} : { since: parsePast(since, now) }),
  };
}
