export { acknowledgeAlert } from './acknowledge-alert.ts';
export { decideApproval, requestApproval } from './approvals.ts';
export {
  activateAuthority,
  addAuthority,
  addTrust,
  installAuthority,
  retireAuthority,
} from './authorities.ts';
export { changeQuota, closeBatch, getBatch, openBatch } from './batches.ts';
export type { Caller } from './caller.ts';
export { noteUse } from './certificate-use.ts';
export { getCertificate, revokeCertificate } from './certificates.ts';
export type { FleetContext, IssuerPort } from './context.ts';
export { type DeviceChanged, type StateChange, changeDeviceState } from './device-state.ts';
export { type Job, type JobResult, type JobResultStatus } from './job-model.ts';
export { type JobRunner, startJobRunner } from './job-runner.ts';
export { addToJob, createJob, getJob, leftOf, startJob, stopJob } from './jobs.ts';
export { labelDevice } from './label-device.ts';
export type { Enrolled } from './issuance/admission.ts';
export { signUnit } from './issuance/admissions/batch.ts';
export { renew } from './issuance/admissions/certificate.ts';
export { createService } from './issuance/admissions/service.ts';
export {
  type IssueCertificateCommand,
  brokerAdminName,
  issueCertificate,
} from './issuance/admissions/name.ts';
export { type EnrollCommand, enroll } from './issuance/admissions/token.ts';
export {
  type Alert,
  type AlertSeverity,
  type ApiToken,
  type Approval,
  type AuthorityRecord,
  type Batch,
  type CallerRole,
  type Certificate,
  type CertificateState,
  type Crl,
  type Device,
  type DeviceState,
  type EnrollmentToken,
  type IdempotencyRecord,
  type Labels,
  type NewDevice,
  type PresenceRow,
  type PresenceSource,
  type QuarantinedCertificate,
  type RefusalRow,
  deviceStates,
} from './model.ts';
export type {
  CommitResult,
  DeviceFilter,
  ExpiryGroup,
  NamedCertificateFilter,
  EntryPage,
  EntrySearch,
  Page,
  PageRequest,
  Store,
  StoreReader,
  UnitOfWork,
  Write,
} from './ports.ts';
export { type Presence, onlineSources, presenceOf } from './presence.ts';
export { allowRenewal } from './renewal-rules.ts';
export { revokedPages } from './revoked-pages.ts';
export { readRootAnswers } from './root-answers.ts';
export { type KnownRoot, entryOf, importRootCrl, isSignedBy, obeyRootCrls } from './root-crls.ts';
export { noteRolesApplied } from './roles-applied.ts';
export {
  type CreateEnrollmentTokenCommand,
  createApiToken,
  createEnrollmentToken,
  hashToken,
  revokeToken,
} from './tokens.ts';
export { revokedUnseen } from './unseen-certificate.ts';
export { holdStranger, signerOf } from './hold-stranger.ts';
export { adoptQuarantined, revokeQuarantined } from './quarantine.ts';
export { isRestoredUnseen, restoredAlertKey } from './restored-alert.ts';
