// OCSP answers for the authority: from the cache until something changes, signed anew for a nonce.
import type { LedgerEntry, Store } from '@keyline/fleet';
import { isKeylineError, parseSerialHex, type Clock, type SerialHex } from '@keyline/kernel';
import {
  ocspError,
  parseOcspRequest,
  type CertificateStatus,
  type OcspCertId,
  type OcspResponder,
} from '@keyline/pki';

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
  statusOf(serial: SerialHex): Promise<CertificateStatus>;
  close(): void;
}

interface Cached {
  readonly answer: OcspAnswer;
  readonly freshUntil: number;
}

const cacheLimit = 200_000;

/**
 * @param options.responder gives the responder in force now; its certificate changes as it is renewed
 * @param options.validity how long an answer may be relied on, milliseconds
 */
export function createOcspService(options: {
  store: Store;
  clock: Clock;
  responder: () => OcspResponder;
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

  async function statusOf(serial: SerialHex): Promise<CertificateStatus> {
    const certificate = await store.findCertificate(serial);
    if (certificate === undefined) return { status: 'unknown' };
    if (certificate.state !== 'revoked') return { status: 'good' };
    return {
      status: 'revoked',
      revokedAt: certificate.revokedAt ?? clock.now(),
      reason: certificate.reason ?? 'unspecified',
    };
  }

  async function statusOfCertId(certId: OcspCertId): Promise<CertificateStatus> {
    try {
      return await statusOf(parseSerialHex(certId.serial));
    } catch (error) {
      // A serial that no certificate of ours can have.
      if (isKeylineError(error) && error.code === 'REQUEST_INVALID') return { status: 'unknown' };
      throw error;
    }
  }

  async function answer(requestDer: Uint8Array): Promise<OcspAnswer> {
    const request = parseOcspRequest(requestDer);
    const responder = options.responder();
    if (!request.certIds.every((certId) => responder.matches(certId))) {
      return { der: ocspError('unauthorized') };
    }
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
      request.certIds.map(async (certId) => ({ certId, status: await statusOfCertId(certId) })),
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
    statusOf,
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

function endsOrHolds(data: LedgerEntry['data']): boolean {
  return 'serials' in data || data.kind === 'certificate-revoked';
}
