// What may have been used up or revoked since a copy of the database was made, unseen.
import type { FleetContext, Write } from '@keyline/fleet';
import type { NewEntry } from '@keyline/ledger';

/** Whether a token was revoked or used up since, and how far a batch came, is not known: they end, and are made anew in a minute. */
export async function endTokensAndBatches(
  { store }: Pick<FleetContext, 'store'>,
  at: number,
): Promise<number> {
  let count = 0;
  const end = async (write: Write, data: NewEntry['data']): Promise<void> => {
    await store.commit({ writes: [write], entries: [{ at, actor: 'keyline', data }] });
    count++;
  };
  for await (const { id, revokedAt } of all((page) => store.listTokens(page))) {
    if (revokedAt !== null) continue;
    await end({ op: 'revoke-token', id, at }, { kind: 'token-revoked', token: id, use: 'enroll' });
  }
  for await (const { id, revokedAt } of all((page) => store.listApiTokens(page))) {
    if (revokedAt !== null) continue;
    await end({ op: 'revoke-api-token', id, at }, { kind: 'token-revoked', token: id, use: 'api' });
  }
  for await (const { id, state, quota } of all((page) => store.listBatches(page))) {
    if (state === 'closed') continue;
    await end({ op: 'close-batch', id }, { kind: 'batch-closed', batch: id, quota });
  }
  return count;
}

async function* all<Item>(
  list: (page: {
    limit: number;
    cursor?: string | undefined;
  }) => Promise<{ items: readonly Item[]; nextCursor: string | null }>,
): AsyncGenerator<Item> {
  let cursor: string | undefined;
  do {
    const page = await list({ limit: 500, cursor });
    yield* page.items;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}
