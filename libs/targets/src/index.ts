export { compileAclFile, compileRoles, defaultAccess } from './dynsec/compile-role.ts';
export { deniedPriority, deniedRole } from './dynsec/dialect.ts';
export type { DynsecAnswer, DynsecCommand } from './dynsec/dynsec-messages.ts';
export { createDynsecTarget } from './dynsec/dynsec-target.ts';
export { exportDynamicSecurity } from './dynsec/export-state.ts';
export { runTarget, type RunningTarget } from './run-target.ts';
export { createTargetFollower, type TargetFollower } from './target-follower.ts';
export { targetKinds } from './target-kinds.ts';
export type { CertificateReport } from './target.ts';
