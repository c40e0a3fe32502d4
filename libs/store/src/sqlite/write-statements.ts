// The statements behind the writes, prepared once.
import type { Database, Statement } from 'better-sqlite3';

const insertCertificate = `INSERT INTO certificates (serial, kind, owner, profile, authority, not_before, not_after, spki_sha256, der, crl_shard, state, revoked_at, reason, entry)`;
/** Of the value it is set beside: SQLite reads the row as it was. */
const predecessor =
  'predecessor = CASE WHEN serial IS @serial THEN predecessor ELSE @predecessor END';
const marks = '?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?';

export function prepareStatements(db: Database) {
  const sql = (text: string): Statement => db.prepare(text);
  return {
    insertDevice: sql(
      `INSERT INTO devices (id, type, batch, labels, state, version, created_at, updated_at, serial, not_after, entry, admission, predecessor)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    // Two searches by index: for the id in small letters, and among those with capitals.
    idInOtherCase: sql(
      `SELECT id FROM devices WHERE id = lower(@id) AND id <> @id
       UNION ALL
       SELECT id FROM devices WHERE lower(id) = lower(@id) AND id <> lower(id) AND id <> @id
       LIMIT 1`,
    ).pluck(),
    updateDevice: sql(
      `UPDATE devices SET state = @state, version = version + 1, updated_at = @at, serial = @serial, not_after = @notAfter, entry = @entry, ${predecessor}
       WHERE id = @id AND version = @expectVersion`,
    ),
    updateDeviceType: sql('UPDATE devices SET type = ? WHERE id = ?'),
    // Most changes are renewals, which leave the state alone: no count to mend, and nothing to read before.
    updateDeviceInState: sql(
      `UPDATE devices SET version = version + 1, updated_at = @at, serial = @serial, not_after = @notAfter, entry = @entry, ${predecessor}
       WHERE id = @id AND version = @expectVersion AND state = @state`,
    ),
    updateDeviceAdmission: sql('UPDATE devices SET admission = entry WHERE id = ?'),
    updateDeviceBatch: sql('UPDATE devices SET batch = ? WHERE id = ?'),
    updateDeviceLabels: sql('UPDATE devices SET labels = ? WHERE id = ?'),
    deviceState: sql('SELECT state FROM devices WHERE id = ?').pluck(),
    insertLabel: sql('INSERT OR IGNORE INTO device_labels (name, value, device) VALUES (?, ?, ?)'),
    deleteLabel: sql('DELETE FROM device_labels WHERE name = ? AND value = ? AND device = ?'),
    deviceLabels: sql('SELECT labels FROM devices WHERE id = ?').pluck(),
    count: sql('UPDATE device_counts SET count = count + ? WHERE state = ?'),
    insertCertificate: sql(`${insertCertificate} VALUES (${marks}) ON CONFLICT DO NOTHING`),
    // Signed before its authority (once more the last value) was revoked, and committed after: it must not come to be.
    insertOfValidAuthority: sql(
      `${insertCertificate} SELECT ${marks}
       WHERE NOT EXISTS (SELECT 1 FROM authorities WHERE id = ? AND state = 'revoked')
       ON CONFLICT DO NOTHING`,
    ),
    claimKey: sql('INSERT INTO keys (spki_sha256, owner) VALUES (?, ?) ON CONFLICT DO NOTHING'),
    keyOwner: sql('SELECT owner FROM keys WHERE spki_sha256 = ?').pluck(),
    supersede: sql('UPDATE certificates SET state = 1 WHERE serial = ? AND state = 0'),
    revoke: sql(
      'UPDATE certificates SET state = 2, revoked_at = ?, reason = ?, entry = ? WHERE serial = ? AND state <> 2',
    ),
    certificateState: sql('SELECT state FROM certificates WHERE serial = ?').pluck(),
    unhold: sql(
      `UPDATE certificates SET state = 0, revoked_at = NULL, reason = NULL, entry = ?
       WHERE serial = ? AND state = 2 AND reason = 'certificateHold'`,
    ),
    endPredecessor: sql(
      `UPDATE devices SET version = version + 1, predecessor = NULL
       WHERE id = ? AND serial = ? AND predecessor IS NOT NULL`,
    ),
    allowRenewal: sql(
      `INSERT INTO renewal_allowances (device, until) VALUES (?, ?)
       ON CONFLICT (device) DO UPDATE SET until = excluded.until`,
    ),
    endAllowance: sql('DELETE FROM renewal_allowances WHERE device = ?'),
    insertApproval: sql(
      `INSERT INTO approvals (id, action, input, summary, requested_by, requested_at, expires_at, state, decided_by, decided_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    decideApproval: sql(
      `UPDATE approvals SET state = @state, decided_by = @by, decided_at = @at
       WHERE id = @id AND state = 'open' AND expires_at > @at`,
    ),
    insertToken: sql(
      `INSERT INTO tokens (id, secret_hash, description, id_pattern, type, labels, max_uses, uses, expires_at, created_at, created_by, revoked_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    useToken: sql(
      `UPDATE tokens SET uses = uses + 1
       WHERE id = ? AND uses < max_uses AND revoked_at IS NULL AND expires_at > ?`,
    ),
    token: sql('SELECT revoked_at, expires_at FROM tokens WHERE id = ?'),
    revokeToken: sql('UPDATE tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?'),
    insertApiToken: sql(
      `INSERT INTO api_tokens (id, secret_hash, description, role, expires_at, created_at, created_by, revoked_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    ),
    revokeApiToken: sql('UPDATE api_tokens SET revoked_at = coalesce(revoked_at, ?) WHERE id = ?'),
    insertBatch: sql(
      `INSERT INTO batches (id, type, quota, issued, id_pattern, stations, labels, rework, state, ends_at, created_at, created_by)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    takeQuota: sql(
      `UPDATE batches SET issued = issued + @units
       WHERE id = @id AND issued + @units <= quota AND state = 'open' AND ends_at > @at`,
    ),
    changeQuota: sql(
      `UPDATE batches SET quota = @quota
       WHERE id = @id AND issued <= @quota AND state = 'open' AND ends_at > @at`,
    ),
    batch: sql('SELECT state, ends_at, issued FROM batches WHERE id = ?'),
    closeBatch: sql(`UPDATE batches SET state = 'closed' WHERE id = ?`),
    insertAuthority: sql(
      `INSERT INTO authorities (id, state, certificate, root, crl_shards, created_at)
       VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    authorityState: sql('SELECT state FROM authorities WHERE id = ?').pluck(),
    updateAuthority: sql(
      `UPDATE authorities SET state = ?, certificate = coalesce(?, certificate), root = coalesce(?, root),
         crl_shards = coalesce(?, crl_shards), revoked_at = coalesce(?, revoked_at), reason = coalesce(?, reason)
       WHERE id = ?`,
    ),
    putTrust: sql('INSERT INTO trust (der, added_at) VALUES (?, ?) ON CONFLICT DO NOTHING'),
    assignProfile: sql(
      `INSERT INTO profile_issuers (profile, authority) VALUES (?, ?)
       ON CONFLICT (profile) DO UPDATE SET authority = excluded.authority`,
    ),
    insertCrl: sql(
      `INSERT INTO crls (list, number, base_number, der, parts, this_update, next_update, ledger_seq, answers)
       SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?
       WHERE NOT EXISTS (SELECT 1 FROM crls WHERE list = ? AND number >= ?)
         AND NOT EXISTS (SELECT 1 FROM crl_floors WHERE list = ? AND number >= ?)`,
    ),
    countPieces: sql('SELECT count(*) FROM crl_parts WHERE parts = ?').pluck(),
    // A complete CRL takes the place of all before it, a delta that of the deltas before it.
    pruneCrls: sql('DELETE FROM crls WHERE list = ? AND number < ?'),
    pruneDeltas: sql('DELETE FROM crls WHERE list = ? AND number < ? AND base_number IS NOT NULL'),
    putAlert: sql(
      `INSERT INTO alerts (key, severity, summary, count, examples, first_at, last_at, resolved_at)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?)
       ON CONFLICT (key) DO UPDATE SET severity = excluded.severity, summary = excluded.summary,
         count = excluded.count, examples = excluded.examples, first_at = excluded.first_at,
         last_at = excluded.last_at, resolved_at = excluded.resolved_at`,
    ),
    // A few at a time: what ended overnight must not hold up the first request of the morning.
    pruneIdempotency: sql(
      `DELETE FROM idempotency WHERE key IN
         (SELECT key FROM idempotency WHERE expires_at <= ? ORDER BY expires_at LIMIT 100)`,
    ),
    endIdempotency: sql('DELETE FROM idempotency WHERE key = ? AND expires_at <= ?'),
    insertIdempotency: sql(
      `INSERT INTO idempotency (key, request_hash, status, body, expires_at)
       VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    insertLease: sql(
      `INSERT INTO leases (name, holder, epoch, beat, until)
       VALUES (?, ?, 1, 0, ?) ON CONFLICT DO NOTHING`,
    ),
    takeLease: sql(
      `UPDATE leases SET holder = ?, until = ?, epoch = epoch + 1, beat = 0
       WHERE name = ? AND epoch = ? AND beat = ?`,
    ),
    renewLease: sql(
      `UPDATE leases SET beat = beat + 1, until = ?
       WHERE name = ? AND epoch = ? AND holder IS NOT NULL`,
    ),
    releaseLease: sql(
      `UPDATE leases SET beat = beat + 1, holder = NULL
       WHERE name = ? AND epoch = ? AND holder IS NOT NULL`,
    ),
    heldLease: sql(
      'SELECT 1 FROM leases WHERE name = ? AND epoch = ? AND holder IS NOT NULL',
    ).pluck(),
    moveCursor: sql(
      `INSERT INTO cursors (follower, seq) VALUES (?, ?)
       ON CONFLICT (follower) DO UPDATE SET seq = max(seq, excluded.seq)`,
    ),
  };
}
