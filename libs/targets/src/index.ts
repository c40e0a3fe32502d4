export {
  compileAclFile,
  compileRole,
  compileRoles,
  defaultAccess,
  type DynsecRole,
} from './compile-role.ts';
export type { CertificateReport } from './certificate-reports.ts';
export { deniedPriority, deniedRole } from './dialect.ts';
export type {
  DynsecAcl,
  DynsecAnswer,
  DynsecCommand,
  DynsecDefaultAccess,
  DynsecSender,
} from './dynsec-messages.ts';
export {
  createDynsecTarget,
  type DynsecTarget,
  type DynsecTargetOptions,
} from './dynsec-target.ts';
export { exportDynamicSecurity } from './export-state.ts';
export type { FleetReader, Reconciliation } from './reconcile.ts';
