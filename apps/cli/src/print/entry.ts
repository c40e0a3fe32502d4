// An entry of the ledger as people read it.
import type { EntryView } from '@keyline/api';

/** What stands in a column of its own, or says nothing of what happened, is left out: the device, its type and role. */
export function formatEntryDetails(data: EntryView['data']): string {
  const shown = Object.entries(data).filter(([name]) => !['device', 'type', 'role'].includes(name));
  return shown.map(([name, value]) => `${name}=${formatDetail(name, value)}`).join(' ');
}

function formatDetail(name: string, value: unknown): string {
  if (name === 'notAfter' && typeof value === 'number') return new Date(value).toISOString();
  if (Array.isArray(value)) return value.map(String).join(',');
  return typeof value === 'string' ? value : JSON.stringify(value);
}
