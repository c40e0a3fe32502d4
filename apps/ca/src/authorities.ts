// The issuing authorities of this service, ready to sign: which one issues a profile, and what each needs to answer for its leaves.
import type { AuthorityRecord, FleetContext, IssuerPort, Store } from '@keyline/fleet';
import { KeylineError } from '@keyline/kernel';
import { createIssuer, type Authority, type Issuer, type Profiles } from '@keyline/pki';
import { equalBytes, parseCertificate, type ParsedCertificate } from '@keyline/x509';
import type { AuthorityKeys } from './ca-folder.ts';
import { crlListsOf, type CrlList } from './crl-lists.ts';
import { certificatePem } from './views.ts';

/** An authority that has its certificate. */
export interface RunningAuthority {
  readonly id: string;
  readonly retired: boolean;
  readonly authority: Authority;
  readonly issuer: Issuer;
  readonly certificate: ParsedCertificate;
  readonly root: ParsedCertificate;
  /** Its certificate, PEM; devices get it beside theirs. */
  readonly pem: string;
  readonly crlLists: readonly CrlList[];
}

export interface Authorities extends IssuerPort {
  /** Ready and retired, in the order they were added. */
  all(): readonly RunningAuthority[];
  /** @throws {KeylineError} AUTHORITY_NOT_FOUND */
  get(id: string): RunningAuthority;
  /** The one that issues a profile now. @throws {KeylineError} AUTHORITY_STATE_FORBIDS when there is none */
  issuerOf(profile: string): RunningAuthority;
  /** Profiles that an authority issues now. */
  profilesOf(id: string): readonly string[];
  /** Distinct roots, in the order they came: `root`, `root-2`, … */
  roots(): readonly { readonly id: string; readonly certificate: ParsedCertificate }[];
  /** The trust bundle: the roots, then what was added to it. */
  trust(): readonly ParsedCertificate[];
  /** Whether this service could issue with a certificate for one of its keys. @throws {KeylineError} PATH_INVALID, LINT_FAILED */
  assertUsable(id: string, certificateDer: Uint8Array): Promise<void>;
  /** Reads the records again after one changed. @throws {KeylineError} PATH_INVALID, LINT_FAILED; then nothing changes */
  reload(): Promise<void>;
}

export async function openAuthorities(options: {
  readonly store: Store;
  readonly profiles: Profiles;
  readonly keys: AuthorityKeys;
  readonly urlsOf: (id: string) => Authority['urls'];
  /** Among how many CRLs the leaves to come are shared; absent: one. */
  readonly crlShards: number | undefined;
}): Promise<Authorities> {
  const { store, profiles, keys, urlsOf, crlShards } = options;
  let running: ReadonlyMap<string, RunningAuthority> = new Map();
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
    if (certificate === null || root === null) return undefined;
    const known = running.get(id);
    if (known !== undefined) return { ...known, retired: state === 'retired' };
    if (crlShards !== undefined && !record.crlShards.includes(crlShards)) {
      // On record before the first certificate names one: the list must be published for as long as that lives.
      await recordShards(record, crlShards);
    }
    const authority = await describe(id, certificate);
    return {
      id,
      retired: state === 'retired',
      authority,
      issuer: await createIssuer(authority, profiles),
      certificate: parseCertificate(certificate),
      root: parseCertificate(root),
      pem: certificatePem(certificate),
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
    added = (await store.listTrust()).map(parseCertificate);
    running = opened;
  }

  function issuerOf(profile: string): RunningAuthority {
    const id = assigned.get(profile);
    // Where nothing was assigned, the first that may.
    const found =
      id === undefined ? [...running.values()].find(({ retired }) => !retired) : running.get(id);
    if (found === undefined || found.retired) {
      throw new KeylineError(
        'AUTHORITY_STATE_FORBIDS',
        `No authority issues the profile "${profile}". Install one, and activate it for the profile.`,
      );
    }
    return found;
  }

  await reload();
  return {
    reload,
    async assertUsable(id, certificateDer) {
      await createIssuer(await describe(id, certificateDer), profiles);
    },
    issuerOf,
    issue: (request) => issuerOf(request.profile).issuer.issue(request),
    all: () => [...running.values()],
    get(id) {
      const found = running.get(id);
      if (found !== undefined) return found;
      throw new KeylineError('AUTHORITY_NOT_FOUND', `There is no authority "${id}" here.`);
    },
    profilesOf: (id) =>
      [...profiles.keys()].filter((profile) => {
        const assignee = assigned.get(profile);
        if (assignee !== undefined) return assignee === id;
        return [...running.values()].find(({ retired }) => !retired)?.id === id;
      }),
    roots: () =>
      rootsOf(running).map((certificate, index) => ({
        id: index === 0 ? 'root' : `root-${String(index + 1)}`,
        certificate,
      })),
    trust: () => distinct([...rootsOf(running), ...added]),
  };
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

/** The use cases with one authority as issuer, whatever the profiles say: for what an authority issues for itself. */
export function withIssuer(fleet: FleetContext, { issuer }: RunningAuthority): FleetContext {
  return { ...fleet, issuer };
}
