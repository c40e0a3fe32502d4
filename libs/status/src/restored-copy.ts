// A database that is an older copy: somebody said so (`keyline restore`), or the CRLs that were published are ahead of those it knows. It
// must not take a revocation back, so what the published lists say is taken into it, and whatever could have been revoked or used up
// since, unseen, ends.
import type { Authorities, CrlList } from '@keyline/authorities';
import {
  isSignedBy,
  type Alert,
  type Crl,
  type FleetContext,
  type Store,
  type UnitOfWork,
  type Write,
} from '@keyline/fleet';
import type { NewEntry } from '@keyline/ledger';
import { KeylineError, type SerialHex } from '@keyline/kernel';
import { coversAs, revocationReasons } from '@keyline/pki';
import { parseCrl, type ParsedCertificate, type ParsedCrl } from '@keyline/x509';

/** What is known of a copy that was brought back on purpose. */
export interface SaidCopy {
  /** RFC 3339, of the last that the copy knows. */
  readonly backedUpAt: string;
  /** CRLs that were given with it, DER, of whatever list. */
  readonly lists: readonly Uint8Array[];
}

export interface RestoredCopy {
  readonly said: Pick<SaidCopy, 'backedUpAt'> | undefined;
  /** Lists of which a newer one had been published. */
  readonly lists: readonly string[];
  /** Certificates that only the published lists said to be revoked. */
  readonly revoked: number;
  /** Tokens and batches that ended. */
  readonly ended: number;
}

type Context = Pick<FleetContext, 'store' | 'clock'>;

interface Ahead {
  readonly list: string;
  readonly kind: Crl['kind'];
  readonly crl: ParsedCrl;
}

/** No look at how things stand can end it: it is there until somebody acknowledges it, over restarts. */
const alertKey = 'database:keyline.db:restored';

export function describeRestored({ said, lists, revoked, ended }: RestoredCopy): string {
  const why =
    said === undefined
      ? `newer CRLs of ${lists.join(', ')} had been published`
      : `it was brought back, and knows nothing after ${said.backedUpAt}${lists.length === 0 ? '. No newer CRL was there' : `; newer CRLs of ${lists.join(', ')} were there`}`;
  return `The database is an older copy: ${why}. ${String(revoked)} certificates were revoked anew from them, and ${String(ended)} tokens and batches, which may have been revoked or used since, were ended. Certificates that were issued after the copy was made are not on record and good for nothing: an alert comes for each that shows itself.`;
}

/** Writes of one commit: the event loop has its turns between them. */
const writesAtOnce = 500;

/**
 * @param published DER by file name, as `readPublishedLists` gives it; what none of the authorities signed is left alone
 * @param said when it is known to be a copy
 * @returns undefined when the database is as new as what was published, and nobody says otherwise
 */
export async function recoverRestoredCopy(
  context: Context,
  authorities: Pick<Authorities, 'all' | 'roots'>,
  published: ReadonlyMap<string, Uint8Array>,
  said?: SaidCopy,
): Promise<RestoredCopy | undefined> {
  const ahead = await findAhead(context, authorities, published, said?.lists ?? []);
  if (ahead.length === 0 && said === undefined) return undefined;
  const at = context.clock.now();
  const ledgerSeq = await context.store.lastSeq();
  const revoked = await revokeListed(context, ahead, at);
  const ended = await endTokensAndBatches(context, at);
  // Last: a crash before this finds the same again. Numbers go on from those the world has seen (RFC 5280 §5.2.3).
  const writes = ahead
    .toSorted((a, b) => (a.crl.number < b.crl.number ? -1 : 1))
    .map(({ list, kind, crl }): Write => {
      const { der, thisUpdate, nextUpdate, number, baseNumber } = crl;
      return {
        op: 'insert-crl',
        crl: {
          ...{ list, kind, der, thisUpdate, nextUpdate, ledgerSeq },
          number: Number(number),
          baseNumber: baseNumber === undefined ? null : Number(baseNumber),
        },
      };
    });
  const lists = [...new Set(ahead.map(({ list }) => list))];
  const data = { kind: 'database-restored', subject: 'database', lists, revoked } as const;
  const copy = {
    said: said === undefined ? undefined : { backedUpAt: said.backedUpAt },
    ...{ lists, revoked, ended },
  };
  const alert: Alert = {
    key: alertKey,
    severity: 'critical',
    summary: `${describeRestored(copy)} When that is seen to: keyline alerts acknowledge ${alertKey}`,
    count: 1,
    examples: lists.slice(0, 5),
    firstAt: at,
    lastAt: at,
    resolvedAt: null,
  };
  const recorded = await context.store.commit({
    writes: [...writes, { op: 'put-alert', alert }],
    entries: [
      { at, actor: 'keyline', data },
      {
        at,
        actor: 'keyline',
        data: { kind: 'alert-fired', alert: alertKey, severity: 'critical', count: 1 },
      },
    ],
  });
  if (!recorded.ok) {
    throw new KeylineError(
      recorded.code,
      'That the database is an older copy could not be recorded: another service may be at it. Start again.',
      { context: recorded.context },
    );
  }
  return copy;
}

interface Issued {
  readonly list: string;
  readonly certificate: ParsedCertificate;
  /** Absent: of a root. */
  readonly distributionPoint: CrlList['distributionPoint'] | 'any';
}

async function findAhead(
  { store }: Context,
  authorities: Pick<Authorities, 'all' | 'roots'>,
  published: ReadonlyMap<string, Uint8Array>,
  given: readonly Uint8Array[],
): Promise<Ahead[]> {
  const issued: Issued[] = [
    ...authorities.all().flatMap(({ crlLists }) =>
      crlLists.map(({ name, certificate, distributionPoint }) => ({
        ...{ list: name, certificate, distributionPoint },
      })),
    ),
    ...authorities
      .roots()
      .map(({ id, certificate }) => ({ list: id, certificate, distributionPoint: 'any' as const })),
  ];
  const ahead: Ahead[] = [];
  for (const one of issued) {
    const { list, certificate } = one;
    const found: Ahead[] = [];
    for (const kind of ['complete', 'delta'] as const) {
      const der = published.get(kind === 'complete' ? `${list}.crl` : `${list}-delta.crl`);
      const crl = der && parseIfOurs(der, certificate);
      if (crl !== undefined) found.push({ list, kind, crl });
    }
    for (const der of given) {
      const crl = parseIfOurs(der, certificate);
      if (crl === undefined || !isOfList(der, one)) continue;
      found.push({ list, kind: crl.baseNumber === undefined ? 'complete' : 'delta', crl });
    }
    const known = Math.max(
      (await store.findLatestCrl(list, 'complete'))?.number ?? 0,
      (await store.findLatestCrl(list, 'delta'))?.number ?? 0,
    );
    // The same list may have come both ways.
    const numbers = new Set<bigint>();
    for (const newer of found.filter(({ crl }) => Number(crl.number) > known)) {
      const { number } = newer.crl;
      if (!numbers.has(number)) ahead.push(newer);
      numbers.add(number);
    }
  }
  return ahead;
}

/** Lists of one authority are told apart by what they say they cover (RFC 5280 §5.2.5). */
function isOfList(der: Uint8Array, { distributionPoint }: Issued): boolean {
  return distributionPoint === 'any' || coversAs(der, { distributionPoint });
}

function parseIfOurs(der: Uint8Array, issuer: ParsedCertificate): ParsedCrl | undefined {
  try {
    const crl = parseCrl(der);
    return isSignedBy(crl, issuer) ? crl : undefined;
  } catch {
    // A file that was cut or changed proves nothing.
    return undefined;
  }
}

async function revokeListed(
  { store }: Context,
  ahead: readonly Ahead[],
  at: number,
): Promise<number> {
  const entries = new Map<string, { revokedAt: number; reason: string | undefined }>();
  for (const { crl } of ahead) {
    for (const { serial, revokedAt, reason } of crl.entries) {
      // A resumed device stays on hold until somebody resumes it again.
      if (reason !== 'removeFromCRL') entries.set(serial, { revokedAt, reason });
    }
  }
  const listed = [...entries];
  let count = 0;
  for (let from = 0; from < listed.length; from += writesAtOnce) {
    const some = listed.slice(from, from + writesAtOnce);
    for (;;) {
      const unit = await unitOf(store, some, at);
      if (unit.writes.length === 0) break;
      const result = await store.commit(unit);
      if (result.ok) {
        count += unit.writes.length;
        break;
      }
      // Another service on the same database was faster with one of them: what is left is looked up anew.
      if (result.code === 'CERTIFICATE_ALREADY_REVOKED') continue;
      throw new KeylineError(
        result.code,
        'What published CRLs list could not be put into the database that was brought back. Start again.',
        { context: result.context },
      );
    }
  }
  return count;
}

/** Revokes those that are not. */
async function unitOf(
  store: Pick<Store, 'findCertificate'>,
  listed: readonly (readonly [string, { revokedAt: number; reason: string | undefined }])[],
  at: number,
): Promise<UnitOfWork> {
  const writes: Write[] = [];
  const entries: NewEntry[] = [];
  for (const [serial, entry] of listed) {
    const certificate = await store.findCertificate(serial as SerialHex);
    if (certificate === undefined || certificate.state === 'revoked') continue;
    const reason = revocationReasons.find((known) => known === entry.reason) ?? 'unspecified';
    const { owner } = certificate;
    writes.push({
      op: 'revoke-certificate',
      serial: certificate.serial,
      at: entry.revokedAt,
      reason,
      entry: entries.length,
    });
    entries.push({
      at,
      actor: 'keyline',
      data: { kind: 'certificate-revoked', owner, serial: certificate.serial, reason },
    });
  }
  return { writes, entries };
}

/** Whether a token was revoked or used up since, and how far a batch came, is not known: they end, and are made anew in a minute. */
async function endTokensAndBatches({ store }: Context, at: number): Promise<number> {
  let count = 0;
  const end = async (write: Write, data: NewEntry['data']): Promise<void> => {
    await store.commit({ writes: [write], entries: [{ at, actor: 'keyline', data }] });
    count++;
  };
  for await (const { id, revokedAt } of all((page) => store.listTokens(page))) {
    if (revokedAt !== null) continue;
    await end({ op: 'revoke-token', id, at }, { kind: 'token-revoked', token: id, use: 'enroll' });
  }
  for await (const { id, revokedAt } of all((page) => store.listApiTokens(page))) {
    if (revokedAt !== null) continue;
    await end({ op: 'revoke-api-token', id, at }, { kind: 'token-revoked', token: id, use: 'api' });
  }
  for await (const { id, state, quota } of all((page) => store.listBatches(page))) {
    if (state === 'closed') continue;
    await end({ op: 'close-batch', id }, { kind: 'batch-closed', batch: id, quota });
  }
  return count;
}

async function* all<Item>(
  list: (page: {
    limit: number;
    cursor?: string | undefined;
  }) => Promise<{ items: readonly Item[]; nextCursor: string | null }>,
): AsyncGenerator<Item> {
  let cursor: string | undefined;
  do {
    const page = await list({ limit: 500, cursor });
    yield* page.items;
    cursor = page.nextCursor ?? undefined;
  } while (cursor !== undefined);
}
