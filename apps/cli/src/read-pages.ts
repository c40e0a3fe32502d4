// A list of the service, page by page, as far as it was asked for.

/** What the options of every list say of its length. */
export interface ListLength {
  /** At most so many; 100 when absent. */
  readonly limit?: number;
  /** All of them, whatever the limit. */
  readonly all?: boolean;
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor: string | null;
}

/** Items of one request: what the service gives at most. */
const pageSize = 1000;

/** @param read one page. @returns with the cursor of what is left, null when that was all */
export async function readPages<Item>(
  { limit = 100, all = false }: ListLength,
  read: (page: { readonly limit: number; readonly cursor?: string }) => Promise<Page<Item>>,
): Promise<{ readonly items: Item[]; readonly nextCursor: string | null }> {
  const wanted = all ? Number.POSITIVE_INFINITY : limit;
  const items: Item[] = [];
  let nextCursor: string | null = null;
  do {
    const page: Page<Item> = await read({
      limit: Math.min(pageSize, wanted - items.length),
      ...(nextCursor === null ? {} : { cursor: nextCursor }),
    });
    items.push(...page.items);
    nextCursor = page.nextCursor;
  } while (nextCursor !== null && items.length < wanted);
  return { items, nextCursor };
}
