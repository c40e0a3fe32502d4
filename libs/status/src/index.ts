export { createCrlFiles } from './crl-files.ts';
export { createCrlPublisher, type CrlPublisher } from './crl-publisher.ts';
export {
  createOcspService,
  statusOfCertificate,
  type OcspAnswer,
  type OcspService,
} from './ocsp-service.ts';
export { createPublishedLists, readPublishedLists } from './published-lists.ts';
export { createResponders } from './responders.ts';
export { describeRestored, recoverRestoredCopy } from './restored-copy.ts';
