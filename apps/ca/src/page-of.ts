// How much of a list one answer holds: what was asked for, within what ca-config allows.
import type { ServiceConfig } from '@keyline/config';

interface PageQuery {
  readonly limit?: number | undefined;
  readonly cursor?: string | undefined;
}

/** Less than was asked for is no fault: the answer says where the next page begins. */
export function pageOf(
  { limit, cursor }: PageQuery,
  { pageSize, maxPageSize }: Pick<ServiceConfig['limits'], 'pageSize' | 'maxPageSize'>,
): { readonly limit: number; readonly cursor: string | undefined } {
  return { limit: Math.min(limit ?? pageSize, maxPageSize), cursor };
}
