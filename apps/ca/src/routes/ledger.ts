// The ledger: who did what, over the whole fleet.
import type { EntryView } from '@keyline/api';
import { formatInstant } from '@keyline/kernel';
import { subjectOf, type LedgerEntry } from '@keyline/ledger';
import { instantOf } from '../identity-answers.ts';
import { pageOf } from '../page-of.ts';
import type { ServiceContext } from '../service-context.ts';
import type { Register } from './register.ts';

export function registerLedger(register: Register, { fleet, limits }: ServiceContext): void {
  register('listLedger', async ({ query }) => {
    const { device, actor, kind, since, after } = query;
    const { items, nextCursor, lastSeq } = await fleet.store.searchEntries({
      ...{ subject: device, actor, kind, after },
      since: since === undefined ? undefined : instantOf(since),
      ...pageOf(query, limits),
    });
    return { items: items.map(viewEntry), nextCursor, lastSeq };
  });
}

export function viewEntry(entry: LedgerEntry): EntryView {
  const { seq, at, actor, address, data } = entry;
  const { kind, ...rest } = data;
  return {
    ...{ seq, at: formatInstant(at), actor, address: address ?? null, kind },
    subject: subjectOf(entry),
    data: { ...rest },
  };
}
