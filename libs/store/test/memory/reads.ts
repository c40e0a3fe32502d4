// Everything the use cases and followers read, of tables in memory.
import { identityKindOf } from '@keyline/access';
import type {
  Certificate,
  Device,
  DeviceFilter,
  DeviceState,
  ExpiryGroup,
  JobResult,
  JobResultStatus,
  Page,
  PageRequest,
  StoreReader,
} from '@keyline/fleet';
import { subjectOf } from '@keyline/ledger';
import { profileKinds, type RevocationReason } from '@keyline/pki';
import { decodeCursor, encodeCursor } from '../../src/sqlite/cursor.ts';
import type { Tables } from './tables.ts';

export function createReads(tables: Tables): StoreReader {
  const { devices, certificates, crls, ledger } = tables;
  const certificatesOf = (owner: string): Certificate[] =>
    certificates
      .all()
      .filter((one) => one.owner === owner)
      .reverse()
      .sort((a, b) => b.notBefore - a.notBefore);
  return {
    findDevice: async (id) => devices.get(id),
    listDevices: async (filter) =>
      pageOf(
        'devices',
        devices.all().filter((one) => matches(one, filter) && isSeenAs(tables, one, filter)),
        filter,
      ),
    async countDevicesByState() {
      const counts: Record<DeviceState, number> = {
        ...{ registered: 0, active: 0, suspended: 0, revoked: 0, decommissioned: 0 },
      };
      for (const { state, type } of devices.all()) {
        if (identityKindOf(type) === 'device') counts[state]++;
      }
      return counts;
    },
    findCertificate: async (serial) => certificates.get(serial),
    async listNamedCertificates({ kind, q = '', expiresBefore = Infinity, limit, cursor }) {
      const key = ({ owner, serial }: Certificate): string => `${owner}/${serial}`;
      const after = cursor === undefined ? '' : decodeCursor('certificates', cursor);
      const rest = certificates
        .all()
        .filter(
          (one) =>
            one.kind !== 'device' &&
            one.state === 'active' &&
            (kind === undefined || one.kind === kind) &&
            one.owner.startsWith(q) &&
            one.notAfter < expiresBefore,
        )
        .sort((a, b) =>
          a.owner === b.owner ? (a.serial < b.serial ? -1 : 1) : a.owner < b.owner ? -1 : 1,
        );
      const start = cursor === undefined ? 0 : rest.findIndex((one) => key(one) === after) + 1;
      const items = rest.slice(start, start + limit);
      const last = items.at(-1);
      const isMore = rest.length > start + limit && last !== undefined;
      return { items, nextCursor: isMore ? encodeCursor('certificates', key(last)) : null };
    },
    listCertificatesOf: async (owner) => certificatesOf(owner),
    countIssued: async (owner, after) =>
      certificatesOf(owner).filter(({ notBefore }) => notBefore > after).length,
    findAllowance: async (device) => tables.allowances.get(device),
    findKeyOwner: async (spkiSha256) => tables.keys.get(spkiSha256),
    findToken: async (id) => tables.tokens.get(id),
    findTokenByHash: async (secretHash) =>
      tables.tokens.all().find((token) => token.secretHash === secretHash),
    listTokens: async (page) => pageOf('tokens', tables.tokens.all(), page),
    findApiToken: async (id) => tables.apiTokens.get(id),
    findApiTokenByHash: async (secretHash) =>
      tables.apiTokens.all().find((token) => token.secretHash === secretHash),
    listApiTokens: async (page) => pageOf('api_tokens', tables.apiTokens.all(), page),
    findBatch: async (id) => tables.batches.get(id),
    listBatches: async (page) => pageOf('batches', tables.batches.all(), page),
    listRevoked: async ({ authority, shard, endsFrom, after = '', limit }) =>
      certificates
        .all()
        .filter(
          (one) =>
            one.state === 'revoked' &&
            one.authority === authority &&
            (shard === undefined || one.crlShard === shard) &&
            one.notAfter >= endsFrom &&
            one.serial > after,
        )
        .sort((a, b) => (a.serial < b.serial ? -1 : 1))
        .slice(0, limit)
        .map(({ serial, revokedAt, reason }) => ({
          serial,
          revokedAt: revokedAt as number,
          reason: reason as RevocationReason,
        })),
    listAuthorities: async () => tables.authorities.all(),
    listTrust: async () => tables.trust.all(),
    listProfileIssuers: async () => tables.issuers.map(),
    async findLastEnd(authority) {
      const ends = certificates
        .all()
        .filter((one) => one.authority === authority && one.state !== 'revoked')
        .map(({ notAfter }) => notAfter);
      return ends.length === 0 ? undefined : Math.max(...ends);
    },
    findLatestCrl: async (list, kind) =>
      crls
        .all()
        .filter((crl) => crl.list === list && crl.kind === kind)
        .sort((a, b) => b.number - a.number)[0],
    findCrlFloor: async (list) => tables.crlFloors.get(list) ?? 0,
    findQuarantined: async (serial) => tables.quarantine.get(serial),
    listQuarantined: async ({ includeDecided, ...page }) =>
      pageOf(
        'quarantine',
        tables.quarantine
          .all()
          .filter(({ state }) => includeDecided || state === 'waiting')
          .map((one) => ({
            ...one,
            id: `${String(one.firstAt).padStart(16, '0')}:${one.serial}`,
          })),
        page,
      ),
    countQuarantined: async (identity) =>
      tables.quarantine
        .all()
        .filter((one) => one.state === 'waiting' && (identity ?? one.identity) === one.identity)
        .length,
    async findIdempotency(key, at) {
      const record = tables.idempotency.get(key);
      return record !== undefined && record.expiresAt > at ? record : undefined;
    },
    findApproval: async (id) => tables.approvals.get(id),
    listApprovals: async (page) => pageOf('approvals', tables.approvals.all(), page),
    findJob: async (id) => tables.jobs.get(id),
    async listJobs({ limit, cursor }) {
      const all = tables.jobs.all();
      const end = cursor === undefined ? all.length : Number(decodeCursor('jobs', cursor));
      const begin = Math.max(0, end - limit);
      return {
        items: all.slice(begin, end).reverse(),
        nextCursor: begin > 0 ? encodeCursor('jobs', String(begin)) : null,
      };
    },
    listOpenJobs: async () =>
      tables.jobs.all().filter(({ state }) => state === 'selecting' || state === 'running'),
    listJobPending: async (job, limit) =>
      resultsOf(tables, job, 'pending')
        .slice(0, limit)
        .map(({ device }) => device),
    async listJobResults({ job, status, limit, cursor }) {
      const after = cursor === undefined ? '' : decodeCursor('job_devices', cursor);
      const rest = resultsOf(tables, job, status).filter(({ device }) => device > after);
      const items = rest.slice(0, limit);
      const last = items.at(-1);
      return {
        items,
        nextCursor:
          rest.length > limit && last !== undefined
            ? encodeCursor('job_devices', last.device)
            : null,
      };
    },
    findAlert: async (key) => tables.alerts.get(key),
    listAlerts: async ({ includeResolved }) =>
      includeResolved
        ? tables.alerts.all().sort((a, b) => b.lastAt - a.lastAt || (a.key < b.key ? -1 : 1))
        : tables.alerts
            .all()
            .filter(({ resolvedAt }) => resolvedAt === null)
            .sort((a, b) => (a.key < b.key ? -1 : 1)),
    listExpiring: async ({ before, minLifetime, maxLifetime }) =>
      expiryGroups(tables, ({ notBefore, notAfter }) => {
        const lifetime = notAfter - notBefore;
        return notAfter < before && lifetime >= minLifetime && lifetime < maxLifetime;
      }),
    listExpiringByShare: async ({ at, share, maxLifetime }) =>
      expiryGroups(tables, ({ notBefore, notAfter }) => {
        const lifetime = notAfter - notBefore;
        return lifetime < maxLifetime && notAfter - at <= share * lifetime;
      }),
    listPresenceSources: async () => tables.presenceSources.all(),
    listPresence: async (identities) =>
      tables.presence.all().filter(({ identity }) => identities.includes(identity)),
    listRefusalsOf: async (identity) =>
      tables.refusals
        .all()
        .filter((one) => one.identity === identity)
        .reverse()
        .sort((a, b) => b.lastAt - a.lastAt),
    readEntries: async (afterSeq, limit) => ledger.slice(afterSeq, afterSeq + limit),
    listEntriesOf: async (subject, limit) =>
      ledger
        .filter((entry) => subjectOf(entry) === subject)
        .reverse()
        .slice(0, limit),
    async searchEntries({ subject, actor, kind, since = 0, after, limit, cursor }) {
      const start = cursor === undefined ? undefined : decodeCursor('ledger', cursor);
      const from = start === undefined ? after : Number(start.slice(1));
      const found = (after === undefined ? ledger.toReversed() : ledger).filter(
        (entry) =>
          (from === undefined || (after === undefined ? entry.seq < from : entry.seq > from)) &&
          (subject === undefined || subjectOf(entry) === subject) &&
          (actor === undefined || entry.actor === actor) &&
          (kind === undefined || entry.data.kind === kind) &&
          entry.at >= since,
      );
      const items = found.slice(0, limit);
      const last = items.at(-1);
      const position = `${after === undefined ? '<' : '>'}${String(last?.seq)}`;
      const nextCursor = found.length > limit ? encodeCursor('ledger', position) : null;
      return { items, nextCursor, lastSeq: ledger.length };
    },
    lastSeq: async () => ledger.length,
    findCursor: async (follower) => tables.cursors.get(follower) ?? 0,
    findLease: async (name) => tables.leases.get(name),
  };
}

function resultsOf({ jobResults }: Tables, id: string, status?: JobResultStatus): JobResult[] {
  return jobResults
    .all()
    .filter((one) => one.job === id && (status === undefined || one.status === status))
    .map(({ job: _job, ...result }) => result)
    .sort((a, b) => (a.device < b.device ? -1 : 1));
}

function matches(one: Device, filter: DeviceFilter): boolean {
  const split = filter.label?.indexOf('=') ?? 0;
  const name = filter.label?.slice(0, split) ?? '';
  return (
    (filter.kind === undefined || identityKindOf(one.type) === filter.kind) &&
    (filter.state === undefined || one.state === filter.state) &&
    (filter.type === undefined || one.type === filter.type) &&
    (filter.batch === undefined || one.batch === filter.batch) &&
    (filter.label === undefined ||
      (Object.hasOwn(one.labels, name) && one.labels[name] === filter.label.slice(split + 1))) &&
    (filter.expiresBefore === undefined ||
      (one.notAfter !== null && one.notAfter < filter.expiresBefore)) &&
    (filter.q === undefined || one.id.startsWith(filter.q))
  );
}

function isSeenAs(
  { presence, presenceSources }: Tables,
  { id }: Device,
  { onlineBy, notSeen }: DeviceFilter,
): boolean {
  const rows = presence.all().filter(({ identity }) => identity === id);
  const isOnline = (by: readonly number[]): boolean =>
    rows.some(({ online, source }) => online && by.includes(source));
  const seenAt = rows.map(({ online, at, source }) =>
    Math.max(at, (online ? presenceSources.get(String(source))?.asOf : null) ?? 0),
  );
  return (
    (onlineBy === undefined || isOnline(onlineBy)) &&
    (notSeen === undefined ||
      (!isOnline(notSeen.onlineBy) && seenAt.every((at) => at < notSeen.since)))
  );
}

function pageOf<Item extends { readonly id: string }>(
  list: string,
  items: readonly Item[],
  { limit, cursor }: PageRequest,
): Page<Item> {
  const after = cursor === undefined ? '' : decodeCursor(list, cursor);
  const rest = items.filter(({ id }) => id > after).sort((a, b) => (a.id < b.id ? -1 : 1));
  const page = rest.slice(0, limit);
  const last = page.at(-1);
  return {
    items: page,
    nextCursor: rest.length > limit && last !== undefined ? encodeCursor(list, last.id) : null,
  };
}

const examplesShown = 5;

/** @param ends of the newest certificate of a device or owner */
function expiryGroups(
  { devices, certificates }: Tables,
  ends: (certificate: Pick<Certificate, 'notBefore' | 'notAfter'>) => boolean,
): ExpiryGroup[] {
  const found: { kind: Certificate['kind']; group: string; name: string; notAfter: number }[] = [];
  for (const { id, type, state, serial, notAfter } of devices.all()) {
    if (identityKindOf(type) === 'service') continue;
    if (serial === null || notAfter === null || state === 'revoked' || state === 'decommissioned') {
      continue;
    }
    const newest = certificates.get(serial);
    const isGood = newest && (newest.state !== 'revoked' || newest.reason === 'certificateHold');
    if (isGood === true && ends({ notBefore: newest.notBefore, notAfter })) {
      found.push({ kind: 'device', group: type, name: id, notAfter });
    }
  }
  const newest = new Map<string, Certificate>();
  for (const one of certificates.all()) {
    if (one.kind === 'device' || one.state !== 'active') continue;
    const key = `${one.kind} ${one.owner}`;
    if (one.notAfter > (newest.get(key)?.notAfter ?? 0)) newest.set(key, one);
  }
  for (const one of newest.values()) {
    const { kind, owner, notAfter } = one;
    if (ends(one)) found.push({ kind, group: owner, name: owner, notAfter });
  }
  found.sort((a, b) => a.notAfter - b.notAfter || (a.name < b.name ? -1 : 1));
  const groups = Map.groupBy(
    found,
    ({ kind, group }) => `${String(profileKinds.indexOf(kind))}\n${group}`,
  );
  return [...groups.keys()].sort().flatMap((key) => {
    const [first, ...more] = groups.get(key) ?? [];
    if (first === undefined) return [];
    const examples = [first, ...more].slice(0, examplesShown).map(({ name }) => name);
    const { kind, group, notAfter } = first;
    return [{ kind, group, count: 1 + more.length, examples, soonest: notAfter }];
  });
}
