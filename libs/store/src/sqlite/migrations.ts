// The schema, forward only: a migration that was released is never edited.

/** Position + 1 is the version (`PRAGMA user_version`). */
export const migrations: readonly string[] = [
  `
  -- Times are epoch milliseconds; serials, hashes and certificates are bytes.
  CREATE TABLE devices (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    batch TEXT,
    labels TEXT,
    state INTEGER NOT NULL,
    version INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    serial BLOB,
    not_after INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX devices_by_end ON devices (not_after, id);
  CREATE INDEX devices_by_type ON devices (type, id) WHERE type <> 'default';
  CREATE INDEX devices_by_batch ON devices (batch, id) WHERE batch IS NOT NULL;
  CREATE INDEX devices_by_state ON devices (state, id) WHERE state <> 1;

  CREATE TABLE device_labels (
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    device TEXT NOT NULL,
    PRIMARY KEY (name, value, device)
  ) WITHOUT ROWID;

  -- Counted as they change, so that no page and no metric counts a million rows.
  CREATE TABLE device_counts (state INTEGER PRIMARY KEY, count INTEGER NOT NULL);
  INSERT INTO device_counts (state, count) VALUES (0, 0), (1, 0), (2, 0), (3, 0), (4, 0);

  CREATE TABLE certificates (
    serial BLOB PRIMARY KEY,
    kind INTEGER NOT NULL,
    owner TEXT NOT NULL,
    profile TEXT NOT NULL,
    authority TEXT NOT NULL,
    not_before INTEGER NOT NULL,
    not_after INTEGER NOT NULL,
    spki_sha256 BLOB NOT NULL,
    der BLOB NOT NULL,
    crl_shard TEXT,
    state INTEGER NOT NULL,
    revoked_at INTEGER,
    reason TEXT
  );
  CREATE INDEX certificates_by_owner ON certificates (owner);
  -- Holds all that a CRL needs: the rows themselves are large, and a CRL reads every revoked one.
  CREATE INDEX certificates_revoked
    ON certificates (authority, serial, not_after, revoked_at, reason) WHERE state = 2;
  CREATE INDEX certificates_revoked_by_shard
    ON certificates (authority, crl_shard, serial, not_after, revoked_at, reason)
    WHERE state = 2 AND crl_shard IS NOT NULL;
  -- Everything but devices, asked for by the alert engine.
  CREATE INDEX certificates_infrastructure
    ON certificates (owner, kind, not_after, not_before) WHERE kind <> 0 AND state = 0;

  -- A key belongs to one owner for ever.
  CREATE TABLE keys (spki_sha256 BLOB PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    description TEXT NOT NULL,
    id_pattern TEXT,
    type TEXT NOT NULL,
    labels TEXT,
    max_uses INTEGER NOT NULL,
    uses INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at INTEGER
  );
  CREATE TABLE api_tokens (
    id TEXT PRIMARY KEY,
    secret_hash BLOB NOT NULL UNIQUE,
    description TEXT NOT NULL,
    role TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL,
    revoked_at INTEGER
  );

  CREATE TABLE batches (
    id TEXT PRIMARY KEY,
    type TEXT NOT NULL,
    quota INTEGER NOT NULL,
    issued INTEGER NOT NULL CHECK (issued <= quota),
    id_pattern TEXT,
    stations TEXT NOT NULL,
    labels TEXT,
    rework INTEGER NOT NULL,
    state TEXT NOT NULL,
    ends_at INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT NOT NULL
  );

  CREATE TABLE authorities (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    certificate BLOB,
    root BLOB,
    crl_shards TEXT NOT NULL,
    created_at INTEGER NOT NULL
  );
  CREATE TABLE trust (der BLOB NOT NULL UNIQUE, added_at INTEGER NOT NULL);
  CREATE TABLE profile_issuers (profile TEXT PRIMARY KEY, authority TEXT NOT NULL) WITHOUT ROWID;

  CREATE TABLE crls (
    list TEXT NOT NULL,
    number INTEGER NOT NULL,
    -- Null for a complete one.
    base_number INTEGER,
    -- Empty for a large one, which lies in crl_parts.
    der BLOB NOT NULL,
    parts INTEGER,
    this_update INTEGER NOT NULL,
    next_update INTEGER NOT NULL,
    ledger_seq INTEGER NOT NULL,
    PRIMARY KEY (list, number)
  );
  CREATE TABLE crl_parts (
    parts INTEGER NOT NULL,
    position INTEGER NOT NULL,
    der BLOB NOT NULL,
    UNIQUE (parts, position)
  );

  CREATE TABLE alerts (
    key TEXT PRIMARY KEY,
    severity TEXT NOT NULL,
    summary TEXT NOT NULL,
    count INTEGER NOT NULL,
    examples TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    resolved_at INTEGER
  );

  CREATE TABLE idempotency (
    key TEXT PRIMARY KEY,
    request_hash TEXT NOT NULL,
    status INTEGER NOT NULL,
    body TEXT NOT NULL,
    expires_at INTEGER NOT NULL
  ) WITHOUT ROWID;
  CREATE INDEX idempotency_by_end ON idempotency (expires_at);

  -- The record of truth. seq has no gaps: it is given inside the transaction that is durable or not at all.
  CREATE TABLE ledger (
    seq INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    subject TEXT NOT NULL,
    data TEXT NOT NULL
  );
  CREATE INDEX ledger_by_subject ON ledger (subject, seq);

  CREATE TABLE cursors (follower TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
  `,
  `
  -- Where a change was asked for from; null for what Keyline does by itself.
  ALTER TABLE ledger ADD COLUMN address TEXT;
  `,
  `
  -- What the root's CRL says of an authority.
  ALTER TABLE authorities ADD COLUMN revoked_at INTEGER;
  ALTER TABLE authorities ADD COLUMN reason TEXT;
  `,
  `
  -- When a successor was first used: from then on the certificate before it is good for nothing but to fetch it.
  ALTER TABLE certificates ADD COLUMN used_at INTEGER;
  CREATE TABLE renewal_allowances (device TEXT PRIMARY KEY, until INTEGER NOT NULL) WITHOUT ROWID;
  `,
  `
  -- Changes that wait for a second administrator.
  CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    action TEXT NOT NULL,
    input TEXT NOT NULL,
    summary TEXT NOT NULL,
    requested_by TEXT NOT NULL,
    requested_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided_at INTEGER
  );
  `,
  `
  -- Ids with capitals, by what they are in small letters: what differs from another in case alone is found without an index of all.
  CREATE INDEX devices_with_capitals ON devices (lower(id)) WHERE id <> lower(id);
  `,
  `
  -- How many certificates a device was given since a moment is counted at each renewal: from the index alone.
  DROP INDEX certificates_by_owner;
  CREATE INDEX certificates_by_owner ON certificates (owner, not_before);
  `,
  `
  -- The OCSP answers that a root signed with its CRL, DER one after the other.
  ALTER TABLE crls ADD COLUMN answers BLOB;
  `,
  `
  -- The ledger entry that a row stands on, and for a device the one by which it was let in: found by their number, not by a search.
  ALTER TABLE devices ADD COLUMN entry INTEGER;
  ALTER TABLE devices ADD COLUMN admission INTEGER;
  ALTER TABLE certificates ADD COLUMN entry INTEGER;
  UPDATE devices SET
    entry = (
      SELECT seq FROM ledger
      WHERE subject = devices.id AND data ->> 'kind' IN ('device-enrolled', 'device-renewed', 'device-reissued',
        'device-suspended', 'device-resumed', 'device-revoked', 'device-decommissioned')
      ORDER BY seq DESC LIMIT 1),
    admission = (
      SELECT seq FROM ledger
      WHERE subject = devices.id AND data ->> 'kind' IN ('device-enrolled', 'device-reissued')
      ORDER BY seq DESC LIMIT 1);
  -- Once through the ledger, not once for each certificate.
  CREATE TABLE entries_of_certificates (serial TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
  INSERT INTO entries_of_certificates (serial, seq)
    SELECT data ->> 'serial', seq FROM ledger
    WHERE data ->> 'kind' IN ('device-enrolled', 'device-renewed', 'device-reissued', 'certificate-issued', 'certificate-revoked')
    ON CONFLICT (serial) DO UPDATE SET seq = max(seq, excluded.seq);
  INSERT INTO entries_of_certificates (serial, seq)
    SELECT ended.value, ledger.seq FROM ledger, json_each(ledger.data, '$.serials') AS ended
    WHERE ledger.data ->> 'kind' IN ('device-suspended', 'device-resumed', 'device-revoked', 'device-decommissioned')
    ON CONFLICT (serial) DO UPDATE SET seq = max(seq, excluded.seq);
  UPDATE certificates SET entry =
    (SELECT seq FROM entries_of_certificates e WHERE e.serial = lower(hex(certificates.serial)));
  DROP TABLE entries_of_certificates;
  `,
  `
  -- Who may act on the world (docs/decisions/0015-the-feed-and-leases.md). until is for people: nothing is decided by it.
  CREATE TABLE leases (
    name TEXT PRIMARY KEY,
    holder TEXT,
    epoch INTEGER NOT NULL,
    beat INTEGER NOT NULL,
    until INTEGER NOT NULL
  ) WITHOUT ROWID;
  `,
  `
  -- Which certificate may still be used in place of a device's newest: the one before it, until the newest was first used.
  ALTER TABLE devices ADD COLUMN predecessor BLOB;
  -- Also where a suspension holds both, or the newest was revoked by itself; never one from before the device was let in anew.
  UPDATE devices SET predecessor = (
    SELECT serial FROM certificates
    WHERE owner = devices.id AND kind = 0 AND serial <> devices.serial
      AND (state = 1 OR (state = 2 AND reason = 'certificateHold'))
      AND (entry IS NULL OR devices.admission IS NULL OR entry >= devices.admission)
    ORDER BY not_before DESC, rowid DESC LIMIT 1
  )
  WHERE EXISTS (SELECT 1 FROM certificates WHERE serial = devices.serial AND used_at IS NULL);
  ALTER TABLE certificates DROP COLUMN used_at;
  `,
  `
  -- Who is on which broker (docs/decisions/0022-who-is-there.md). No write for a row when a broker ends: whoever was online by an earlier
  -- source of its target is so no more.
  CREATE TABLE presence_sources (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    start TEXT NOT NULL,
    last INTEGER NOT NULL,
    as_of INTEGER
  );
  CREATE TABLE presence (
    identity TEXT NOT NULL,
    target TEXT NOT NULL,
    source INTEGER NOT NULL,
    online INTEGER NOT NULL,
    at INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    protocol INTEGER,
    address TEXT NOT NULL,
    PRIMARY KEY (identity, target)
  ) WITHOUT ROWID;
  CREATE TABLE refusals (
    identity TEXT NOT NULL,
    target TEXT NOT NULL,
    event TEXT NOT NULL,
    reason TEXT NOT NULL,
    topic TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    count INTEGER NOT NULL,
    client_id TEXT NOT NULL,
    address TEXT NOT NULL,
    serial TEXT NOT NULL,
    happened TEXT NOT NULL,
    remedy TEXT NOT NULL,
    proven INTEGER NOT NULL,
    PRIMARY KEY (identity, proven, target, event, reason, topic)
  );
  `,
  `
  -- The file that the database is in: a copy is found out by being in another (database-place.ts).
  CREATE TABLE place (one INTEGER PRIMARY KEY CHECK (one = 1), file TEXT NOT NULL, path TEXT NOT NULL);
  `,
  `
  -- Numbers that a CRL list must not use again, because an older copy of the database does not know what was published since.
  CREATE TABLE crl_floors (list TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
  -- Certificates that one of our authorities signed and that are not on record (docs/decisions/0025-a-copy-is-not-the-original.md).
  CREATE TABLE quarantine (
    serial BLOB PRIMARY KEY,
    identity TEXT NOT NULL,
    authority TEXT,
    der BLOB,
    seen_by TEXT NOT NULL,
    address TEXT NOT NULL,
    first_at INTEGER NOT NULL,
    last_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    decided_by TEXT,
    decided_at INTEGER
  ) WITHOUT ROWID;
  CREATE INDEX quarantine_by_identity ON quarantine (identity) WHERE state = 'waiting';
  `,
  `
  -- Changes of many devices (docs/decisions/0023-many-devices-at-once.md). Which devices is written down before anything is done.
  CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    action TEXT NOT NULL,
    input TEXT NOT NULL,
    caller TEXT NOT NULL,
    state TEXT NOT NULL,
    rate INTEGER NOT NULL,
    cursor TEXT,
    total INTEGER NOT NULL,
    changed INTEGER NOT NULL,
    unchanged INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    started_at INTEGER,
    ended_at INTEGER,
    note TEXT
  );
  CREATE INDEX jobs_open ON jobs (number) WHERE state IN ('selecting', 'running');
  CREATE TABLE job_devices (
    job TEXT NOT NULL,
    device TEXT NOT NULL,
    status INTEGER NOT NULL,
    code TEXT,
    detail TEXT,
    at INTEGER,
    seq INTEGER,
    PRIMARY KEY (job, device)
  ) WITHOUT ROWID;
  CREATE INDEX job_devices_pending ON job_devices (job, device) WHERE status = 0;
  CREATE INDEX job_devices_failed ON job_devices (job, device) WHERE status = 3;
  `,
];
