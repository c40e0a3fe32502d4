// The roots' CRLs: brought from where they were signed, served, and obeyed: an authority that one lists is revoked, for good.
import { formatInstant, KeylineError, type Clock } from '@keyline/kernel';
import {
  createCrlStatusSource,
  revocationReasons,
  type RevocationReason,
  type StatusOf,
} from '@keyline/pki';
import {
  equalBytes,
  parseCertificate,
  parseCrl,
  verifySignature,
  type ParsedCertificate,
  type ParsedCrl,
} from '@keyline/x509';
import { entryBy, type Caller } from './caller.ts';
import { commitOrThrow } from './context.ts';
import type { NewEntry } from '@keyline/ledger';
import type { AuthorityRecord, Crl } from './model.ts';
import type { Store, Write } from './ports.ts';
import { checkRootAnswers } from './root-answers.ts';

interface Context {
  readonly store: Store;
  readonly clock: Clock;
}

/** A root as CRLs are kept of it: `root`, `root-2`, … */
export interface KnownRoot {
  readonly id: string;
  readonly certificate: ParsedCertificate;
}

/** What a root's CRL says of an authority's certificate. */
export interface ParentEntry {
  /** Epoch milliseconds. */
  readonly revokedAt: number;
  readonly reason: RevocationReason;
  /** Number of the CRL. */
  readonly crl: number;
}

/**
 * Takes a CRL that a root signed offline, and its OCSP answers, to serve and to obey it: the authorities it lists are revoked with the same commit.
 * @throws {KeylineError} DER_MALFORMED, PATH_INVALID unless one of the roots signed all of it for now, STORE_CONFLICT for an old number
 */
export async function importRootCrl(
  context: Context,
  command: {
    readonly caller: Caller | 'keyline';
    /** DER. */
    readonly crl: Uint8Array;
    /** OCSP answers that were signed with it, DER each. */
    readonly answers?: readonly Uint8Array[];
    readonly roots: readonly KnownRoot[];
  },
): Promise<Crl & { readonly revoked: readonly string[] }> {
  const now = context.clock.now();
  const parsed = parseCrl(command.crl);
  const root = command.roots.find(({ certificate }) => isSignedBy(parsed, certificate));
  if (root === undefined || parsed.isDelta || !coversAuthorities(parsed)) {
    throw new KeylineError(
      'PATH_INVALID',
      'This is not a complete CRL that one of this Keyline\'s roots signed. Bring the one that "keyline-root crl" made.',
    );
  }
  assertInForce(parsed, now);
  const number = numberOf(parsed);
  const { answers = [] } = command;
  const before = await context.store.findLatestCrl(root.id, 'complete');
  const crl: Crl = {
    list: root.id,
    kind: 'complete',
    number,
    baseNumber: null,
    der: command.crl,
    thisUpdate: parsed.thisUpdate,
    nextUpdate: parsed.nextUpdate,
    ledgerSeq: await context.store.lastSeq(),
    ...(answers.length === 0
      ? {}
      : {
          answers: checkRootAnswers({
            answers,
            root: root.certificate,
            crl: parsed,
            before: before && parseCrl(before.der),
          }),
        }),
  };
  const by = { at: now, ...entryBy(command.caller) };
  const ended = revocationsBy({
    crl: parsed,
    root: root.certificate,
    authorities: await context.store.listAuthorities(),
    by,
  });
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'insert-crl', crl }, ...ended.writes],
      entries: [
        { ...by, data: { kind: 'crl-published', authority: root.id, list: root.id, number } },
        ...ended.entries,
      ],
    },
    (failure) =>
      new KeylineError(
        failure.code,
        'expected' in failure.context || failure.writeIndex > 0
          ? 'An authority was changed at the same time; bring the CRL again.'
          : `The CRL of ${root.id} that is served has this number (${String(number)}) or a higher one; nothing was changed.`,
      ),
  );
  return { ...crl, revoked: ended.ids };
}

/**
 * Revokes the authorities that a CRL on record lists and that are not revoked yet: those of a database that is older than this rule.
 * A signature that does not hold counts for nothing here: the list in the database is no better proof than the one that was brought.
 * @returns ids
 */
export async function obeyRootCrls(
  context: Context,
  roots: readonly KnownRoot[],
): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const { id, certificate } of roots) {
    const crl = await context.store.findLatestCrl(id, 'complete');
    const parsed = crl && parseCrl(crl.der);
    if (parsed === undefined || !isSignedBy(parsed, certificate)) continue;
    const ended = revocationsBy({
      crl: parsed,
      root: certificate,
      authorities: await context.store.listAuthorities(),
      by: { at: context.clock.now(), actor: 'keyline' },
    });
    if (ended.writes.length === 0) continue;
    await commitOrThrow(
      context,
      ended,
      (failure) =>
        new KeylineError(failure.code, 'An authority was changed at the same time; start again.'),
    );
    ids.push(...ended.ids);
  }
  return ids;
}

/**
 * What the CRLs on record say of a certificate that is to be installed.
 * @param given DER, and the roots that are known
 */
export async function findParentEntry(
  { store }: Pick<Context, 'store'>,
  given: {
    readonly certificate: Uint8Array;
    readonly root: Uint8Array;
    readonly roots: readonly KnownRoot[];
  },
): Promise<ParentEntry | undefined> {
  const root = parseCertificate(given.root);
  for (const { id, certificate } of given.roots) {
    // Known by another certificate for the same key, perhaps.
    if (!isSameAuthority(root, certificate)) continue;
    const crl = await store.findLatestCrl(id, 'complete');
    const parsed = crl && parseCrl(crl.der);
    if (parsed === undefined || !isSignedBy(parsed, root)) continue;
    const found = entryOf(parsed, given.certificate);
    if (found !== undefined) return found;
  }
  return undefined;
}

/**
 * What the CRLs on record say, by RFC 5280 §6.3.3, of certificates that roots signed: "unknown" by one that has ended. A root of which none
 * was ever brought is not asked; whether its authorities may issue then is for `authorities.requireRootCrl`.
 */
export async function openRootStatus(
  { store, clock }: Pick<Context, 'store' | 'clock'>,
  roots: readonly KnownRoot[],
): Promise<StatusOf> {
  const crls: Uint8Array[] = [];
  const asked: ParsedCertificate[] = [];
  for (const { id, certificate } of roots) {
    const crl = await store.findLatestCrl(id, 'complete');
    if (crl === undefined) continue;
    crls.push(crl.der);
    asked.push(certificate);
  }
  const statusOf = createCrlStatusSource({ crls, now: clock.now() });
  return (certificate, issuer, anchor) =>
    asked.some((root) => isSameAuthority(root, issuer))
      ? statusOf(certificate, issuer, anchor)
      : { status: 'good' };
}

/** @param certificate DER, issued by the root that signed the CRL */
export function entryOf(crl: ParsedCrl, certificate: Uint8Array): ParentEntry | undefined {
  const { serial } = parseCertificate(certificate);
  const entry = crl.entries.find((one) => one.serial === serial);
  if (entry === undefined) return undefined;
  const { revokedAt } = entry;
  const reason = revocationReasons.find((known) => known === entry.reason) ?? 'unspecified';
  return { revokedAt, reason, crl: numberOf(crl) };
}

/** RFC 5280 §6.3.3 (f), (g): the CRL's issuer is this certificate's subject, and its key verifies the signature. */
export function isSignedBy(crl: ParsedCrl, root: ParsedCertificate): boolean {
  return (
    equalBytes(root.subjectDer, crl.issuerDer) && verifySignature({ ...crl, spkiDer: root.spkiDer })
  );
}

/** A distribution point with a name that is no URI restricts the CRL to who knows what (RFC 5280 §5.2.5). */
function coversAuthorities({ scope, pointNames, distributionPoints }: ParsedCrl): boolean {
  if (pointNames !== undefined && distributionPoints.length === 0) return false;
  return scope === undefined || scope === 'ca' || scope === 'all';
}

function revocationsBy(given: {
  readonly crl: ParsedCrl;
  readonly root: ParsedCertificate;
  readonly authorities: readonly AuthorityRecord[];
  readonly by: Omit<NewEntry, 'data'>;
}): { readonly ids: string[]; readonly writes: Write[]; readonly entries: NewEntry[] } {
  const { crl, root, by } = given;
  const ids: string[] = [];
  const writes: Write[] = [];
  const entries: NewEntry[] = [];
  for (const { id, state, certificate, root: ownRoot } of given.authorities) {
    // Revoked is for good: a hold, or a later list that has the entry no more, brings no authority back.
    if (state === 'revoked' || certificate === null || ownRoot === null) continue;
    const parent = parseCertificate(ownRoot);
    if (!isSameAuthority(parent, root)) continue;
    const entry = entryOf(crl, certificate);
    if (entry === undefined) continue;
    const { revokedAt, reason } = entry;
    ids.push(id);
    writes.push({
      op: 'update-authority',
      id,
      expectStates: [state],
      state: 'revoked',
      revokedAt,
      reason,
    });
    entries.push({ ...by, data: { kind: 'authority-revoked', authority: id, ...entry } });
  }
  return { ids, writes, entries };
}

/** The same name and key, whichever certificate says so. */
function isSameAuthority(a: ParsedCertificate, b: ParsedCertificate): boolean {
  return equalBytes(a.subjectDer, b.subjectDer) && equalBytes(a.spkiDer, b.spkiDer);
}

function assertInForce({ thisUpdate, nextUpdate }: ParsedCrl, now: number): void {
  if (now >= nextUpdate) {
    throw new KeylineError(
      'PATH_INVALID',
      `This CRL ended at ${formatInstant(nextUpdate)}: relying parties would refuse everything below the root. Make a new one with "keyline-root crl".`,
    );
  }
  if (now < thisUpdate) {
    throw new KeylineError(
      'PATH_INVALID',
      `This CRL begins at ${formatInstant(thisUpdate)}: until then relying parties would refuse everything below the root. Check the clock of the root's machine and of this one.`,
    );
  }
}

function numberOf(crl: ParsedCrl): number {
  const number = Number(crl.number);
  if (Number.isSafeInteger(number)) return number;
  throw new KeylineError(
    'PATH_INVALID',
    'This CRL has no number (RFC 5280 §5.2.3), or one beyond 2^53. Make a new one with "keyline-root crl".',
  );
}
