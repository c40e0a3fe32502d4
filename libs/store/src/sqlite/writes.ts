// Each write of a unit of work as one guarded statement: what must still be true is in its WHERE clause.
import type { Write } from '@keyline/fleet';
import type { ErrorCode } from '@keyline/kernel';
import type { Database, Statement } from 'better-sqlite3';
import {
  certificateStateNumber,
  hexBytes,
  kindNumber,
  labelsText,
  stateNumber,
  type Row,
} from './rows.ts';

/** Why a write was refused; `undefined`: done. */
export type Refusal =
  | { readonly code: ErrorCode; readonly context?: Readonly<Record<string, string | number>> }
  | undefined;

export type ApplyWrite = (write: Write) => Refusal;

const newestCrlsKept = 5;

export function prepareWrites(db: Database): ApplyWrite {
  const sql = (text: string): Statement => db.prepare(text);
  const statements = {
    insertDevice: sql(
      `INSERT INTO devices (id, type, batch, labels, state, version, created_at, updated_at, serial, not_after)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    updateDevice: sql(
      `UPDATE devices SET state = ?, version = version + 1, updated_at = ?, serial = ?, not_after = ?
       WHERE id = ? AND version = ?`,
    ),
    updateDeviceType: sql('UPDATE devices SET type = ? WHERE id = ?'),
    updateDeviceBatch: sql('UPDATE devices SET batch = ? WHERE id = ?'),
    updateDeviceLabels: sql('UPDATE devices SET labels = ? WHERE id = ?'),
    deviceState: sql('SELECT state FROM devices WHERE id = ?').pluck(),
    insertLabel: sql('INSERT OR IGNORE INTO device_labels (name, value, device) VALUES (?, ?, ?)'),
    deleteLabel: sql('DELETE FROM device_labels WHERE name = ? AND value = ? AND device = ?'),
    deviceLabels: sql('SELECT labels FROM devices WHERE id = ?').pluck(),
    count: sql('UPDATE device_counts SET count = count + ? WHERE state = ?'),
    insertCertificate: sql(
      `INSERT INTO certificates (serial, kind, owner, profile, authority, not_before, not_after, spki_sha256, der, state, revoked_at, reason)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    claimKey: sql('INSERT INTO keys (spki_sha256, owner) VALUES (?, ?) ON CONFLICT DO NOTHING'),
    keyOwner: sql('SELECT owner FROM keys WHERE spki_sha256 = ?').pluck(),
    supersede: sql('UPDATE certificates SET state = 1 WHERE serial = ? AND state = 0'),
    revoke: sql(
      'UPDATE certificates SET state = 2, revoked_at = ?, reason = ? WHERE serial = ? AND state <> 2',
    ),
    certificateExists: sql('SELECT 1 FROM certificates WHERE serial = ?').pluck(),
    unhold: sql(
      `UPDATE certificates SET state = 0, revoked_at = NULL, reason = NULL
       WHERE serial = ? AND state = 2 AND reason = 'certificateHold'`,
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
    batch: sql('SELECT state, ends_at FROM batches WHERE id = ?'),
    closeBatch: sql(`UPDATE batches SET state = 'closed' WHERE id = ?`),
    insertAuthority: sql(
      `INSERT INTO authorities (id, state, certificate, root, created_at)
       VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    ),
    authorityState: sql('SELECT state FROM authorities WHERE id = ?').pluck(),
    updateAuthority: sql(
      `UPDATE authorities SET state = ?, certificate = coalesce(?, certificate), root = coalesce(?, root)
       WHERE id = ?`,
    ),
    assignProfile: sql(
      `INSERT INTO profile_issuers (profile, authority) VALUES (?, ?)
       ON CONFLICT (profile) DO UPDATE SET authority = excluded.authority`,
    ),
    insertCrl: sql(
      `INSERT INTO crls (authority, number, der, this_update, next_update, ledger_seq)
       SELECT ?, ?, ?, ?, ?, ?
       WHERE NOT EXISTS (SELECT 1 FROM crls WHERE authority = ? AND number >= ?)`,
    ),
    pruneCrls: sql('DELETE FROM crls WHERE authority = ? AND number <= ?'),
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
    moveCursor: sql(
      `INSERT INTO cursors (follower, seq) VALUES (?, ?)
       ON CONFLICT (follower) DO UPDATE SET seq = max(seq, excluded.seq)`,
    ),
  };
  const done = (statement: Statement, ...values: unknown[]): boolean =>
    statement.run(...values).changes > 0;

  function putLabels(device: string, labels: Readonly<Record<string, string>>): void {
    for (const name in labels) statements.insertLabel.run(name, labels[name], device);
  }

  const apply: { [Op in Write['op']]: (write: Extract<Write, { op: Op }>) => Refusal } = {
    'insert-device': ({ device }) => {
      const inserted = done(
        statements.insertDevice,
        device.id,
        device.type,
        device.batch,
        labelsText(device.labels),
        stateNumber(device.state),
        device.version,
        device.createdAt,
        device.updatedAt,
        device.serial === null ? null : hexBytes(device.serial),
        device.notAfter,
      );
      if (!inserted) return { code: 'DEVICE_EXISTS', context: { device: device.id } };
      putLabels(device.id, device.labels);
      statements.count.run(1, stateNumber(device.state));
      return undefined;
    },
    'update-device': (write) => {
      const before = statements.deviceState.get(write.id) as number | undefined;
      const state = stateNumber(write.state);
      const updated = done(
        statements.updateDevice,
        state,
        write.at,
        write.serial === null ? null : hexBytes(write.serial),
        write.notAfter,
        write.id,
        write.expectVersion,
      );
      if (!updated || before === undefined) {
        return { code: 'DEVICE_CHANGED', context: { device: write.id } };
      }
      if (before !== state) {
        statements.count.run(-1, before);
        statements.count.run(1, state);
      }
      if (write.type !== undefined) statements.updateDeviceType.run(write.type, write.id);
      if (write.batch !== undefined) statements.updateDeviceBatch.run(write.batch, write.id);
      if (write.labels !== undefined) {
        const old = statements.deviceLabels.get(write.id) as string | null;
        const oldLabels = old === null ? {} : (JSON.parse(old) as Record<string, string>);
        for (const name in oldLabels) statements.deleteLabel.run(name, oldLabels[name], write.id);
        statements.updateDeviceLabels.run(labelsText(write.labels), write.id);
        putLabels(write.id, write.labels);
      }
      return undefined;
    },
    'insert-certificate': ({ certificate }) =>
      done(
        statements.insertCertificate,
        hexBytes(certificate.serial),
        kindNumber(certificate.kind),
        certificate.owner,
        certificate.profile,
        certificate.authority,
        certificate.notBefore,
        certificate.notAfter,
        hexBytes(certificate.spkiSha256),
        certificate.der,
        certificateStateNumber(certificate.state),
        certificate.revokedAt,
        certificate.reason,
      )
        ? undefined
        : { code: 'STORE_CONFLICT', context: { serial: certificate.serial } },
    'claim-key': ({ spkiSha256, owner }) => {
      const key = hexBytes(spkiSha256);
      if (done(statements.claimKey, key, owner)) return undefined;
      const holder = statements.keyOwner.get(key) as string;
      return holder === owner ? undefined : { code: 'CSR_KEY_IN_USE', context: { owner: holder } };
    },
    'supersede-certificate': ({ serial }) => {
      statements.supersede.run(hexBytes(serial));
      return undefined;
    },
    'revoke-certificate': ({ serial, at, reason }) => {
      const bytes = hexBytes(serial);
      if (done(statements.revoke, at, reason, bytes)) return undefined;
      const exists = statements.certificateExists.get(bytes) !== undefined;
      return {
        code: exists ? 'CERTIFICATE_ALREADY_REVOKED' : 'CERTIFICATE_NOT_FOUND',
        context: { serial },
      };
    },
    'unhold-certificate': ({ serial }) => {
      statements.unhold.run(hexBytes(serial));
      return undefined;
    },
    'insert-token': ({ token }) => {
      statements.insertToken.run(
        token.id,
        hexBytes(token.secretHash),
        token.description,
        token.idPattern,
        token.type,
        labelsText(token.labels),
        token.maxUses,
        token.uses,
        token.expiresAt,
        token.createdAt,
        token.createdBy,
        token.revokedAt,
      );
      return undefined;
    },
    'use-token': ({ id, at }) => {
      if (done(statements.useToken, id, at)) return undefined;
      const row = statements.token.get(id) as Row | undefined;
      if (row === undefined || row['revoked_at'] !== null) return { code: 'TOKEN_INVALID' };
      return { code: (row['expires_at'] as number) <= at ? 'TOKEN_EXPIRED' : 'TOKEN_EXHAUSTED' };
    },
    'revoke-token': ({ id, at }) =>
      done(statements.revokeToken, at, id) ? undefined : { code: 'NOT_FOUND' },
    'insert-api-token': ({ token }) => {
      statements.insertApiToken.run(
        token.id,
        hexBytes(token.secretHash),
        token.description,
        token.role,
        token.expiresAt,
        token.createdAt,
        token.createdBy,
        token.revokedAt,
      );
      return undefined;
    },
    'revoke-api-token': ({ id, at }) =>
      done(statements.revokeApiToken, at, id) ? undefined : { code: 'NOT_FOUND' },
    'insert-batch': ({ batch }) =>
      done(
        statements.insertBatch,
        batch.id,
        batch.type,
        batch.quota,
        batch.issued,
        batch.idPattern,
        JSON.stringify(batch.stations),
        labelsText(batch.labels),
        batch.rework ? 1 : 0,
        batch.state,
        batch.endsAt,
        batch.createdAt,
        batch.createdBy,
      )
        ? undefined
        : { code: 'BATCH_EXISTS', context: { batch: batch.id } },
    'take-quota': ({ id, at, units }) => {
      if (done(statements.takeQuota, { id, at, units })) return undefined;
      const row = statements.batch.get(id) as Row | undefined;
      if (row === undefined) return { code: 'BATCH_NOT_FOUND' };
      const ended = row['state'] !== 'open' || (row['ends_at'] as number) <= at;
      return { code: ended ? 'BATCH_CLOSED' : 'BATCH_QUOTA_EXHAUSTED' };
    },
    'close-batch': ({ id }) =>
      done(statements.closeBatch, id) ? undefined : { code: 'BATCH_NOT_FOUND' },
    'insert-authority': ({ authority }) =>
      done(
        statements.insertAuthority,
        authority.id,
        authority.state,
        authority.certificate,
        authority.root,
        authority.createdAt,
      )
        ? undefined
        : { code: 'AUTHORITY_EXISTS', context: { authority: authority.id } },
    'update-authority': ({ id, expectStates, state, certificate, root }) => {
      const before = statements.authorityState.get(id);
      if (!expectStates.some((expected) => expected === before)) {
        return { code: 'STORE_CONFLICT', context: { authority: id } };
      }
      statements.updateAuthority.run(state, certificate ?? null, root ?? null, id);
      return undefined;
    },
    'assign-profile': ({ profile, authority }) => {
      statements.assignProfile.run(profile, authority);
      return undefined;
    },
    'insert-crl': ({ crl }) => {
      const inserted = done(
        statements.insertCrl,
        crl.authority,
        crl.number,
        crl.der,
        crl.thisUpdate,
        crl.nextUpdate,
        crl.ledgerSeq,
        crl.authority,
        crl.number,
      );
      if (!inserted) return { code: 'STORE_CONFLICT', context: { number: crl.number } };
      statements.pruneCrls.run(crl.authority, crl.number - newestCrlsKept);
      return undefined;
    },
    'put-alert': ({ alert }) => {
      statements.putAlert.run(
        alert.key,
        alert.severity,
        alert.summary,
        alert.count,
        JSON.stringify(alert.examples),
        alert.firstAt,
        alert.lastAt,
        alert.resolvedAt,
      );
      return undefined;
    },
    'insert-idempotency': ({ record }) => {
      const now = Date.now();
      statements.pruneIdempotency.run(now);
      statements.endIdempotency.run(record.key, now);
      return done(
        statements.insertIdempotency,
        record.key,
        record.requestHash,
        record.status,
        record.body,
        record.expiresAt,
      )
        ? undefined
        : { code: 'IDEMPOTENCY_IN_PROGRESS' };
    },
    'move-cursor': ({ follower, seq }) => {
      statements.moveCursor.run(follower, seq);
      return undefined;
    },
  };
  return (write) => (apply[write.op] as (write: Write) => Refusal)(write);
}
