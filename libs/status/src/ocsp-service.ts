// OCSP answers for the authorities: from the cache until something changes, signed anew for a nonce.
import { hash } from 'node:crypto';
import type { AuthorityRevocation } from '@keyline/authorities';
import type { Certificate, Store } from '@keyline/fleet';
import type { Feed, LedgerEntry, View } from '@keyline/ledger';
import { isKeylineError, parseSerialHex, type Clock } from '@keyline/kernel';
import {
  ocspError,
  parseOcspRequest,
  type CertificateStatus,
  type OcspAnswerAbout,
  type OcspCertId,
} from '@keyline/pki';
import { latin1Of } from '@keyline/x509';
import type { AuthorityResponder } from './responders.ts';

export interface OcspAnswer {
  readonly der: Uint8Array;
  /** Absent: not to be cached (nonce, error). */
  readonly cache?: {
    readonly etag: string;
    readonly producedAt: number;
    readonly nextUpdate: number;
  };
}

export interface OcspService {
  /** Hostile bytes give an OCSP error answer, never an exception. */
  answer(requestDer: Uint8Array): Promise<OcspAnswer>;
}

interface Cached {
  readonly answer: OcspAnswer;
  readonly producedAt: number;
  readonly freshUntil: number;
}

/** What is remembered of a serial: enough to sign for it anew, and answers by the bytes of their CertID. */
interface Known {
  readonly authority: string;
  readonly status: CertificateStatus;
  readonly answers: Map<string, Cached>;
}

const cacheLimit = 200_000;
/** Milliseconds for which the ledger may go unheard: after that nothing is called good from memory. */
const bound = 500;

/**
 * @param options.standsOn what else must be as the ledger says before anything is answered: the authorities
 * @param options.responders gives those in force now; their certificates change as they are renewed
 * @param options.revocationOf what the roots' CRLs say of an authority: nothing that a revoked one issued is "good" (RFC 6960 §2.7)
 * @param options.rootAnswer what a root signed ahead about an authority's certificate; a nonce is not in it (RFC 5019 §2.2.1)
 * @param options.validity how long an answer may be relied on, milliseconds
 */
export function createOcspService(options: {
  store: Pick<Store, 'findCertificate'>;
  feed: Pick<Feed, 'join'>;
  standsOn: Pick<View<unknown>, 'isFresh' | 'refresh'>;
  clock: Clock;
  responders: () => readonly AuthorityResponder[];
  revocationOf: (authority: string) => AuthorityRevocation | undefined;
  rootAnswer: (certId: OcspCertId) => OcspAnswerAbout | undefined;
  validity: number;
}): OcspService {
  const { store, feed, standsOn, clock, validity, revocationOf, rootAnswer } = options;
  // Keyed by serial: a revocation drops everything about it at once.
  const cache = new Map<string, Known>();
  let epoch = 0;
  const view = feed.join({
    name: 'ocsp',
    state: cache,
    apply(_state, entries) {
      for (const { data } of entries) forget(data);
    },
  });

  function forget(data: LedgerEntry['data']): void {
    if (data.kind === 'authority-revoked') {
      epoch++;
      cache.clear();
    }
    if (!endsOrHolds(data)) return;
    epoch++;
    if ('serials' in data) for (const serial of data.serials) cache.delete(serial);
    if ('serial' in data) cache.delete(data.serial);
  }

  async function find({ serial }: OcspCertId): Promise<Known | undefined> {
    const known = cache.get(serial);
    if (known !== undefined) return known;
    const epochBefore = epoch;
    let certificate: Certificate | undefined;
    try {
      certificate = await store.findCertificate(parseSerialHex(serial));
    } catch (error) {
      // A serial that no certificate of ours can have.
      if (isKeylineError(error) && error.code === 'REQUEST_INVALID') return undefined;
      throw error;
    }
    // Unknown serials are anybody's to invent: they must not fill the cache.
    if (certificate === undefined) return undefined;
    const { authority } = certificate;
    const status = statusUnder(revocationOf(authority), statusOfCertificate(certificate));
    const found = { authority, status, answers: new Map() };
    // What was read before a change is not to be remembered after it.
    if (epoch === epochBefore) {
      if (cache.size >= cacheLimit) cache.clear();
      cache.set(serial, found);
    }
    return found;
  }

  async function answer(requestDer: Uint8Array): Promise<OcspAnswer> {
    const request = parseOcspRequest(requestDer);
    // Uncertain is never "good": what changed is read before anything is said, whoever changed it.
    if (!view.isFresh(bound)) await view.refresh();
    if (!standsOn.isFresh(bound)) await standsOn.refresh();
    const answering = choose(options.responders(), request.certIds);
    if (answering === undefined) return answerOfRoot(request.certIds);
    const { responder, authority } = answering;
    const now = clock.now();
    // The clock is wrong: whatever it would say has ended already for those whose clock is right.
    if (now < answering.notBefore) return { der: ocspError('tryLater') };
    const [first] = request.certIds;
    const single = request.certIds.length === 1 && request.nonce === undefined ? first : undefined;
    const certIdKey = single && latin1Of(single.certIdDer);
    if (single !== undefined && certIdKey !== undefined) {
      const known = cache.get(single.serial)?.answers.get(certIdKey);
      // Not one from the future either: the clock was set back.
      if (known !== undefined && now >= known.producedAt && now < known.freshUntil) {
        return known.answer;
      }
    }
    const producedAt = Math.floor(now / 1000) * 1000;
    const nextUpdate = producedAt + validity;
    const remembered = request.certIds.map(({ serial }) => cache.get(serial));
    const found = remembered.includes(undefined)
      ? await Promise.all(request.certIds.map(find))
      : remembered;
    const responses = request.certIds.map((certId, index) => {
      const known = found[index];
      // A serial says nothing without its issuer: the same number may be another authority's.
      const isOurs = known?.authority === authority && responder.matches(certId);
      return { certId, status: isOurs ? known.status : unknown };
    });
    const der = await responder.respond({
      responses,
      producedAt,
      thisUpdate: producedAt,
      nextUpdate,
      ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
    });
    if (single === undefined || certIdKey === undefined) return { der };
    const fresh: OcspAnswer = {
      // A copy of its own: what DER is written into is shared with others that do not last (libs/x509).
      der: der.slice(),
      // Of the bytes: two answers of one second may differ, before and after a revocation.
      cache: { etag: `"${hash('sha256', der, 'base64url')}"`, producedAt, nextUpdate },
    };
    const [known] = found;
    const forms = known?.authority === authority ? known.answers : undefined;
    if (forms !== undefined && (forms.size < 4 || forms.has(certIdKey))) {
      forms.set(certIdKey, { answer: fresh, producedAt, freshUntil: producedAt + validity / 2 });
    }
    return fresh;
  }

  /** About one certificate alone, as it was signed. Caches keep it no longer than others: the root may have revoked what it calls good. */
  function answerOfRoot(certIds: readonly OcspCertId[]): OcspAnswer {
    const [first] = certIds;
    const found = first === undefined || certIds.length > 1 ? undefined : rootAnswer(first);
    if (found === undefined) return { der: ocspError('unauthorized') };
    const { der, producedAt } = found;
    const etag = `"${hash('sha256', der, 'base64url')}"`;
    const nextUpdate = Math.min(found.nextUpdate, clock.now() + validity);
    return { der, cache: { etag, producedAt, nextUpdate } };
  }

  return {
    async answer(requestDer) {
      try {
        return await answer(requestDer);
      } catch (error) {
        if (
          isKeylineError(error) &&
          (error.code === 'OCSP_MALFORMED' || error.code === 'DER_MALFORMED')
        ) {
          return { der: ocspError('malformedRequest') };
        }
        if (isKeylineError(error) && error.code === 'FEED_STALE') {
          return { der: ocspError('tryLater') };
        }
        throw error;
      }
    },
  };
}

function statusUnder(
  authority: AuthorityRevocation | undefined,
  own: CertificateStatus,
): CertificateStatus {
  return authority === undefined || own.status !== 'good'
    ? own
    : { status: 'revoked', ...authority };
}

/**
 * The responder for most of what is asked. An answer has one signature, which a relying party believes of that authority's certificates
 * alone (RFC 6960 §4.2.2.2); of the others the answer says "unknown", since it must say something of each (§4.2.1).
 */
function choose(
  responders: readonly AuthorityResponder[],
  certIds: readonly OcspCertId[],
): AuthorityResponder | undefined {
  let best: AuthorityResponder | undefined;
  let most = 0;
  for (const one of responders) {
    let matching = 0;
    for (const certId of certIds) if (one.responder.matches(certId)) matching++;
    if (matching <= most) continue;
    best = one;
    most = matching;
    if (most === certIds.length) break;
  }
  return best;
}

const unknown: CertificateStatus = { status: 'unknown' };

/** "good" only for a certificate that was issued and not revoked. */
export function statusOfCertificate(certificate: Certificate): CertificateStatus {
  const { state, revokedAt, reason, notBefore } = certificate;
  if (state !== 'revoked') return { status: 'good' };
  return {
    status: 'revoked',
    revokedAt: revokedAt ?? notBefore,
    reason: reason ?? 'unspecified',
  };
}

function endsOrHolds(data: LedgerEntry['data']): boolean {
  return 'serials' in data || data.kind === 'certificate-revoked';
}
