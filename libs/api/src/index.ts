export { completeDocument } from './complete-document.ts';
export type { Endpoints } from './endpoints.ts';
export { problemOf, problemTable } from './problem.ts';
export type { AlertChannelView, AlertView } from './routes/alerts.ts';
export type { QuarantinedView } from './routes/quarantine.ts';
export type { ApprovalView } from './routes/approvals.ts';
export type { AuthorityList, AuthorityView } from './routes/authorities.ts';
export {
  SignRequestSchema,
  type BatchList,
  type BatchView,
  type SignLine,
  type SignRequest,
  type SignResponse,
} from './routes/batches.ts';
export type { BrokerAccessView } from './schemas/broker-access.ts';
export type { CertificateView, IssueCertificateRequest } from './routes/certificates.ts';
export type {
  DeviceList,
  DeviceView,
  EnrollResponse,
  HistoryResponse,
  PresenceView,
  RefusalList,
} from './routes/devices.ts';
export type { JobResultList, JobView } from './routes/jobs.ts';
export { entryKinds, type EntryView, type LedgerPage } from './routes/ledger.ts';
export { routes, type RouteName } from './routes/index.ts';
export type { Admits, RouteContract } from './routes/route-contract.ts';
export type { AddressesView, Health } from './routes/service.ts';
export type { ApplyRolesResponse, ExplainRightResponse } from './routes/roles.ts';
export type { TargetView } from './routes/targets.ts';
export type { CreateTokenRequest, TokenList, TokenView } from './routes/tokens.ts';
export { ProblemSchema, type Problem } from './schemas/common.ts';
export type { Evidence } from './schemas/evidence.ts';
