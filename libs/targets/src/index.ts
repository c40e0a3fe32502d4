export { compileRole, defaultAccess, type DynsecRole } from './compile-role.ts';
export type {
  DynsecAcl,
  DynsecAnswer,
  DynsecCommand,
  DynsecDefaultAccess,
  DynsecSender,
} from './dynsec-messages.ts';
export { createDynsecTarget, type DynsecTarget } from './dynsec-target.ts';
