export type { Endpoints } from './endpoints.ts';
export { problemOf, problemTable } from './problem.ts';
export { routes, type RouteName } from './routes/index.ts';
export type { Admits, RouteContract } from './routes/route-contract.ts';
export { ProblemSchema, type Problem } from './schemas/common.ts';
export type {
  CertificateView,
  DeviceList,
  DeviceView,
  EnrollResponse,
  Evidence,
  HistoryResponse,
} from './schemas/device-schemas.ts';
export {
  SignRequestSchema,
  type BatchList,
  type BatchView,
  type CreateTokenRequest,
  type IssueCertificateRequest,
  type SignLine,
  type SignRequest,
  type SignResponse,
  type TokenList,
  type TokenView,
} from './schemas/issuing-schemas.ts';
export type {
  AlertChannelView,
  AlertView,
  ApprovalView,
  AuthorityList,
  AuthorityView,
  Health,
  TargetView,
} from './schemas/operation-schemas.ts';
