// Issuing authorities: added with a CSR for the root, installed with what the root signed, active for profiles, retired.
import { hash } from 'node:crypto';
import { formatInstant, KeylineError } from '@keyline/kernel';
import { verifyChain } from '@keyline/pki';
import { equalBytes, parseCertificate, type ParsedCertificate } from '@keyline/x509';
import { entryBy, type Caller } from './caller.ts';
import { commitOrThrow, conflict, type FailedCommit, type FleetContext } from './context.ts';
import type { EntryData } from '@keyline/ledger';
import type { AuthorityRecord, AuthorityState } from './model.ts';
import type { Write } from './ports.ts';
import { findParentEntry, openRootStatus, type KnownRoot } from './root-crls.ts';

type Context = Pick<FleetContext, 'store' | 'clock' | 'profiles'>;
type AuthorityEntry = Extract<EntryData, { kind: `authority-${string}` | 'trust-added' }>;

/** Its key and CSR exist when this is called. @throws {KeylineError} AUTHORITY_EXISTS */
export async function addAuthority(
  context: Context,
  command: { readonly caller: Caller | 'keyline'; readonly id: string },
): Promise<AuthorityRecord> {
  const authority: AuthorityRecord = {
    id: command.id,
    state: 'pending',
    certificate: null,
    root: null,
    crlShards: [],
    createdAt: context.clock.now(),
    revokedAt: null,
    reason: null,
  };
  await commit(context, {
    caller: command.caller,
    writes: [{ op: 'insert-authority', authority }],
    data: { kind: 'authority-added', authority: authority.id },
    explain: (failure) =>
      new KeylineError(
        failure.code,
        `There is an authority "${authority.id}" already. Choose another id.`,
      ),
  });
  return authority;
}

/**
 * Takes the certificate that a root signed. That it belongs to the authority's key is the caller's to check: keys are not seen here.
 * @throws {KeylineError} AUTHORITY_NOT_FOUND, AUTHORITY_STATE_FORBIDS, PATH_INVALID
 */
export async function installAuthority(
  context: Context,
  command: {
    readonly caller: Caller | 'keyline';
    readonly id: string;
    /** DER. */
    readonly certificate: Uint8Array;
    readonly root: Uint8Array;
    /** Known so far; their CRLs on record are asked. */
    readonly roots: readonly KnownRoot[];
  },
): Promise<void> {
  const { id, certificate, root } = command;
  const record = await getAuthority(context, id);
  if (record.state !== 'pending') {
    throw new KeylineError(
      'AUTHORITY_STATE_FORBIDS',
      `The authority "${id}" has its certificate already (it is ${record.state}). For a new one, add another authority.`,
    );
  }
  const verdict = verifyChain({
    leafDer: certificate,
    intermediates: [],
    roots: [root],
    now: context.clock.now(),
    statusOf: await openRootStatus(context, command.roots),
  });
  if (verdict.status === 'invalid' && verdict.fault === 'path') {
    throw new KeylineError(
      'PATH_INVALID',
      `The certificate for "${id}" is not good under the root given with it: ${verdict.reason}`,
    );
  }
  // Also one that has ended says what was revoked.
  const listed = await findParentEntry(context, { certificate, root, roots: command.roots });
  if (listed !== undefined) {
    throw new KeylineError(
      'PATH_INVALID',
      `The certificate for "${id}" is revoked: CRL ${String(listed.crl)} of its root lists it (${listed.reason}, ${formatInstant(listed.revokedAt)}). Have the root sign another key: add another authority.`,
    );
  }
  if (verdict.status === 'invalid') {
    throw new KeylineError('PATH_INVALID', `${verdict.reason} ${howToKnow}`);
  }
  await commit(context, {
    caller: command.caller,
    writes: [
      {
        op: 'update-authority',
        id,
        expectStates: ['pending'],
        state: 'ready',
        certificate,
        root,
      },
    ],
    data: { kind: 'authority-installed', authority: id },
    explain: conflict,
  });
}

const howToKnow =
  'Make a CRL of the root that is in force with keyline-root crl, and bring it with keyline ca root-crl.';

const whyNotActive = {
  pending: 'give it its certificate first',
  retired: 'a retired one signs no certificates any more',
  revoked: "its root's CRL lists it, for good: add another authority",
} as const satisfies Record<Exclude<AuthorityState, 'ready'>, string>;

/**
 * Makes it the issuer of profiles; those of another authority move over.
 * @throws {KeylineError} AUTHORITY_NOT_FOUND, AUTHORITY_STATE_FORBIDS, PROFILE_UNKNOWN
 */
export async function activateAuthority(
  context: Context,
  command: {
    readonly caller: Caller;
    readonly id: string;
    /** Absent: all. */
    readonly profiles?: readonly string[] | undefined;
  },
): Promise<readonly string[]> {
  const { id } = command;
  const { state } = await getAuthority(context, id);
  if (state !== 'ready') {
    throw new KeylineError(
      'AUTHORITY_STATE_FORBIDS',
      `The authority "${id}" is ${state}; ${whyNotActive[state]}.`,
    );
  }
  const profiles = command.profiles ?? [...context.profiles.keys()];
  for (const profile of profiles) {
    if (context.profiles.has(profile)) continue;
    throw new KeylineError(
      'PROFILE_UNKNOWN',
      `There is no profile "${profile}". Known: ${[...context.profiles.keys()].join(', ')}.`,
    );
  }
  await commit(context, {
    caller: command.caller,
    writes: [
      { op: 'update-authority', id, expectStates: ['ready'], state: 'ready' },
      ...profiles.map((profile) => ({ op: 'assign-profile', profile, authority: id }) as const),
    ],
    data: { kind: 'authority-activated', authority: id, profiles },
    explain: conflict,
  });
  return profiles;
}

/**
 * It goes on signing its CRL and OCSP answers until its last leaf ends. Idempotent.
 * @param command.issues profiles that the authority issues now, by whatever rule
 * @throws {KeylineError} AUTHORITY_NOT_FOUND, AUTHORITY_STATE_FORBIDS
 */
export async function retireAuthority(
  context: Context,
  command: { readonly caller: Caller; readonly id: string; readonly issues: readonly string[] },
): Promise<void> {
  const { id, issues } = command;
  const { state } = await getAuthority(context, id);
  if (state === 'retired') return;
  if (state === 'revoked') {
    throw new KeylineError(
      'AUTHORITY_STATE_FORBIDS',
      `The authority "${id}" is revoked, which is more than retired: it issues nothing and nothing it issued is accepted.`,
    );
  }
  if (issues.length > 0) {
    throw new KeylineError(
      'AUTHORITY_STATE_FORBIDS',
      `The authority "${id}" issues ${issues.join(', ')}. Activate another for these first.`,
    );
  }
  await commit(context, {
    caller: command.caller,
    writes: [{ op: 'update-authority', id, expectStates: ['pending', 'ready'], state: 'retired' }],
    data: { kind: 'authority-retired', authority: id },
    explain: conflict,
  });
}

/**
 * Adds a certificate to the trust bundle: a root, or one of the roots certified by another (`keyline-root cross-sign`).
 * @throws {KeylineError} DER_MALFORMED, PATH_INVALID
 */
export async function addTrust(
  context: Context,
  command: {
    readonly caller: Caller;
    /** DER. */
    readonly certificate: Uint8Array;
    /** What the bundle holds. */
    readonly trusted: readonly ParsedCertificate[];
    /** Those whose CRLs on record are asked. */
    readonly roots: readonly KnownRoot[];
  },
): Promise<ParsedCertificate> {
  const now = context.clock.now();
  const certificate = parseCertificate(command.certificate);
  const name = certificate.commonName ?? certificate.serial;
  const isOurs = command.trusted.some(
    ({ subjectDer, spkiDer }) =>
      equalBytes(subjectDer, certificate.subjectDer) && equalBytes(spkiDer, certificate.spkiDer),
  );
  const fault = !certificate.isCa
    ? "it is not an authority's (basicConstraints)"
    : now < certificate.notBefore || now >= certificate.notAfter
      ? 'it is not valid now'
      : !certificate.selfSigned && !isOurs
        ? "it is neither self-signed nor a cross certificate of one of the bundle's roots"
        : undefined;
  if (fault !== undefined) {
    throw new KeylineError('PATH_INVALID', `"${name}" can't join the trust bundle: ${fault}.`);
  }
  if (!certificate.selfSigned) await assertCrossCertified(context, command);
  await commit(context, {
    caller: command.caller,
    writes: [{ op: 'put-trust', der: command.certificate, at: now }],
    data: {
      kind: 'trust-added',
      subject: name,
      sha256: hash('sha256', command.certificate, 'hex'),
    },
    explain: conflict,
  });
  return certificate;
}

/** Who trusts the other root alone follows it as far as that is right: signed by that one, and not taken back since. @throws {KeylineError} PATH_INVALID */
async function assertCrossCertified(
  context: Context,
  given: Pick<Parameters<typeof addTrust>[1], 'certificate' | 'trusted' | 'roots'>,
): Promise<void> {
  const verdict = verifyChain({
    leafDer: given.certificate,
    intermediates: [],
    roots: given.trusted.filter(({ selfSigned }) => selfSigned),
    now: context.clock.now(),
    statusOf: await openRootStatus(context, given.roots),
  });
  if (verdict.status === 'valid') return;
  const advice = {
    path: 'Add the root that signed it first.',
    revoked: 'Its root took it back.',
    'status-unknown': howToKnow,
  };
  throw new KeylineError(
    'PATH_INVALID',
    `The cross certificate can't join the trust bundle: ${verdict.reason} ${advice[verdict.fault]}`,
  );
}

/** @throws {KeylineError} AUTHORITY_NOT_FOUND */
export async function getAuthority(context: Context, id: string): Promise<AuthorityRecord> {
  const authorities = await context.store.listAuthorities();
  const found = authorities.find((authority) => authority.id === id);
  if (found !== undefined) return found;
  throw new KeylineError(
    'AUTHORITY_NOT_FOUND',
    `There is no authority "${id}". Known: ${authorities.map((authority) => authority.id).join(', ')}.`,
  );
}

async function commit(
  context: Context,
  given: {
    readonly caller: Caller | 'keyline';
    readonly writes: readonly Write[];
    readonly data: AuthorityEntry;
    readonly explain: (failure: FailedCommit) => KeylineError;
  },
): Promise<void> {
  await commitOrThrow(
    context,
    {
      writes: given.writes,
      entries: [{ at: context.clock.now(), ...entryBy(given.caller), data: given.data }],
    },
    given.explain,
  );
}
