export {
  createIssuingCertificate,
  createRootCertificate,
  endOfTime,
} from './authority-certificates.ts';
export type { CrlEntries } from './crl-entries.ts';
export { crlShardName, crlShardUrl, deltaCrlUrl, shardNameOf } from './crl-shards.ts';
export { createCrlStatusSource } from './crl-status.ts';
export { coversAs, createCrl, createDeltaCrl } from './crl.ts';
export { createCrossCertificate } from './cross-certificate.ts';
export { parseCsr, readRequestedExtensions } from './csr.ts';
export { createFullCrl } from './full-crl.ts';
export { keyHashOfCsr } from './key-hash-of-csr.ts';
export { createIssuer, Issuer } from './issuer.ts';
export { mergeCrlEntries } from './merge-crl-entries.ts';
export { parseOcspAnswer, type OcspAnswerAbout } from './ocsp-answer.ts';
export { parseOcspRequest, type OcspCertId } from './ocsp-request.ts';
export { createOcspResponder, ocspError, type OcspResponder } from './ocsp-responder.ts';
export {
  revocationReasons,
  type Authority,
  type AuthorityUrls,
  type CertificateStatus,
  type CrlEntry,
  type Csr,
  type DeltaCrlEntry,
  type IssuedCertificate,
  type IssueRequest,
  type RevocationReason,
} from './ports.ts';
export { createCertId, createPresignedAnswers } from './presigned-answers.ts';
export {
  extendedKeyUsages,
  keyAlgorithms,
  profileKinds,
  type Profile,
  type ProfileKind,
  type Profiles,
} from './profile.ts';
export {
  encodeCertificateId,
  parseCertificateId,
  renewalWindowOf,
  suggestedWindowOf,
} from './renewal-info.ts';
export { verifyChain, type StatusOf } from './verify-chain.ts';
