// Each write of a unit of work on tables in memory, with the condition that the port names.
import type { Device, Write } from '@keyline/fleet';
import type { ErrorCode } from '@keyline/kernel';
import { keptRefusals } from '../../src/sqlite/presence-reads.ts';
import type { Table, Tables } from './tables.ts';

type Refusal =
  | { readonly code: ErrorCode; readonly context?: Readonly<Record<string, string | number>> }
  | undefined;

type Apply = {
  readonly [Op in Write['op']]: (
    write: Extract<Write, { op: Op }>,
    firstEntry: number | null,
  ) => Refusal;
};

/** @param firstEntry seq of the first entry of the write's unit, null when it has none */
export type ApplyWrite = (write: Write, firstEntry: number | null) => Refusal;

export function prepareWrites(tables: Tables): ApplyWrite {
  const apply: Apply = {
    ...deviceWrites(tables),
    ...certificateWrites(tables),
    ...admissionWrites(tables),
    ...authorityWrites(tables),
    ...otherWrites(tables),
    ...presenceWrites(tables),
    ...quarantineWrites(tables),
    ...jobWrites(tables),
  };
  return (write, firstEntry) => (apply[write.op] as ApplyWrite)(write, firstEntry);
}

function deviceWrites({
  devices,
  allowances,
}: Tables): Pick<
  Apply,
  'insert-device' | 'update-device' | 'end-predecessor' | 'allow-renewal' | 'end-allowance'
> {
  return {
    'insert-device'({ device, distinctIgnoringCase = false }, firstEntry) {
      const { id } = device;
      const isOther = (one: Device): boolean =>
        one.id !== id && one.id.toLowerCase() === id.toLowerCase();
      const other = distinctIgnoringCase ? devices.all().find(isOther) : undefined;
      if (other !== undefined) {
        return { code: 'DEVICE_EXISTS', context: { device: id, inOtherCase: other.id } };
      }
      if (devices.has(id)) return { code: 'DEVICE_EXISTS', context: { device: id } };
      devices.set(id, { ...device, entry: firstEntry, admission: firstEntry });
      return undefined;
    },
    'update-device'(write, firstEntry) {
      const before = devices.get(write.id);
      if (before?.version !== write.expectVersion) {
        return { code: 'DEVICE_CHANGED', context: { device: write.id } };
      }
      const { state, serial, notAfter } = write;
      devices.set(write.id, {
        ...before,
        ...{ state, serial, notAfter },
        version: before.version + 1,
        updatedAt: write.at,
        entry: firstEntry,
        admission: write.admits === true ? firstEntry : before.admission,
        predecessor: serial === before.serial ? before.predecessor : (write.predecessor ?? null),
        type: write.type ?? before.type,
        batch: write.batch === undefined ? before.batch : write.batch,
        labels: write.labels ?? before.labels,
      });
      return undefined;
    },
    'end-predecessor'({ device, serial }) {
      const before = devices.get(device);
      if (before?.serial !== serial || before.predecessor === null) {
        return { code: 'DEVICE_CHANGED', context: { device } };
      }
      devices.set(device, { ...before, version: before.version + 1, predecessor: null });
      return undefined;
    },
    'allow-renewal'({ device, until }) {
      allowances.set(device, until);
      return undefined;
    },
    'end-allowance'({ device }) {
      allowances.delete(device);
      return undefined;
    },
  };
}

function certificateWrites({
  certificates,
  authorities,
  keys,
}: Tables): Pick<
  Apply,
  | 'insert-certificate'
  | 'claim-key'
  | 'supersede-certificate'
  | 'revoke-certificate'
  | 'unhold-certificate'
> {
  return {
    'insert-certificate'({ certificate, evenIfRevoked = false }, firstEntry) {
      const { authority, serial } = certificate;
      if (!evenIfRevoked && authorities.get(authority)?.state === 'revoked') {
        return { code: 'AUTHORITY_STATE_FORBIDS', context: { authority } };
      }
      if (certificates.has(serial)) return { code: 'STORE_CONFLICT', context: { serial } };
      certificates.set(serial, { ...certificate, entry: firstEntry });
      return undefined;
    },
    'claim-key'({ spkiSha256, owner }) {
      const holder = keys.get(spkiSha256);
      if (holder !== undefined && holder !== owner) {
        return { code: 'CSR_KEY_IN_USE', context: { owner: holder } };
      }
      keys.set(spkiSha256, owner);
      return undefined;
    },
    'supersede-certificate'({ serial, unlessRevoked = false }) {
      const before = certificates.get(serial);
      if (before?.state === 'active') certificates.set(serial, { ...before, state: 'superseded' });
      else if (unlessRevoked && before?.state !== 'superseded') {
        const code = before === undefined ? 'CERTIFICATE_NOT_FOUND' : 'CERTIFICATE_ALREADY_REVOKED';
        return { code, context: { serial } };
      }
      return undefined;
    },
    'revoke-certificate'({ serial, at, reason, entry = 0 }, firstEntry) {
      const before = certificates.get(serial);
      if (before === undefined) return { code: 'CERTIFICATE_NOT_FOUND', context: { serial } };
      if (before.state === 'revoked') {
        return { code: 'CERTIFICATE_ALREADY_REVOKED', context: { serial } };
      }
      certificates.set(serial, {
        ...before,
        ...{ state: 'revoked', revokedAt: at, reason },
        entry: firstEntry === null ? null : firstEntry + entry,
      });
      return undefined;
    },
    'unhold-certificate'({ serial }, firstEntry) {
      const before = certificates.get(serial);
      if (before?.state === 'revoked' && before.reason === 'certificateHold') {
        certificates.set(serial, {
          ...before,
          ...{ state: 'active', revokedAt: null, reason: null, entry: firstEntry },
        });
      }
      return undefined;
    },
  };
}

/** What no write forbids and no program of ours does; SQLite has a constraint for it. */
function insertOnce<Row>(table: Table<Row>, key: string, row: Row): void {
  if (table.has(key)) throw new Error(`"${key}" is there already`);
  table.set(key, row);
}

function admissionWrites({
  tokens,
  apiTokens,
  batches,
}: Tables): Pick<
  Apply,
  | 'insert-token'
  | 'use-token'
  | 'revoke-token'
  | 'insert-api-token'
  | 'revoke-api-token'
  | 'insert-batch'
  | 'take-quota'
  | 'change-quota'
  | 'close-batch'
> {
  return {
    'insert-token'({ token }) {
      insertOnce(tokens, token.id, token);
      return undefined;
    },
    'use-token'({ id, at }) {
      const token = tokens.get(id);
      if (token === undefined || token.revokedAt !== null) return { code: 'TOKEN_INVALID' };
      if (token.expiresAt <= at) return { code: 'TOKEN_EXPIRED' };
      if (token.uses >= token.maxUses) return { code: 'TOKEN_EXHAUSTED' };
      tokens.set(id, { ...token, uses: token.uses + 1 });
      return undefined;
    },
    'revoke-token'({ id, at }) {
      const token = tokens.get(id);
      if (token === undefined) return { code: 'NOT_FOUND' };
      tokens.set(id, { ...token, revokedAt: token.revokedAt ?? at });
      return undefined;
    },
    'insert-api-token'({ token }) {
      insertOnce(apiTokens, token.id, token);
      return undefined;
    },
    'revoke-api-token'({ id, at }) {
      const token = apiTokens.get(id);
      if (token === undefined) return { code: 'NOT_FOUND' };
      apiTokens.set(id, { ...token, revokedAt: token.revokedAt ?? at });
      return undefined;
    },
    'insert-batch'({ batch }) {
      if (batches.has(batch.id)) return { code: 'BATCH_EXISTS', context: { batch: batch.id } };
      batches.set(batch.id, batch);
      return undefined;
    },
    'take-quota'({ id, at, units }) {
      const batch = batches.get(id);
      if (batch === undefined) return { code: 'BATCH_NOT_FOUND' };
      if (batch.state !== 'open' || batch.endsAt <= at) return { code: 'BATCH_CLOSED' };
      if (batch.issued + units > batch.quota) return { code: 'BATCH_QUOTA_EXHAUSTED' };
      batches.set(id, { ...batch, issued: batch.issued + units });
      return undefined;
    },
    'change-quota'({ id, quota, at }) {
      const batch = batches.get(id);
      if (batch === undefined) return { code: 'BATCH_NOT_FOUND' };
      if (batch.state !== 'open' || batch.endsAt <= at) return { code: 'BATCH_CLOSED' };
      if (batch.issued > quota) {
        return { code: 'BATCH_QUOTA_EXHAUSTED', context: { issued: batch.issued } };
      }
      batches.set(id, { ...batch, quota });
      return undefined;
    },
    'close-batch'({ id }) {
      const batch = batches.get(id);
      if (batch === undefined) return { code: 'BATCH_NOT_FOUND' };
      batches.set(id, { ...batch, state: 'closed' });
      return undefined;
    },
  };
}

function authorityWrites({
  authorities,
  trust,
  issuers,
  crls,
  crlFloors,
}: Tables): Pick<
  Apply,
  | 'insert-authority'
  | 'update-authority'
  | 'put-trust'
  | 'assign-profile'
  | 'insert-crl'
  | 'raise-crl-number'
> {
  return {
    'insert-authority'({ authority }) {
      const { id } = authority;
      if (authorities.has(id)) return { code: 'AUTHORITY_EXISTS', context: { authority: id } };
      authorities.set(id, authority);
      return undefined;
    },
    'update-authority'({ op: _op, id, expectStates, ...changes }) {
      const before = authorities.get(id);
      if (before === undefined || !expectStates.includes(before.state)) {
        return { code: 'STORE_CONFLICT', context: { authority: id } };
      }
      authorities.set(id, { ...before, ...changes });
      return undefined;
    },
    'put-trust'({ der }) {
      const key = Buffer.from(der).toString('hex');
      if (!trust.has(key)) trust.set(key, der);
      return undefined;
    },
    'assign-profile'({ profile, authority }) {
      issuers.set(profile, authority);
      return undefined;
    },
    'raise-crl-number'({ list, number }) {
      crlFloors.set(list, Math.max(number, crlFloors.get(list) ?? 0));
      return undefined;
    },
    'insert-crl'({ crl }) {
      const ofList = crls.all().filter(({ list }) => list === crl.list);
      const isUsed = crl.number <= (crlFloors.get(crl.list) ?? 0);
      if (isUsed || ofList.some(({ number }) => number >= crl.number)) {
        return { code: 'STORE_CONFLICT', context: { number: crl.number } };
      }
      // A complete CRL takes the place of all before it, a delta that of the deltas before it.
      for (const { list, number, kind } of ofList) {
        if (crl.kind === 'complete' || kind === 'delta') crls.delete(`${list} ${String(number)}`);
      }
      crls.set(`${crl.list} ${String(crl.number)}`, crl);
      return undefined;
    },
  };
}

function presenceWrites({
  presenceSources,
  presence,
  refusals,
}: Tables): Pick<Apply, 'put-presence'> {
  return {
    'put-presence'({ target, start, last, asOf = null, sightings, refusals: refused }) {
      const sources = presenceSources.all();
      let source = sources.findLast((one) => one.target === target);
      if (source?.start === start && source.last > last) {
        return { code: 'STORE_CONFLICT', context: { target } };
      }
      if (source?.start !== start) {
        source = { id: (sources.at(-1)?.id ?? 0) + 1, target, start, last, asOf };
      }
      presenceSources.set(String(source.id), { ...source, last, asOf: asOf ?? source.asOf });
      for (const one of sightings) {
        const key = `${one.identity} ${target}`;
        const at = one.online ? one.at : Math.max(one.at, presence.get(key)?.at ?? 0);
        presence.set(key, { ...one, at, target, source: source.id });
      }
      for (const one of refused) {
        const { identity, proven, event, reason, topic } = one;
        const key = [identity, proven, target, event, reason, topic].join('\n');
        const earlier = refusals.get(key);
        refusals.set(key, {
          ...{ ...one, target, firstAt: earlier?.firstAt ?? one.firstAt },
          lastAt: Math.max(one.lastAt, earlier?.lastAt ?? 0),
          count: one.count + (earlier?.count ?? 0),
        });
        const own = [...refusals.map()]
          .filter(([, each]) => each.identity === identity && each.proven === proven)
          .reverse()
          .sort(([, a], [, b]) => b.lastAt - a.lastAt);
        const kept = keptRefusals[proven ? 'proven' : 'unproven'];
        for (const [old] of own.slice(kept)) refusals.delete(old);
      }
      return undefined;
    },
  };
}

function otherWrites({
  approvals,
  alerts,
  idempotency,
  leases,
  cursors,
}: Tables): Pick<
  Apply,
  | 'insert-approval'
  | 'decide-approval'
  | 'put-alert'
  | 'insert-idempotency'
  | 'take-lease'
  | 'renew-lease'
  | 'release-lease'
  | 'hold-lease'
  | 'move-cursor'
> {
  const held = (name: string, epoch: number) => {
    const lease = leases.get(name);
    return lease?.epoch === epoch && lease.holder !== null ? lease : undefined;
  };
  const lost = (lease: string, epoch: number): Refusal => ({
    code: 'LEASE_LOST',
    context: { lease, epoch },
  });
  return {
    'insert-approval'({ approval }) {
      insertOnce(approvals, approval.id, approval);
      return undefined;
    },
    'decide-approval'({ id, state, by, at }) {
      const approval = approvals.get(id);
      if (approval?.state !== 'open' || approval.expiresAt <= at) {
        return { code: 'APPROVAL_CLOSED', context: { approval: id } };
      }
      approvals.set(id, { ...approval, state, decidedBy: by, decidedAt: at });
      return undefined;
    },
    'put-alert'({ alert }) {
      alerts.set(alert.key, alert);
      return undefined;
    },
    'insert-idempotency'({ record, at }) {
      const before = idempotency.get(record.key);
      if (before !== undefined && before.expiresAt > at) {
        return { code: 'IDEMPOTENCY_IN_PROGRESS' };
      }
      idempotency.set(record.key, record);
      return undefined;
    },
    'take-lease'({ name, holder, seen, until }) {
      const before = leases.get(name);
      if (before?.epoch !== seen?.epoch || before?.beat !== seen?.beat) {
        return { code: 'LEASE_LOST', context: { lease: name } };
      }
      leases.set(name, { name, holder, epoch: (before?.epoch ?? 0) + 1, beat: 0, until });
      return undefined;
    },
    'renew-lease'({ name, epoch, until }) {
      const lease = held(name, epoch);
      if (lease === undefined) return lost(name, epoch);
      leases.set(name, { ...lease, beat: lease.beat + 1, until });
      return undefined;
    },
    'release-lease'({ name, epoch }) {
      const lease = held(name, epoch);
      if (lease !== undefined) {
        leases.set(name, { ...lease, beat: lease.beat + 1, holder: null });
      }
      return undefined;
    },
    'hold-lease': ({ name, epoch }) =>
      held(name, epoch) === undefined ? lost(name, epoch) : undefined,
    'move-cursor'({ follower, seq }) {
      cursors.set(follower, Math.max(seq, cursors.get(follower) ?? 0));
      return undefined;
    },
  };
}

function quarantineWrites({
  quarantine,
  certificates,
}: Tables): Pick<Apply, 'quarantine-certificate' | 'decide-quarantine'> {
  return {
    'quarantine-certificate'({ op: _op, at, ...given }) {
      const { serial } = given;
      if (certificates.has(serial)) return { code: 'STORE_CONFLICT', context: { serial } };
      const before = quarantine.get(serial);
      quarantine.set(serial, {
        ...(before ?? {
          ...{ ...given, firstAt: at, state: 'waiting', decidedBy: null, decidedAt: null },
        }),
        authority: before?.authority ?? given.authority,
        der: before?.der ?? given.der,
        lastAt: Math.max(at, before?.lastAt ?? 0),
      });
      return undefined;
    },
    'decide-quarantine'({ serial, state, by, at }) {
      const before = quarantine.get(serial);
      if (before?.state !== 'waiting') return { code: 'STORE_CONFLICT', context: { serial } };
      quarantine.set(serial, { ...before, state, decidedBy: by, decidedAt: at });
      return undefined;
    },
  };
}

function jobWrites({
  jobs,
  jobResults,
}: Tables): Pick<Apply, 'insert-job' | 'select-for-job' | 'change-job' | 'note-job-result'> {
  const refuse = (id: string): Refusal => {
    const job = jobs.get(id);
    return job === undefined
      ? { code: 'JOB_NOT_FOUND', context: { job: id } }
      : { code: 'JOB_STATE_FORBIDS', context: { job: id, state: job.state } };
  };
  return {
    'insert-job'({ job }) {
      jobs.set(job.id, { ...job, ...{ total: 0, changed: 0, unchanged: 0, failed: 0 } });
      return undefined;
    },
    'select-for-job'({ job: id, devices, cursor, state }) {
      const job = jobs.get(id);
      if (job?.state !== 'selecting' && job?.state !== 'waiting') return refuse(id);
      let { total } = job;
      for (const device of devices) {
        const key = `${id}\n${device}`;
        if (jobResults.has(key)) continue;
        total++;
        const none = { code: null, detail: null, at: null, seq: null };
        jobResults.set(key, { job: id, device, status: 'pending', ...none });
      }
      jobs.set(id, { ...job, total, cursor, state });
      return undefined;
    },
    'change-job'({ id, from, to, at, left, caller, note = null }) {
      const job = jobs.get(id);
      if (job === undefined || !from.includes(job.state)) return refuse(id);
      const rest = job.total - job.changed - job.unchanged - job.failed;
      if (left !== undefined && left !== rest) {
        return { code: 'JOB_COUNT_DIFFERS', context: { job: id, left: rest } };
      }
      jobs.set(id, {
        ...job,
        ...{ state: to, note, caller: caller ?? job.caller },
        startedAt: to === 'running' ? (job.startedAt ?? at) : job.startedAt,
        endedAt: to === 'stopped' || to === 'done' ? at : null,
      });
      return undefined;
    },
    'note-job-result'({ job: id, device, status, code, detail, at }, firstEntry) {
      const job = jobs.get(id);
      const key = `${id}\n${device}`;
      const before = jobResults.get(key);
      if (job?.state !== 'running' || before?.status !== 'pending') return refuse(id);
      jobResults.set(key, { ...before, ...{ status, code, detail, at, seq: firstEntry } });
      if (status !== 'pending') jobs.set(id, { ...job, [status]: job[status] + 1 });
      return undefined;
    },
  };
}
