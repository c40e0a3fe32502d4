// The REST contract as one table: method, path, who may call, what goes in and comes out. The service registers from it, the CLI calls by it.
// A noun's rows and messages are in the file of its name; what answers them is in apps/ca/src/routes, under the same name.
import { alertRoutes } from './alerts.ts';
import { approvalRoutes } from './approvals.ts';
import { authoritieRoutes } from './authorities.ts';
import { batcheRoutes } from './batches.ts';
import { certificateRoutes } from './certificates.ts';
import { deviceRoutes } from './devices.ts';
import { ledgerRoutes } from './ledger.ts';
import { quarantineRoutes } from './quarantine.ts';
import { roleRoutes } from './roles.ts';
import { jobRoutes } from './jobs.ts';
import { serviceRoutes } from './service.ts';
import { servicesRoutes } from './services.ts';
import { targetRoutes } from './targets.ts';
import { tokenRoutes } from './tokens.ts';
import { trustRoutes } from './trust.ts';
import type { RouteContract } from './route-contract.ts';

export const routes = {
  ...deviceRoutes,
  ...jobRoutes,
  ...servicesRoutes,
  ...batcheRoutes,
  ...tokenRoutes,
  ...certificateRoutes,
  ...authoritieRoutes,
  ...trustRoutes,
  ...approvalRoutes,
  ...alertRoutes,
  ...ledgerRoutes,
  ...quarantineRoutes,
  ...targetRoutes,
  ...roleRoutes,
  ...serviceRoutes,
} as const satisfies Record<string, RouteContract>;

export type RouteName = keyof typeof routes;
