// That the database is an older copy, and nobody has said yet that all is seen to: what others deny they deny for a reason.
import type { StoreReader } from './ports.ts';

/** No look at how things stand can end it: it is there until somebody acknowledges it, over restarts. */
export const restoredAlertKey = 'database:keyline.db:restored';

export async function isRestoredUnseen(store: Pick<StoreReader, 'findAlert'>): Promise<boolean> {
  return (await store.findAlert(restoredAlertKey))?.resolvedAt === null;
}
