export {
  compileAclFile,
  compileRole,
  compileRoles,
  defaultAccess,
  type DynsecRole,
} from './dynsec/compile-role.ts';
export { deniedPriority, deniedRole } from './dynsec/dialect.ts';
export type {
  DynsecAcl,
  DynsecAnswer,
  DynsecCommand,
  DynsecDefaultAccess,
  DynsecSender,
} from './dynsec/dynsec-messages.ts';
export { createDynsecTarget } from './dynsec/dynsec-target.ts';
export { exportDynamicSecurity } from './dynsec/export-state.ts';
export type { FleetReader } from './desired-identity.ts';
export type { Reconciliation } from './reconcile.ts';
export type { CertificateReport } from './target.ts';
export {
  createTargetFollower,
  type TargetFollower,
  type TargetFollowerOptions,
} from './target-follower.ts';
export { runTarget, type RunningTarget } from './run-target.ts';
export { targetKinds, type TargetKind } from './target-kinds.ts';
