// The REST contract as one table: method, path, who may call, what goes in and comes out. The service registers from it, the CLI calls by it.
import { deviceRoutes } from './device-routes.ts';
import { operationRoutes } from './operation-routes.ts';
import type { RouteContract } from './route-contract.ts';

export const routes = {
  ...deviceRoutes,
  ...operationRoutes,
} as const satisfies Record<string, RouteContract>;

export type RouteName = keyof typeof routes;
