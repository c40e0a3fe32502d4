// Everything the use cases and followers read.
import type { Crl, DeviceState, StoreReader } from '@keyline/fleet';
import type { SerialHex } from '@keyline/kernel';
import type { CrlEntry, RevocationReason } from '@keyline/pki';
import type { Database } from 'better-sqlite3';
import { deviceStateCodes } from './codes.ts';
import { decodeCursor, encodeCursor } from './cursor.ts';
import { createEntrySearch } from './entry-search.ts';
import { createExpiryReads } from './expiry.ts';
import { createJobReads } from './job-reads.ts';
import { createDeviceList, createKeyedList, isService } from './lists.ts';
import { createNamedCertificateList } from './named-certificates.ts';
import { createPresenceReads } from './presence-reads.ts';
import {
  hexBytes,
  toAlert,
  toApiToken,
  toApproval,
  toAuthority,
  toBatch,
  toCertificate,
  toCrl,
  toDevice,
  toEntry,
  toIdempotency,
  toLease,
  toQuarantined,
  toToken,
  type Row,
} from './rows.ts';

export function createReads(db: Database): StoreReader {
  const one = <Item>(text: string, toItem: (row: Row) => Item) => {
    const statement = db.prepare(text);
    // Async so that the port is the same for a database that is across a network.
    return async (...values: (string | number | Buffer)[]): Promise<Item | undefined> => {
      const row = statement.get(...values) as Row | undefined;
      return row === undefined ? undefined : toItem(row);
    };
  };
  const many = <Item>(text: string, toItem: (row: Row) => Item) => {
    const statement = db.prepare(text);
    return async (...values: (string | number | Buffer)[]): Promise<readonly Item[]> =>
      (statement.all(...values) as Row[]).map(toItem);
  };

  const findCertificate = one('SELECT * FROM certificates WHERE serial = ?', toCertificate);
  const countIssued = db
    .prepare('SELECT count(*) FROM certificates WHERE owner = ? AND not_before > ?')
    .pluck();
  const allowance = db.prepare('SELECT until FROM renewal_allowances WHERE device = ?').pluck();
  const findAlert = one('SELECT * FROM alerts WHERE key = ?', toAlert);
  const findKeyOwner = one(
    'SELECT owner FROM keys WHERE spki_sha256 = ?',
    (row) => row['owner'] as string,
  );
  const findToken = one('SELECT * FROM tokens WHERE id = ?', toToken);
  const findTokenByHash = one('SELECT * FROM tokens WHERE secret_hash = ?', toToken);
  const findApiTokenByHash = one('SELECT * FROM api_tokens WHERE secret_hash = ?', toApiToken);
  const counts = db.prepare('SELECT state, count FROM device_counts');
  const services = db.prepare(
    `SELECT state, count(*) AS count FROM devices
     WHERE type <> 'default' AND ${isService('')} GROUP BY state`,
  );
  // An entry stays until it has been in a CRL that came after its certificate's end (RFC 5280 §3.3).
  const revoked = db.prepare(
    `SELECT serial, revoked_at, reason FROM certificates
     WHERE authority = ? AND state = 2 AND serial > ? AND not_after >= ? ORDER BY serial LIMIT ?`,
  );
  const revokedOfShard = db.prepare(
    `SELECT serial, revoked_at, reason FROM certificates
     WHERE authority = ? AND crl_shard = ? AND state = 2 AND serial > ? AND not_after >= ?
     ORDER BY serial LIMIT ?`,
  );
  const authorities = many('SELECT * FROM authorities ORDER BY rowid', toAuthority);
  const trust = many('SELECT der FROM trust ORDER BY rowid', (row) => row['der'] as Buffer);
  const profileIssuers = db.prepare('SELECT profile, authority FROM profile_issuers');
  const lastEnd = db
    .prepare('SELECT max(not_after) FROM certificates WHERE authority = ? AND state < 2')
    .pluck();
  const crlParts = db
    .prepare('SELECT der FROM crl_parts WHERE parts = ? ORDER BY position')
    .pluck();
  const toWholeCrl = (row: Row): Crl => {
    if (row['parts'] === null) return toCrl(row);
    return { ...toCrl(row), der: Buffer.concat(crlParts.all(row['parts']) as Buffer[]) };
  };
  const latestCrl = (condition: string) =>
    one(
      `SELECT * FROM crls WHERE list = ? AND base_number IS ${condition} ORDER BY number DESC LIMIT 1`,
      toWholeCrl,
    );
  const latestComplete = latestCrl('NULL');
  const latestDelta = latestCrl('NOT NULL');
  const openAlerts = many('SELECT * FROM alerts WHERE resolved_at IS NULL ORDER BY key', toAlert);
  const allAlerts = many('SELECT * FROM alerts ORDER BY last_at DESC, key', toAlert);
  // Not from memory: another service may have written.
  const lastSeq = db.prepare('SELECT max(seq) FROM ledger').pluck();
  const cursor = db.prepare('SELECT seq FROM cursors WHERE follower = ?').pluck();
  const crlFloor = db.prepare('SELECT number FROM crl_floors WHERE list = ?').pluck();
  const findQuarantined = one('SELECT * FROM quarantine WHERE serial = ?', toQuarantined);
  const quarantined = db.prepare(
    `SELECT * FROM quarantine WHERE (? = 1 OR state = 'waiting') AND (first_at, serial) > (?, ?)
     ORDER BY first_at, serial LIMIT ?`,
  );
  const waiting = "SELECT count(*) FROM quarantine WHERE state = 'waiting'";
  const countWaiting = db.prepare(waiting).pluck();
  const countWaitingOf = db.prepare(`${waiting} AND identity = ?`).pluck();
  const listDevices = createDeviceList(db);
  const searchEntries = createEntrySearch(db);
  const listTokens = createKeyedList(db, { table: 'tokens', key: 'id', toItem: toToken });
  const listApiTokens = createKeyedList(db, { table: 'api_tokens', key: 'id', toItem: toApiToken });
  const listApprovals = createKeyedList(db, { table: 'approvals', key: 'id', toItem: toApproval });
  const listNamed = createNamedCertificateList(db);
  const listBatches = createKeyedList(db, { table: 'batches', key: 'id', toItem: toBatch });

  return {
    ...createExpiryReads(db),
    ...createPresenceReads(db),
    ...createJobReads(db),
    findDevice: one('SELECT * FROM devices WHERE id = ?', toDevice),
    listDevices: async (filter) => listDevices(filter),
    countDevicesByState() {
      const result: Record<DeviceState, number> = {
        registered: 0,
        active: 0,
        suspended: 0,
        revoked: 0,
        decommissioned: 0,
      };
      for (const row of counts.all() as { state: number; count: number }[]) {
        result[deviceStateCodes.nameOf(row.state)] = row.count;
      }
      for (const row of services.all() as { state: number; count: number }[]) {
        result[deviceStateCodes.nameOf(row.state)] -= row.count;
      }
      return Promise.resolve(result);
    },
    findCertificate: (serial) => findCertificate(hexBytes(serial)),
    listNamedCertificates: async (filter) => listNamed(filter),
    listCertificatesOf: many(
      'SELECT * FROM certificates WHERE owner = ? ORDER BY not_before DESC, rowid DESC',
      toCertificate,
    ),
    countIssued: (owner, after) => Promise.resolve(countIssued.get(owner, after) as number),
    findAllowance: (device) => Promise.resolve(allowance.get(device) as number | undefined),
    findKeyOwner: (spkiSha256) => findKeyOwner(hexBytes(spkiSha256)),
    findToken,
    findTokenByHash: (hash) => findTokenByHash(hexBytes(hash)),
    listTokens: async (page) => listTokens(page),
    findApiToken: one('SELECT * FROM api_tokens WHERE id = ?', toApiToken),
    findApiTokenByHash: (hash) => findApiTokenByHash(hexBytes(hash)),
    listApiTokens: async (page) => listApiTokens(page),
    findBatch: one('SELECT * FROM batches WHERE id = ?', toBatch),
    listBatches: async (page) => listBatches(page),
    listRevoked({ authority, shard, endsFrom, after, limit }) {
      const from = after === undefined ? Buffer.alloc(0) : hexBytes(after);
      const rows =
        shard === undefined
          ? revoked.all(authority, from, endsFrom, limit)
          : revokedOfShard.all(authority, shard, from, endsFrom, limit);
      const entries = (rows as Row[]).map((row): CrlEntry => ({
        serial: (row['serial'] as Buffer).toString('hex') as SerialHex,
        revokedAt: row['revoked_at'] as number,
        reason: row['reason'] as RevocationReason,
      }));
      return Promise.resolve(entries);
    },
    listAuthorities: () => authorities(),
    listTrust: () => trust(),
    listProfileIssuers: () =>
      Promise.resolve(
        new Map(
          (profileIssuers.all() as { profile: string; authority: string }[]).map(
            ({ profile, authority }) => [profile, authority],
          ),
        ),
      ),
    findLastEnd: (authority) =>
      Promise.resolve((lastEnd.get(authority) as number | null) ?? undefined),
    findLatestCrl: (list, kind) => (kind === 'delta' ? latestDelta(list) : latestComplete(list)),
    findCrlFloor: (list) => Promise.resolve((crlFloor.get(list) ?? 0) as number),
    findQuarantined: (serial) => findQuarantined(hexBytes(serial)),
    async listQuarantined({ includeDecided, limit, cursor: given }) {
      const after = given === undefined ? '0:' : decodeCursor('quarantine', given);
      const colon = after.indexOf(':');
      const rows = quarantined.all(
        includeDecided ? 1 : 0,
        Number(after.slice(0, colon)),
        hexBytes(after.slice(colon + 1)),
        limit + 1,
      ) as Row[];
      const items = rows.slice(0, limit).map(toQuarantined);
      const last = items.at(-1);
      return {
        items,
        nextCursor:
          rows.length > limit && last !== undefined
            ? encodeCursor('quarantine', `${String(last.firstAt)}:${last.serial}`)
            : null,
      };
    },
    countQuarantined: (identity) =>
      Promise.resolve(
        (identity === undefined ? countWaiting.get() : countWaitingOf.get(identity)) as number,
      ),
    findIdempotency: one(
      'SELECT * FROM idempotency WHERE key = ? AND expires_at > ?',
      toIdempotency,
    ),
    findApproval: one('SELECT * FROM approvals WHERE id = ?', toApproval),
    listApprovals: async (page) => listApprovals(page),
    findAlert,
    listAlerts: ({ includeResolved }) => (includeResolved ? allAlerts() : openAlerts()),
    readEntries: many('SELECT * FROM ledger WHERE seq > ? ORDER BY seq LIMIT ?', toEntry),
    listEntriesOf: many(
      'SELECT * FROM ledger WHERE subject = ? ORDER BY seq DESC LIMIT ?',
      toEntry,
    ),
    searchEntries: async (search) => searchEntries(search),
    lastSeq: () => Promise.resolve((lastSeq.get() as number | null) ?? 0),
    findLease: one('SELECT * FROM leases WHERE name = ?', toLease),
    findCursor: (follower) => Promise.resolve((cursor.get(follower) as number | undefined) ?? 0),
  };
}
