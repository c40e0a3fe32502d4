export { assertClock } from './assert-clock.ts';
export {
  changesAuthorities,
  openAuthorities,
  withIssuer,
  type Authorities,
  type AuthorityRevocation,
  type RunningAuthority,
} from './authorities.ts';
export { crlListsOf, listName, type CrlList } from './crl-lists.ts';
export {
  createOwnCertificate,
  type OwnCertificates,
  type OwnCertificateSpec,
} from './own-certificates.ts';
