// OCSP answers (RFC 6960 §4.2) by a delegated responder: what is constant is encoded once, an answer costs one signature.
import { hash } from 'node:crypto';
import { KeylineError } from '@keyline/kernel';
import {
  crlReasonCodes,
  der,
  encodeExtension,
  equalBytes,
  oids,
  parseCertificate,
  parsePublicKey,
  verifySignature,
  type Signer,
} from '@keyline/x509';
import { ocspDigests, type OcspCertId } from './ocsp-request.ts';
import type { Authority, CertificateStatus } from './ports.ts';
import { signTbs } from './sign-tbs.ts';

export interface OcspAnswerContent {
  readonly responses: readonly {
    readonly certId: OcspCertId;
    readonly status: CertificateStatus;
  }[];
  /** Epoch milliseconds; whole seconds are written. */
  readonly producedAt: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  /** The request's, echoed (RFC 9654 §2.1). */
  readonly nonce?: Uint8Array | undefined;
}

export interface OcspResponder {
  /** True when name hash and key hash are both the authority's (RFC 6960 §4.1.1). */
  matches(certId: OcspCertId): boolean;
  /** A complete OCSPResponse, DER. */
  respond(content: OcspAnswerContent): Promise<Uint8Array>;
}

export interface OcspResponderOptions {
  readonly authority: Pick<Authority, 'certificateDer'>;
  /** The delegated responder, certified by the authority itself (§4.2.2.2), or the authority. */
  readonly responder: { readonly certificateDer: Uint8Array; readonly signer: Signer };
}

/** @throws {KeylineError} PATH_INVALID when relying parties would refuse the responder */
export function createOcspResponder(options: OcspResponderOptions): OcspResponder {
  const { authority, responder } = options;
  const issuer = parseCertificate(authority.certificateDer);
  assertDelegated(options);
  const issuerKey = parsePublicKey(issuer.spkiDer).publicKey;
  const hashes = new Map<OcspCertId['hashAlgorithm'], { name: string; key: string }>(
    ocspDigests.map((digest) => [
      digest,
      { name: hash(digest, issuer.subjectDer, 'hex'), key: hash(digest, issuerKey, 'hex') },
    ]),
  );
  const responderKey = parsePublicKey(responder.signer.spkiDer).publicKey;
  // §4.2.1: byKey is the SHA-1 of the key's BIT STRING content.
  const responderId = der.explicit(2, der.octetString(hash('sha1', responderKey, 'buffer')));
  // Who asks has the authority's certificate already: a CertID is made of it.
  const certificates = equalBytes(responder.certificateDer, authority.certificateDer)
    ? nothing
    : der.explicit(0, der.sequence(responder.certificateDer));
  const encodeTimes = rememberTimes();

  return {
    matches({ hashAlgorithm, issuerNameHash, issuerKeyHash }) {
      const own = hashes.get(hashAlgorithm);
      return own !== undefined && issuerNameHash === own.name && issuerKeyHash === own.key;
    },
    async respond(content) {
      const { responses, nonce } = content;
      const { produced, times } = encodeTimes(content);
      const singles = responses.map(({ certId, status }) =>
        der.sequence(certId.certIdDer, encodeStatus(status), times),
      );
      const tbsDer = der.sequence(
        responderId,
        produced,
        der.sequence(...singles),
        nonce === undefined ? nothing : encodeNonce(nonce),
      );
      const basic = await signTbs(responder.signer, tbsDer, certificates);
      return der.sequence(
        successful,
        der.explicit(0, der.sequence(basicType, der.octetString(basic))),
      );
    },
  };
}

type Times = Pick<OcspAnswerContent, 'producedAt' | 'thisUpdate' | 'nextUpdate'>;

/** Answers of one second share their times. */
function rememberTimes(): (content: Times) => { produced: Uint8Array; times: Uint8Array } {
  let last: Times = { producedAt: Number.NaN, thisUpdate: Number.NaN, nextUpdate: Number.NaN };
  let encoded = { produced: nothing, times: nothing };
  return (content) => {
    const { producedAt, thisUpdate, nextUpdate } = content;
    if (
      producedAt !== last.producedAt ||
      thisUpdate !== last.thisUpdate ||
      nextUpdate !== last.nextUpdate
    ) {
      last = { producedAt, thisUpdate, nextUpdate };
      encoded = {
        produced: der.generalizedTime(producedAt),
        times: der.concat(
          der.generalizedTime(thisUpdate),
          der.explicit(0, der.generalizedTime(nextUpdate)),
        ),
      };
    }
    return encoded;
  };
}

const nothing: Uint8Array = new Uint8Array();
const successful = der.enumerated(0);
const basicType = der.oid(oids.ocspBasic);
const good = Uint8Array.of(der.contextTag(0), 0);
const unknown = Uint8Array.of(der.contextTag(2), 0);

function encodeStatus(status: CertificateStatus): Uint8Array {
  switch (status.status) {
    case 'good':
      return good;
    case 'unknown':
      return unknown;
    case 'revoked': {
      const reason =
        status.reason === 'unspecified'
          ? []
          : [der.explicit(0, der.enumerated(crlReasonCodes[status.reason]))];
      return der.element(
        der.contextConstructedTag(1),
        der.generalizedTime(status.revokedAt),
        ...reason,
      );
    }
  }
}

function encodeNonce(nonce: Uint8Array): Uint8Array {
  const extension = { oid: oids.ocspNonce, critical: false, valueDer: der.octetString(nonce) };
  return der.explicit(1, der.sequence(encodeExtension(extension)));
}

function assertDelegated({ authority, responder }: OcspResponderOptions): void {
  const certificate = parseCertificate(responder.certificateDer);
  const isAuthority = equalBytes(responder.certificateDer, authority.certificateDer);
  const issuer = parseCertificate(authority.certificateDer);
  const fault = !equalBytes(certificate.spkiDer, responder.signer.spkiDer)
    ? 'its key is not the one given to sign with'
    : isAuthority
      ? undefined
      : !equalBytes(certificate.issuerDer, issuer.subjectDer) ||
          !verifySignature({ ...certificate, spkiDer: issuer.spkiDer })
        ? 'it is not signed by the authority it answers for'
        : !certificate.extendedKeyUsage.includes('OCSPSigning')
          ? 'its extended key usage is not OCSPSigning'
          : undefined;
  if (fault !== undefined) {
    throw new KeylineError(
      'PATH_INVALID',
      `The OCSP responder certificate "${certificate.commonName ?? certificate.serial}" can't be used: ${fault} (RFC 6960 §4.2.2.2).`,
    );
  }
}

const errorStatuses = {
  malformedRequest: 1,
  internalError: 2,
  tryLater: 3,
  unauthorized: 6,
} as const;
export type OcspErrorStatus = keyof typeof errorStatuses;

const errorResponses = new Map(
  Object.entries(errorStatuses).map(([name, code]) => [name, der.sequence(der.enumerated(code))]),
);

/** An unsigned error answer, DER (RFC 6960 §4.2.1). */
export function ocspError(status: OcspErrorStatus): Uint8Array {
  return errorResponses.get(status) ?? der.sequence(der.enumerated(errorStatuses[status]));
}
