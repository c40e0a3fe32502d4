// The revoked certificates of an authority, page by page, however many there are.
import type { CrlEntry } from '@keyline/pki';
import type { StoreReader } from './ports.ts';

const pageSize = 2000;

/** By serial. What is revoked meanwhile may or may not be among them. */
export async function* revokedPages(
  store: Pick<StoreReader, 'listRevoked'>,
  which: Pick<Parameters<StoreReader['listRevoked']>[0], 'authority' | 'shard' | 'endsFrom'>,
): AsyncGenerator<readonly CrlEntry[]> {
  for (let after: CrlEntry['serial'] | undefined; ;) {
    const page = await store.listRevoked({ ...which, after, limit: pageSize });
    if (page.length > 0) yield page;
    if (page.length < pageSize) return;
    after = page.at(-1)?.serial;
  }
}
