// What an older copy of the database is kept from: CRL numbers that were used, and certificates that it does not know.
import type { Write } from '@keyline/fleet';
import type { Database } from 'better-sqlite3';
import { hexBytes } from './rows.ts';
import type { Refusal } from './writes.ts';

type Op = 'raise-crl-number' | 'quarantine-certificate' | 'decide-quarantine';

export function prepareQuarantineWrites(db: Database): {
  [Each in Op]: (write: Extract<Write, { op: Each }>) => Refusal;
} {
  const raiseFloor = db.prepare(
    `INSERT INTO crl_floors (list, number) VALUES (?, ?)
     ON CONFLICT (list) DO UPDATE SET number = max(number, excluded.number)`,
  );
  const quarantine = db.prepare(
    `INSERT INTO quarantine (serial, identity, authority, der, seen_by, address, first_at, last_at, state)
     SELECT ?, ?, ?, ?, ?, ?, ?, ?, 'waiting'
     WHERE NOT EXISTS (SELECT 1 FROM certificates WHERE serial = ?)
     ON CONFLICT (serial) DO UPDATE SET last_at = max(last_at, excluded.last_at),
       authority = coalesce(authority, excluded.authority), der = coalesce(der, excluded.der)`,
  );
  const decide = db.prepare(
    `UPDATE quarantine SET state = ?, decided_by = ?, decided_at = ?
     WHERE serial = ? AND state = 'waiting'`,
  );
  return {
    'raise-crl-number': ({ list, number }) => {
      raiseFloor.run(list, number);
      return undefined;
    },
    'quarantine-certificate': ({ serial, identity, authority, der, seenBy, address, at }) => {
      const bytes = hexBytes(serial);
      const values = [identity, authority, der, seenBy, address, at, at, bytes];
      return quarantine.run(bytes, ...values).changes > 0
        ? undefined
        : { code: 'STORE_CONFLICT', context: { serial } };
    },
    'decide-quarantine': ({ serial, state, by, at }) =>
      decide.run(state, by, at, hexBytes(serial)).changes > 0
        ? undefined
        : { code: 'STORE_CONFLICT', context: { serial } },
  };
}
