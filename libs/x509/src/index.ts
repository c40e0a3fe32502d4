export {
  algorithms,
  keyAlgorithmOf,
  keyAlgorithms,
  parsePublicKey,
  signatureAlgorithms,
  signWith,
  verifySignature,
  verifyWith,
  type KeyAlgorithm,
  type KeyFamily,
  type PublicKeyDetails,
  type SignedParts,
  type Signer,
} from './algorithms.ts';
export {
  encodeAlternativeNames,
  isDnsName,
  parseAlternativeNames,
  type AlternativeName,
  type ParsedAlternativeNames,
} from './alternative-names.ts';
export { equalBytes, hexOf, latin1Of } from './bytes.ts';
export { buildAuthorityTbs } from './authority-template.ts';
export { buildLeafTbs, type LeafContent } from './certificate-template.ts';
export {
  parseCertificate,
  readSubjectPublicKeyInfo,
  type ParsedCertificate,
} from './certificate.ts';
export { crlReasonCodes, parseCrl, type ParsedCrl, type ParsedCrlEntry } from './crl.ts';
export { createCsr } from './csr.ts';
export { derMalformed, DerReader, readSequence, type DerElement } from './der-reader.ts';
export * as der from './der-writer.ts';
export { issuerPointName, parseDistributionPoints } from './distribution-points.ts';
export {
  encodeAuthorityKeyIdentifier,
  encodeCrlDistributionPoints,
  encodeDistributionPointName,
  encodeExtendedKeyUsage,
  encodeExtension,
  encodeFreshestCrl,
  encodeKeyUsage,
  parseBasicConstraints,
  parseExtensions,
  parseKeyUsage,
  type Extension,
} from './extensions.ts';
export { encodeIpAddress } from './ip-address.ts';
export {
  encodeNameConstraints,
  parseNameConstraints,
  type NameConstraints,
  type NameSubtrees,
  type ParsedNameConstraints,
  type ParsedNetwork,
  type ParsedSubtrees,
} from './name-constraints.ts';
export { canonicalRdns, encodeName, isSameName, parseName, type RelativeName } from './name.ts';
export { oids } from './oids.ts';
export { decodePem, decodePemChain, encodePem, encodePemInPieces, pemSize } from './pem.ts';
export { parseCertificatePolicies } from './policies.ts';
export { parsePssParameters, verifyPss } from './rsa-pss.ts';
export { signLargeWith } from './sign-large.ts';
