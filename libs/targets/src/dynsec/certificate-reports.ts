// What a broker says of certificates that its clients came with, read as defensively as everything that comes over the wire.
import type { CertificateReport } from '../target.ts';
import { readList } from './dynsec-messages.ts';

export function readReports(data: unknown): {
  readonly start: string;
  readonly last: number;
  readonly reports: readonly CertificateReport[];
} {
  const { start, last } = (data ?? {}) as Readonly<Record<string, unknown>>;
  const reports = readList(data, 'reports').flatMap(({ kind, username, serial, address }) => {
    if (kind !== 'used' && kind !== 'unlisted') return [];
    if (typeof username !== 'string' || typeof serial !== 'string') return [];
    if (!/^(?:[0-9a-f]{2}){1,20}$/.test(serial)) return [];
    return [
      {
        kind,
        device: username,
        serial,
        address: typeof address === 'string' ? address : '',
      } as const,
    ];
  });
  return {
    start: typeof start === 'string' ? start : '',
    last: Number.isSafeInteger(last) ? (last as number) : 0,
    reports,
  };
}
