// OCSP answers for the authorities: from the cache until something changes, signed anew for a nonce.
import type { Certificate, LedgerEntry, Store } from '@keyline/fleet';
import { isKeylineError, parseSerialHex, type Clock } from '@keyline/kernel';
import { ocspError, parseOcspRequest, type CertificateStatus, type OcspCertId } from '@keyline/pki';
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
  close(): void;
}

interface Cached {
  readonly answer: OcspAnswer;
  readonly freshUntil: number;
}

const cacheLimit = 200_000;

/**
 * @param options.responders gives those in force now; their certificates change as they are renewed
 * @param options.validity how long an answer may be relied on, milliseconds
 */
export function createOcspService(options: {
  store: Store;
  clock: Clock;
  responders: () => readonly AuthorityResponder[];
  validity: number;
}): OcspService {
  const { store, clock, validity } = options;
  // Keyed by serial, then by the CertID's bytes: a revocation drops all forms of a serial at once.
  const cache = new Map<string, Map<string, Cached>>();
  let epoch = 0;
  const stop = store.onCommit((entries) => {
    for (const { data } of entries) {
      if (!endsOrHolds(data)) continue;
      epoch++;
      if ('serials' in data) for (const serial of data.serials) cache.delete(serial);
      if ('serial' in data) cache.delete(data.serial);
    }
  });

  async function statusOf(certId: OcspCertId, authority: string): Promise<CertificateStatus> {
    try {
      const certificate = await store.findCertificate(parseSerialHex(certId.serial));
      // A serial says nothing without its issuer: the same number may be another authority's.
      return certificate?.authority === authority ? statusOfCertificate(certificate) : unknown;
    } catch (error) {
      // A serial that no certificate of ours can have.
      if (isKeylineError(error) && error.code === 'REQUEST_INVALID') return unknown;
      throw error;
    }
  }

  async function answer(requestDer: Uint8Array): Promise<OcspAnswer> {
    const request = parseOcspRequest(requestDer);
    const answering = options
      .responders()
      .find(({ responder }) => request.certIds.every((certId) => responder.matches(certId)));
    if (answering === undefined) return { der: ocspError('unauthorized') };
    const { responder, authority } = answering;
    const now = clock.now();
    const [first] = request.certIds;
    const single = request.certIds.length === 1 && request.nonce === undefined ? first : undefined;
    const certIdKey = single && Buffer.from(single.certIdDer).toString('latin1');
    if (single !== undefined && certIdKey !== undefined) {
      const known = cache.get(single.serial)?.get(certIdKey);
      if (known !== undefined && now < known.freshUntil) return known.answer;
    }
    const epochBefore = epoch;
    const producedAt = Math.floor(now / 1000) * 1000;
    const nextUpdate = producedAt + validity;
    const responses = await Promise.all(
      request.certIds.map(async (certId) => ({
        certId,
        status: await statusOf(certId, authority),
      })),
    );
    const der = await responder.respond({
      responses,
      producedAt,
      thisUpdate: producedAt,
      nextUpdate,
      ...(request.nonce === undefined ? {} : { nonce: request.nonce }),
    });
    if (single === undefined || certIdKey === undefined) return { der };
    const fresh: OcspAnswer = {
      der,
      cache: { etag: `"${single.serial}-${producedAt.toString(36)}"`, producedAt, nextUpdate },
    };
    // Unknown serials are anybody's to invent: they must not fill the cache. Nor may an answer older than a change.
    if (epoch === epochBefore && responses[0]?.status.status !== 'unknown') {
      if (cache.size >= cacheLimit) cache.clear();
      const forms = cache.get(single.serial) ?? new Map<string, Cached>();
      if (forms.size < 4)
        forms.set(certIdKey, { answer: fresh, freshUntil: producedAt + validity / 2 });
      cache.set(single.serial, forms);
    }
    return fresh;
  }

  return {
    close: stop,
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
        throw error;
      }
    },
  };
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
