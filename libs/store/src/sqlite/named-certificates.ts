// Pages of the certificates in force of what is no device: few, and together in an index of their own.
import type { Certificate, NamedCertificateFilter, Page } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import { certificateKindCodes } from './codes.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { hexBytes, toCertificate, type Row } from './rows.ts';

export function createNamedCertificateList(
  db: Database,
): (filter: NamedCertificateFilter) => Page<Certificate> {
  const statement = db.prepare(
    `SELECT * FROM certificates INDEXED BY certificates_infrastructure
     WHERE kind <> 0 AND state = 0 AND (owner, serial) > (@owner, @serial)
       AND (@kind IS NULL OR kind = @kind) AND not_after < @before
       AND owner >= @q AND owner < @q || char(1114111)
     ORDER BY owner, serial LIMIT @limit`,
  );
  return ({ kind, q = '', expiresBefore, limit, cursor }) => {
    // No name has a "/".
    const [owner = '', serial = ''] =
      cursor === undefined ? [] : decodeCursor('certificates', cursor).split('/');
    const rows = statement.all({
      ...{ owner, serial: hexBytes(serial), q, limit: limit + 1 },
      kind: kind === undefined ? null : certificateKindCodes.numbers[kind],
      before: expiresBefore ?? Number.MAX_SAFE_INTEGER,
    }) as Row[];
    const items = rows.slice(0, limit).map(toCertificate);
    const last = items.at(-1);
    const isMore = rows.length > limit && last !== undefined;
    const nextCursor = isMore ? encodeCursor('certificates', `${last.owner}/${last.serial}`) : null;
    return { items, nextCursor };
  };
}
