// An OCSP answer about one certificate that was signed elsewhere (RFC 6960 §4.2), read strictly; who signed it is for the caller to check.
import { der, derMalformed, oids, readSequence, type DerReader } from '@keyline/x509';
import { parseCertId, type OcspCertId } from './ocsp-request.ts';

export interface OcspAnswerAbout {
  readonly der: Uint8Array;
  readonly certId: OcspCertId;
  readonly status: 'good' | 'revoked' | 'unknown';
  /** Epoch milliseconds. */
  readonly producedAt: number;
  readonly thisUpdate: number;
  readonly nextUpdate: number;
  readonly tbsDer: Uint8Array;
  readonly signatureAlgorithmOid: string;
  readonly signature: Uint8Array;
}

const { contextConstructedTag, contextTag, tags } = der;
const successful = 0;
const statuses = new Map<number, OcspAnswerAbout['status']>([
  [contextTag(0), 'good'],
  [contextConstructedTag(1), 'revoked'],
  [contextTag(2), 'unknown'],
]);

/**
 * A basic OCSPResponse about exactly one certificate, as RFC 5019 §2.2.1 has it. Certificates beside the signature are left alone.
 * @throws {KeylineError} DER_MALFORMED; also for an error answer, and for one without nextUpdate
 */
export function parseOcspAnswer(answerDer: Uint8Array): OcspAnswerAbout {
  const response = readSequence(answerDer);
  if (response.readSmallInteger(tags.enumerated) !== successful) {
    throw derMalformed('an OCSP answer that is not "successful"');
  }
  const wrapper = response.enter(contextConstructedTag(0));
  const bytes = wrapper.enter();
  if (bytes.readOid() !== oids.ocspBasic) throw derMalformed('an OCSP answer that is not "basic"');
  const basicDer = bytes.readOctetString();
  for (const reader of [bytes, wrapper, response]) reader.finish();

  const basic = readSequence(basicDer);
  const tbsElement = basic.read(tags.sequence);
  const algorithm = basic.enter();
  const signature = basic.readBitString();
  const beside = basic.enterOptional(contextConstructedTag(0));
  if (beside !== undefined) {
    const certificates = beside.enter();
    while (!certificates.isAtEnd()) certificates.read(tags.sequence);
    beside.finish();
  }
  basic.finish();

  const tbs = basic.inside(tbsElement);
  // A version other than 1 would stand here, in [0]; responderID is [1] or [2].
  const responder = tbs.read();
  if (responder.tag !== contextConstructedTag(1) && responder.tag !== contextConstructedTag(2)) {
    throw derMalformed('an OCSP answer without a responder, or not of version 1');
  }
  const producedAt = tbs.readTime();
  const list = tbs.enter();
  const single = readSingle(list.enter());
  list.finish();
  tbs.readOptional(contextConstructedTag(1));
  tbs.finish();
  return {
    der: answerDer,
    ...single,
    producedAt,
    tbsDer: basic.whole(tbsElement),
    signatureAlgorithmOid: algorithm.readOid(),
    signature,
  };
}

function readSingle(
  single: DerReader,
): Pick<OcspAnswerAbout, 'certId' | 'status' | 'thisUpdate' | 'nextUpdate'> {
  const certId = single.read(tags.sequence);
  const status = statuses.get(single.read().tag);
  if (status === undefined) throw derMalformed('an OCSP answer with a status that is not known');
  const thisUpdate = single.readTime();
  const next = single.enterOptional(contextConstructedTag(0));
  if (next === undefined) throw derMalformed('an OCSP answer without nextUpdate (RFC 5019 §2.2.4)');
  const nextUpdate = next.readTime();
  next.finish();
  // Extensions of one answer may change what it means (a CRL entry's, an archive's); none is expected.
  single.finish();
  return {
    certId: parseCertId(single.inside(certId), single.whole(certId).slice()),
    status,
    thisUpdate,
    nextUpdate,
  };
}
