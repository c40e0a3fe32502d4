// `keyline batch create|list|show|quota|close`.
import type { BatchList, BatchView } from '@keyline/api';
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatFacts, formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export interface CreateBatchOptions extends ClientOptions {
  readonly quota: number;
  readonly type?: string;
  readonly idPattern?: string;
  readonly station?: readonly string[];
  readonly label?: Readonly<Record<string, string>>;
  readonly rework?: boolean;
  readonly endsIn?: string;
}

export interface QuotaOptions extends ClientOptions {
  readonly set: number;
}

export async function createBatch(
  context: CliContext,
  id: string,
  options: CreateBatchOptions,
): Promise<void> {
  const { quota, type, idPattern, station, label, rework, endsIn } = options;
  const client = await openClient(context, options);
  try {
    const batch = await client.call('createBatch', {
      body: {
        id,
        quota,
        ...(type === undefined ? {} : { type }),
        ...(idPattern === undefined ? {} : { idPattern }),
        ...(station === undefined ? {} : { stations: [...station] }),
        ...(label === undefined ? {} : { labels: { ...label } }),
        ...(rework === undefined ? {} : { rework }),
        ...(endsIn === undefined ? {} : { endsIn }),
      },
    });
    printBatch(context, batch, options);
  } finally {
    client.close();
  }
}

export async function showBatch(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    printBatch(context, await client.call('getBatch', { params: { id } }), options);
  } finally {
    client.close();
  }
}

export async function closeBatch(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    printBatch(context, await client.call('closeBatch', { params: { id }, body: {} }), options);
  } finally {
    client.close();
  }
}

export async function changeQuota(
  context: CliContext,
  id: string,
  options: QuotaOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const input = { params: { id }, body: { quota: options.set } };
    printBatch(context, await client.call('changeQuota', input), options);
  } finally {
    client.close();
  }
}

export async function listBatches(context: CliContext, options: ClientOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const items: BatchList['items'] = [];
    let cursor: string | null = null;
    do {
      const page: BatchList = await client.call('listBatches', {
        query: { limit: 1000, ...(cursor === null ? {} : { cursor }) },
      });
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    if (options.json === true) {
      printJson(context, { items, nextCursor: null });
      return;
    }
    if (items.length === 0) {
      context.terminal.err('There is no batch. "keyline batch create ID --quota N" opens one.\n');
      return;
    }
    const now = context.clock.now();
    context.terminal.out(
      formatTable(
        ['ID', 'STATE', 'TYPE', 'SIGNED', 'QUOTA', 'ENDS (UTC)'],
        items.map(({ id, state, type, issued, quota, endsAt }) => [
          id,
          state,
          type,
          issued,
          quota,
          formatTimeAndDistance(endsAt, now),
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

function printBatch(context: CliContext, batch: BatchView, options: ClientOptions): void {
  if (options.json === true) {
    printJson(context, batch);
    return;
  }
  const labels = Object.entries(batch.labels).map(([name, value]) => `${name}=${value}`);
  context.terminal.out(
    formatFacts([
      ['batch', batch.id],
      ['state', batch.state],
      ['signed', `${String(batch.issued)} of ${String(batch.quota)}`],
      ['type', batch.type],
      ['ids', batch.idPattern ?? 'any'],
      ['stations', batch.stations.length === 0 ? 'any' : batch.stations.join(' ')],
      ['labels', labels.length === 0 ? undefined : labels.join(' ')],
      ['rework', batch.rework ? 'allowed' : 'not allowed'],
      ['ends', formatTimeAndDistance(batch.endsAt, context.clock.now())],
      ['opened by', batch.createdBy],
    ]),
  );
}
