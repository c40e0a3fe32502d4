// The issuing authorities of this service, ready to sign: which one issues a profile, and what each needs to answer for its leaves.
import type { AuthorityRecord, FleetContext, IssuerPort, KnownRoot, Store } from '@keyline/fleet';
import { freshen, type Feed, type LedgerEntry, type View } from '@keyline/ledger';
import { formatInstant, KeylineError, type Clock } from '@keyline/kernel';
import type { AuthorityKeys } from '@keyline/keys';
import {
  createIssuer,
  type Authority,
  type Issuer,
  type OcspAnswerAbout,
  type OcspCertId,
  type Profiles,
  type RevocationReason,
} from '@keyline/pki';
import {
  encodePem,
  equalBytes,
  parseCertificate,
  parseCrl,
  type ParsedCertificate,
  type ParsedCrl,
} from '@keyline/x509';
import { assertClock } from './assert-clock.ts';
import { crlListsOf, type CrlList } from './crl-lists.ts';
import { createRootAnswers } from './root-answers.ts';

/** An authority that has its certificate. */
export interface RunningAuthority {
  readonly id: string;
  readonly state: Exclude<AuthorityRecord['state'], 'pending'>;
  /** What its root's CRL says of it. */
  readonly revocation: AuthorityRevocation | undefined;
  readonly authority: Authority;
  readonly issuer: Issuer;
  readonly certificate: ParsedCertificate;
  readonly root: ParsedCertificate;
  /** Its certificate, PEM; devices get it beside theirs. */
  readonly pem: string;
  readonly crlLists: readonly CrlList[];
}

export interface AuthorityRevocation {
  /** Epoch milliseconds. */
  readonly revokedAt: number;
  readonly reason: RevocationReason;
}

export interface Authorities extends IssuerPort {
  /** Ready, retired and revoked, in the order they were added. */
  all(): readonly RunningAuthority[];
  /** @throws {KeylineError} AUTHORITY_NOT_FOUND */
  get(id: string): RunningAuthority;
  /** The one that issues a profile now. @throws {KeylineError} AUTHORITY_STATE_FORBIDS when there is none */
  issuerOf(profile: string): RunningAuthority;
  /** The same, whatever the roots' CRLs say of it, where there is no other: for what the service itself needs to be reached by its administrators. */
  lastResortFor(profile: string): RunningAuthority;
  /** Whether no profile is left to it: others issue all that it did. */
  isLeftBy(id: string): boolean;
  /** What the roots' CRLs say of one. */
  revocationOf(id: string): AuthorityRevocation | undefined;
  /** What a root signed ahead for a question about an authority's certificate, while it is to be believed. */
  rootAnswer(certId: OcspCertId): OcspAnswerAbout | undefined;
  /** Profiles that an authority issues now. */
  profilesOf(id: string): readonly string[];
  /** Distinct roots, in the order they came: `root`, `root-2`, … */
  roots(): readonly KnownRoot[];
  /** The trust bundle: the roots, then what was added to it. */
  trust(): readonly ParsedCertificate[];
  /** Whether this service could issue with a certificate for one of its keys. @throws {KeylineError} PATH_INVALID, LINT_FAILED */
  assertUsable(id: string, certificateDer: Uint8Array): Promise<void>;
  /** Reads the records again after one changed. @throws {KeylineError} PATH_INVALID, LINT_FAILED; then nothing changes */
  reload(): Promise<void>;
  /** Whether all this is what the ledger says, whoever changed it. Who asks for what must not be old looks at it first (`freshen`). */
  readonly view: Pick<View<unknown>, 'isFresh' | 'refresh'>;
}

/** Milliseconds: what is issued is issued by what was in force so long ago at most. */
const bound = 1000;

export async function openAuthorities(options: {
  readonly store: Store;
  readonly feed: Pick<Feed, 'join'>;
  readonly profiles: Profiles;
  readonly keys: AuthorityKeys;
  readonly urlsOf: (id: string) => Authority['urls'];
  /** Among how many CRLs the leaves to come are shared; absent: one. */
  readonly crlShards: number | undefined;
  readonly clock: Clock;
  /** Whether one issues nothing while its root's CRL is missing or has ended. */
  readonly requireRootCrl: boolean;
}): Promise<Authorities> {
  const { store, feed, profiles, keys, urlsOf, crlShards, clock, requireRootCrl } = options;
  /** When the CRLs of the roots end, where there is one. */
  let rootCrlEnds: ReadonlyMap<string, number> = new Map();
  let rootAnswers = createRootAnswers([]);
  let running: Map<string, RunningAuthority> = new Map();
  let assigned: ReadonlyMap<string, string> = new Map();
  let added: readonly ParsedCertificate[] = [];

  async function recordShards({ id, state, crlShards: before }: AuthorityRecord, count: number) {
    const result = await store.commit({
      writes: [
        {
          op: 'update-authority',
          id,
          expectStates: [state],
          state,
          crlShards: [...before, count],
        },
      ],
      entries: [],
    });
    if (!result.ok) {
      throw new KeylineError(
        'STORE_CONFLICT',
        `The authority "${id}" was changed at the same time; start again.`,
      );
    }
  }

  const describe = async (id: string, certificateDer: Uint8Array): Promise<Authority> => ({
    ...(crlShards === undefined ? {} : { crlShards }),
    id,
    certificateDer,
    signer: await keys.load(id),
    urls: urlsOf(id),
  });

  async function open(record: AuthorityRecord): Promise<RunningAuthority | undefined> {
    const { id, state, certificate, root } = record;
    if (certificate === null || root === null || state === 'pending') return undefined;
    const standing = { state, revocation: revocationIn(record) };
    const known = running.get(id);
    if (known !== undefined) return { ...known, ...standing };
    if (crlShards !== undefined && !record.crlShards.includes(crlShards)) {
      // On record before the first certificate names one: the list must be published for as long as that lives.
      await recordShards(record, crlShards);
    }
    const authority = await describe(id, certificate);
    return {
      id,
      ...standing,
      authority,
      issuer: await createIssuer(authority, profiles),
      certificate: parseCertificate(certificate),
      root: parseCertificate(root),
      pem: encodePem('CERTIFICATE', certificate),
      crlLists: crlListsOf(authority, [
        ...new Set([...record.crlShards, ...(crlShards === undefined ? [] : [crlShards])]),
      ]),
    };
  }

  async function reload(): Promise<void> {
    const records = await store.listAuthorities();
    const opened = new Map<string, RunningAuthority>();
    for (const record of records) {
      const one = await open(record);
      if (one !== undefined) opened.set(one.id, one);
    }
    assigned = await store.listProfileIssuers();
    running = opened;
    const ends = new Map<string, number>();
    const crls: ParsedCrl[] = [];
    const brought: Uint8Array[] = [];
    for (const { id } of roots()) {
      const crl = await store.findLatestCrl(id, 'complete');
      if (crl === undefined) continue;
      ends.set(id, crl.nextUpdate);
      crls.push(parseCrl(crl.der));
      if (crl.answers !== undefined) brought.push(crl.answers);
    }
    rootCrlEnds = ends;
    rootAnswers = createRootAnswers(brought);
    // A cross certificate is revoked like any other, by its serial.
    added = (await store.listTrust())
      .map(parseCertificate)
      .filter((certificate) => !crls.some((crl) => lists(crl, certificate)));
  }

  function rootAnswer(certId: OcspCertId): OcspAnswerAbout | undefined {
    const answer = rootAnswers.find(certId, clock.now());
    if (answer?.status !== 'good') return answer;
    // Revoked since, or by a list that came without answers: what was signed before is true no more.
    const isRevoked = [...running.values()].some(
      ({ certificate, revocation }) =>
        revocation !== undefined && certificate.serial === certId.serial,
    );
    return isRevoked ? undefined : answer;
  }

  function issuerOf(profile: string): RunningAuthority {
    const found = assigneeOf(profile);
    if (found?.state === 'ready') {
      if (requireRootCrl) assertRootCrl(found);
      return found;
    }
    throw new KeylineError(
      'AUTHORITY_STATE_FORBIDS',
      found?.revocation === undefined
        ? `No authority issues the profile "${profile}". Install one, and activate it for the profile.`
        : `The authority "${found.id}", which issued the profile "${profile}", was revoked by its root at ${formatInstant(found.revocation.revokedAt)} (${found.revocation.reason}). Add, install and activate another (keyline ca add).`,
    );
  }

  /** What its root says of an authority is not known without a CRL in force. @throws {KeylineError} AUTHORITY_STATE_FORBIDS */
  function assertRootCrl({ id, root }: RunningAuthority): void {
    const known = roots().find(({ certificate }) => equalBytes(certificate.der, root.der));
    const ends = known && rootCrlEnds.get(known.id);
    if (ends !== undefined && clock.now() < ends) return;
    throw new KeylineError(
      'AUTHORITY_STATE_FORBIDS',
      `The authority "${id}" issues nothing without a CRL of its root, ${ends === undefined ? 'and none was ever brought' : `whose last ended at ${formatInstant(ends)}`} (authorities.requireRootCrl in ca-config/service.yaml). Make one with keyline-root crl, and bring it with keyline ca root-crl.`,
    );
  }

  function roots(): readonly KnownRoot[] {
    return rootsOf(running).map((certificate, index) => ({
      id: index === 0 ? 'root' : `root-${String(index + 1)}`,
      certificate,
    }));
  }

  /** Where nothing was assigned, the first that was not retired: one that took a revoked one's place must have been activated. */
  function assigneeOf(profile: string): RunningAuthority | undefined {
    const id = assigned.get(profile);
    if (id !== undefined) return running.get(id);
    return [...running.values()].find(({ state }) => state !== 'retired');
  }

  /** At once: whatever is signed after that entry is not to be signed by it. */
  function obey({ data }: LedgerEntry): void {
    if (data.kind !== 'authority-revoked') return;
    const known = running.get(data.authority);
    if (known === undefined) return;
    const { revokedAt, reason } = data;
    running.set(known.id, { ...known, state: 'revoked', revocation: { revokedAt, reason } });
  }

  let turn: Promise<void> = Promise.resolve();
  /** One after the other: what was read first must not be what stays. */
  function reloadInTurn(): Promise<void> {
    const reloaded = turn.then(reload);
    turn = reloaded.catch(() => undefined);
    return reloaded;
  }

  // Before the records are read: what comes meanwhile is heard.
  const view = feed.join({
    name: 'authorities',
    state: undefined,
    apply(_state, entries) {
      for (const entry of entries) obey(entry);
      return entries.some(changesAuthorities) ? reloadInTurn() : undefined;
    },
  });
  await reloadInTurn();
  return {
    view,
    reload: reloadInTurn,
    async assertUsable(id, certificateDer) {
      await createIssuer(await describe(id, certificateDer), profiles);
    },
    issuerOf,
    lastResortFor(profile) {
      const found = assigneeOf(profile);
      if (found?.state === 'ready' || found?.state === 'revoked') return found;
      return issuerOf(profile);
    },
    isLeftBy: (id) => [...profiles.keys()].every((profile) => assigneeOf(profile)?.id !== id),
    revocationOf: (id) => running.get(id)?.revocation,
    rootAnswer,
    async issue(request) {
      await freshen(view, bound);
      const { issuer, certificate } = issuerOf(request.profile);
      assertClock(certificate, request.now);
      return issuer.issue(request);
    },
    all: () => [...running.values()],
    get(id) {
      const found = running.get(id);
      if (found !== undefined) return found;
      throw new KeylineError('AUTHORITY_NOT_FOUND', `There is no authority "${id}" here.`);
    },
    profilesOf: (id) =>
      [...profiles.keys()].filter((profile) => {
        const assignee = assigneeOf(profile);
        return assignee?.id === id && assignee.state === 'ready';
      }),
    roots,
    trust: () => distinct([...rootsOf(running), ...added]),
  };
}

function lists({ issuerDer, entries }: ParsedCrl, certificate: ParsedCertificate): boolean {
  return (
    equalBytes(issuerDer, certificate.issuerDer) &&
    entries.some(({ serial }) => serial === certificate.serial)
  );
}

function revocationIn({ revokedAt, reason }: AuthorityRecord): AuthorityRevocation | undefined {
  return revokedAt === null ? undefined : { revokedAt, reason: reason ?? 'unspecified' };
}

function rootsOf(running: ReadonlyMap<string, RunningAuthority>): ParsedCertificate[] {
  return distinct([...running.values()].map(({ root }) => root));
}

function distinct(certificates: readonly ParsedCertificate[]): ParsedCertificate[] {
  const found: ParsedCertificate[] = [];
  for (const one of certificates) {
    if (!found.some(({ der }) => equalBytes(der, one.der))) found.push(one);
  }
  return found;
}

/**
 * The use cases with one authority as issuer, whatever the profiles say: for what an authority issues for itself. Never before it began
 * itself: a service whose clock is wrong must be there when the clock is right.
 */
export function withIssuer(
  fleet: FleetContext,
  { issuer, certificate }: Pick<RunningAuthority, 'issuer' | 'certificate'>,
): FleetContext {
  const clock = { now: () => Math.max(fleet.clock.now(), certificate.notBefore) };
  return { ...fleet, issuer, clock };
}

/** Of what the records say, and of what a root says of them: whoever wrote it. */
export function changesAuthorities({ data }: LedgerEntry): boolean {
  switch (data.kind) {
    case 'authority-added':
    case 'authority-installed':
    case 'authority-activated':
    case 'authority-retired':
    case 'authority-revoked':
    case 'trust-added':
      return true;
    case 'crl-published':
      // A root's was brought.
      return /^root(-\d+)?$/.test(data.list);
    default:
      return false;
  }
}
