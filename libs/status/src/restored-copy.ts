// A database that is an older copy: it was restored from a backup, or the CRLs that were published are ahead of those it knows. It must not
// take a revocation back, so what lists of later say is taken into it, numbers go on beyond all that can have been published, and whatever
// could have been revoked or used up since, unseen, ends.
import type { Authorities, CrlList } from '@keyline/authorities';
import {
  isSignedBy,
  restoredAlertKey,
  revokedUnseen,
  type Alert,
  type Crl,
  type FleetContext,
  type Store,
  type UnitOfWork,
  type Write,
} from '@keyline/fleet';
import type { NewEntry } from '@keyline/ledger';
import { KeylineError, type SerialHex } from '@keyline/kernel';
import { revocationReasons } from '@keyline/pki';
import { parseCrl, type ParsedCrl } from '@keyline/x509';
import { endTokensAndBatches } from './end-tokens-and-batches.ts';

export interface RestoredCopy {
  /** Lists of which a newer one was found. */
  readonly lists: readonly string[];
  /** Certificates that only those lists said to be revoked. */
  readonly revoked: number;
  /** Of these, how many are not on record: they were issued and revoked since. */
  readonly unrecorded: number;
  /** Tokens and batches that ended. */
  readonly ended: number;
  /** When the backup was made, as its restore said; absent: no restore was run, and the published lists were ahead. */
  readonly backedUpAt?: string;
}

type Context = Pick<FleetContext, 'store' | 'clock'>;

interface Found {
  /** Absent: of the authority, and it does not say of which of its lists. */
  readonly list: string | undefined;
  readonly kind: Crl['kind'];
  readonly crl: ParsedCrl;
  readonly authority: { readonly id: string; readonly notAfter: number } | undefined;
  readonly shard: string | undefined;
  readonly isAhead: boolean;
}

/** Owner of certificates of which nothing is known but that a CRL of ours lists them. */
export const unrecordedOwner = 'not-on-record@keyline';

export function describeRestored(copy: RestoredCopy): string {
  const { lists, revoked, unrecorded, ended, backedUpAt } = copy;
  const what =
    backedUpAt === undefined
      ? `The database is an older copy: newer CRLs of ${lists.join(', ')} had been published.`
      : `The database was restored from a backup of ${backedUpAt}.${lists.length === 0 ? ' No newer CRL was found: what was revoked since is known only where a broker remembers it.' : ` Newer CRLs were found of ${lists.join(', ')}.`}`;
  return `${what} ${String(revoked)} certificates were revoked anew from them (${String(unrecorded)} are not on record), and ${String(ended)} tokens and batches, which may have been revoked or used since, were ended. Certificates that were issued after the copy was made are held until somebody decides: keyline quarantine list. Until this alert is acknowledged, brokers give nothing back that they deny or do not know.`;
}

/** Writes of one commit: the event loop has its turns between them. */
const writesAtOnce = 500;

/** Numbers left out whatever the clocks say, and for each second since the newest CRL that is known: more than can be published in one. */
const numbersLeftOut = 2 ** 32;
const numbersPerSecond = 200;

/**
 * @param lists.published DER by file name, as `readPublishedLists` gives it; what none of the authorities signed is left alone
 * @param lists.restored what `keyline restore` left: CRLs of later, DER, and when the backup was made (RFC 3339)
 * @returns undefined when the database is as new as what was published, and was not restored
 */
export async function recoverRestoredCopy(
  context: Context,
  authorities: Pick<Authorities, 'all' | 'roots'>,
  lists: {
    readonly published: ReadonlyMap<string, Uint8Array>;
    readonly restored?:
      { readonly backedUpAt: string; readonly given: Iterable<Uint8Array> } | undefined;
  },
): Promise<RestoredCopy | undefined> {
  const { published, restored } = lists;
  const found = await findLists(context, authorities, [
    ...published.values(),
    ...(restored?.given ?? []),
  ]);
  if (restored === undefined && !found.some(({ isAhead }) => isAhead)) return undefined;
  const at = context.clock.now();
  const ledgerSeq = await context.store.lastSeq();
  const { revoked, unrecorded } = await revokeListed(context, found, at);
  const ended = await endTokensAndBatches(context, at);
  const ahead = found.filter(({ isAhead }) => isAhead);
  const names = [...new Set(ahead.map(({ list, authority }) => list ?? authority?.id ?? ''))];
  const copy: RestoredCopy = {
    ...{ lists: names, revoked, unrecorded, ended },
    ...(restored === undefined ? {} : { backedUpAt: restored.backedUpAt }),
  };
  const data = { kind: 'database-restored', subject: 'database', lists: names, revoked } as const;
  const alert: Alert = {
    key: restoredAlertKey,
    severity: 'critical',
    summary: `${describeRestored(copy)} When that is seen to: keyline alerts acknowledge ${restoredAlertKey}`,
    count: 1,
    examples: names.slice(0, 5),
    firstAt: at,
    lastAt: at,
    resolvedAt: null,
  };
  // Last: a crash before this finds the same again.
  const recorded = await context.store.commit({
    writes: [
      ...rootLists(ahead, ledgerSeq),
      ...(await raisedNumbers(context, authorities, found, at)),
      { op: 'put-alert', alert },
    ],
    entries: [
      { at, actor: 'keyline', data },
      {
        at,
        actor: 'keyline',
        data: { kind: 'alert-fired', alert: restoredAlertKey, severity: 'critical', count: 1 },
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

/** What the root has said since is obeyed from then on. */
function rootLists(ahead: readonly Found[], ledgerSeq: number): Write[] {
  return ahead
    .filter(({ authority, kind }) => authority === undefined && kind === 'complete')
    .toSorted((a, b) => (a.crl.number < b.crl.number ? -1 : 1))
    .map(({ list = '', crl: { der, thisUpdate, nextUpdate, number } }) => ({
      op: 'insert-crl',
      crl: {
        ...{ list, kind: 'complete', der, thisUpdate, nextUpdate, ledgerSeq },
        ...{ number: Number(number), baseNumber: null },
      },
    }));
}

/**
 * A CRL number is used once (RFC 5280 §5.2.3), and what was published since is not known: numbers go on beyond all that can have been. The
 * next restore of the same backup goes on beyond these again, because more time has gone by.
 */
async function raisedNumbers(
  { store }: Context,
  authorities: Pick<Authorities, 'all'>,
  found: readonly Found[],
  at: number,
): Promise<Write[]> {
  const writes: Write[] = [];
  for (const { id, crlLists } of authorities.all()) {
    const ofAuthority = found.filter(({ authority }) => authority?.id === id);
    for (const { name } of crlLists) {
      const known = [
        await store.findLatestCrl(name, 'complete'),
        await store.findLatestCrl(name, 'delta'),
        ...ofAuthority
          .filter(({ list }) => list === undefined || list === name)
          .map(({ crl }) => ({ number: Number(crl.number), thisUpdate: crl.thisUpdate })),
      ].filter((one) => one !== undefined);
      const highest = Math.max(await store.findCrlFloor(name), ...known.map((one) => one.number));
      // By the oldest moment that is known of: a list that somebody gave says nothing of how old the others are.
      const since = Math.min(at, ...known.map((one) => one.thisUpdate));
      const seconds = Math.ceil((at - since) / 1000);
      const number = highest + numbersLeftOut + seconds * numbersPerSecond;
      writes.push({ op: 'raise-crl-number', list: name, number });
    }
  }
  return writes;
}

/** Those of our authorities and their roots, each told apart by its signature and the list that it says it is. */
async function findLists(
  { store }: Context,
  authorities: Pick<Authorities, 'all' | 'roots'>,
  ders: readonly Uint8Array[],
): Promise<Found[]> {
  const found: Found[] = [];
  for (const der of ders) {
    const crl = parsedOf(der);
    if (crl === undefined) continue;
    const kind = crl.isDelta ? 'delta' : 'complete';
    const root = authorities.roots().find(({ certificate }) => isSignedBy(crl, certificate));
    const authority = authorities.all().find(({ certificate }) => isSignedBy(crl, certificate));
    if (authority === undefined) {
      if (root === undefined) continue;
      const known = (await store.findLatestCrl(root.id, 'complete'))?.number ?? 0;
      const isAhead = kind === 'complete' && Number(crl.number) > known;
      found.push({ list: root.id, kind, crl, authority: undefined, shard: undefined, isAhead });
      continue;
    }
    const list = listOf(crl, authority.crlLists);
    const known = Math.max(
      0,
      ...(await Promise.all(
        (list === undefined ? authority.crlLists : [list]).map((one) =>
          highestKnown(store, one.name),
        ),
      )),
    );
    found.push({
      ...{ list: list?.name, kind, crl, shard: list?.shard },
      authority: { id: authority.id, notAfter: authority.certificate.notAfter },
      isAhead: Number(crl.number) > known,
    });
  }
  return found;
}

async function highestKnown(store: Store, list: string): Promise<number> {
  const [complete, delta, floor] = await Promise.all([
    store.findLatestCrl(list, 'complete'),
    store.findLatestCrl(list, 'delta'),
    store.findCrlFloor(list),
  ]);
  return Math.max(complete?.number ?? 0, delta?.number ?? 0, floor);
}

function listOf({ distributionPoints }: ParsedCrl, lists: readonly CrlList[]): CrlList | undefined {
  return lists.find(({ distributionPoint = [] }) =>
    distributionPoints.length === 0
      ? distributionPoint.length === 0
      : distributionPoint.some((url) => distributionPoints.includes(url)),
  );
}

function parsedOf(der: Uint8Array): ParsedCrl | undefined {
  try {
    return parseCrl(der);
  } catch {
    // A file that was cut or changed proves nothing.
    return undefined;
  }
}

interface Listed {
  readonly revokedAt: number;
  readonly reason: string | undefined;
  readonly authority: NonNullable<Found['authority']>;
  readonly shard: string | undefined;
}

async function revokeListed(
  { store }: Context,
  found: readonly Found[],
  at: number,
): Promise<{ revoked: number; unrecorded: number }> {
  const entries = new Map<string, Listed>();
  for (const { crl, authority, shard } of found) {
    if (authority === undefined) continue;
    for (const { serial, revokedAt, reason } of crl.entries) {
      // A resumed device stays on hold until somebody resumes it again.
      if (reason === 'removeFromCRL') continue;
      const before = entries.get(serial);
      // For good is more than for a while, whichever list is the newer one; and a shard is what its certificate names.
      if (before !== undefined && before.reason !== 'certificateHold' && shard === undefined) {
        continue;
      }
      const isLess =
        before !== undefined && before.reason !== 'certificateHold' && reason === 'certificateHold';
      const kept = isLess ? before : { revokedAt, reason };
      entries.set(serial, { ...kept, authority, shard: shard ?? before?.shard });
    }
  }
  const listed = [...entries];
  let revoked = 0;
  let unrecorded = 0;
  for (let from = 0; from < listed.length; from += writesAtOnce) {
    const some = listed.slice(from, from + writesAtOnce);
    for (;;) {
      const unit = await unitOf(store, some, at);
      if (unit.writes.length === 0) break;
      const result = await store.commit(unit);
      if (result.ok) {
        revoked += unit.entries.length;
        unrecorded += unit.writes.filter(({ op }) => op === 'insert-certificate').length;
        break;
      }
      // Another service on the same database was faster with one of them: what is left is looked up anew.
      if (result.code === 'CERTIFICATE_ALREADY_REVOKED' || result.code === 'STORE_CONFLICT') {
        continue;
      }
      throw new KeylineError(
        result.code,
        'What published CRLs list could not be put into the database that was brought back. Start again.',
        { context: result.context },
      );
    }
  }
  return { revoked, unrecorded };
}

/** Revokes those that are not. One that is not on record gets a row, or the next CRL would not list it any more. */
async function unitOf(
  store: Pick<Store, 'findCertificate' | 'findQuarantined'>,
  listed: readonly (readonly [string, Listed])[],
  at: number,
): Promise<UnitOfWork> {
  const writes: Write[] = [];
  const entries: NewEntry[] = [];
  for (const [hex, entry] of listed) {
    const serial = hex as SerialHex;
    const certificate = await store.findCertificate(serial);
    const isHeld = certificate?.reason === 'certificateHold';
    const reason = revocationReasons.find((known) => known === entry.reason) ?? 'unspecified';
    if (certificate?.state === 'revoked' && !(isHeld && reason !== 'certificateHold')) continue;
    if (certificate === undefined) {
      const held = await store.findQuarantined(serial);
      writes.push(
        {
          op: 'insert-certificate',
          evenIfRevoked: true,
          certificate: revokedUnseen({
            ...{ serial, authority: entry.authority, shard: entry.shard, reason },
            ...{ revokedAt: entry.revokedAt, owner: unrecordedOwner },
          }),
        },
        ...(held?.state === 'waiting'
          ? [{ op: 'decide-quarantine', serial, state: 'revoked', by: 'keyline', at } as const]
          : []),
      );
    } else {
      if (isHeld) writes.push({ op: 'unhold-certificate', serial });
      writes.push({
        ...{ op: 'revoke-certificate', serial, at: entry.revokedAt, reason },
        entry: entries.length,
      });
    }
    const owner = certificate?.owner ?? unrecordedOwner;
    entries.push({
      at,
      actor: 'keyline',
      data: { kind: 'certificate-revoked', owner, serial, reason },
    });
  }
  return { writes, entries };
}
