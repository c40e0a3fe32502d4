// Brokers that identities are pushed to.
import { Type, type Static } from 'typebox';
import { NothingSchema, nullable, object, plainText, timestamp } from '../schemas/common.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

export const TargetSchema = object({
  name: Type.String(),
  healthy: Type.Boolean({
    description:
      'Whether it is connected, answers and does as told. What is not is not waited for by requests.',
  }),
  connection: Type.Union(
    [Type.Literal('connected'), Type.Literal('disconnected'), Type.Literal('elsewhere')],
    {
      description:
        'Whether this service is connected to it now; elsewhere: another service that shares the database follows for it.',
    },
  ),
  position: Type.Integer({ description: 'Ledger entries applied.' }),
  lag: Type.Integer({ description: 'Ledger entries still to apply.' }),
  lastError: nullable(Type.String()),
  compared: nullable(
    object(
      {
        at: timestamp('Ended.'),
        milliseconds: Type.Integer(),
        devices: Type.Integer(),
        missing: Type.Integer({ description: 'Were not known there.' }),
        changed: Type.Integer({ description: 'Had another role, group or state.' }),
        stale: Type.Integer({ description: 'Were revoked or decommissioned, and still there.' }),
        foreign: Type.Integer({
          description:
            "Named like devices and unknown to the fleet; removed only where the broker is Keyline's alone.",
        }),
        roles: Type.Integer({
          description: 'Roles and default rights that were not as ca-config has them.',
        }),
      },
      'The last comparison with the fleet: what differed was repaired.',
    ),
  ),
});
export type TargetView = Static<typeof TargetSchema>;

export const TargetParamsSchema = object({
  name: Type.String({ maxLength: 64, pattern: '^[a-z0-9][a-z0-9-]*$' }),
});

export const ExportQuerySchema = object({
  admin: Type.Optional(
    plainText(64, 'User name that administers the broker; default keyline@service.'),
  ),
});

export const DynamicSecuritySchema = Type.Object(
  {},
  { additionalProperties: true, description: "Mosquitto's own format." },
);

export const TargetListSchema = object({
  items: Type.Array(TargetSchema),
  nextCursor: Type.Null(),
});

export const targetRoutes = {
  listTargets: {
    method: 'GET',
    url: '/v1/targets',
    admits: readers,
    tag: 'operations',
    summary: 'Brokers that identities are pushed to, and how far they are',
    status: 200,
    response: TargetListSchema,
  },
  exportDynamicSecurity: {
    method: 'GET',
    url: '/v1/dynamic-security',
    admits: ['admin'],
    tag: 'operations',
    summary:
      "The fleet's rights as Mosquitto's dynamic-security.json, for a broker that is to begin with them",
    description:
      "With the acl_file that Keyline writes beside it: rights in a device's own name are there.",
    status: 200,
    query: ExportQuerySchema,
    response: DynamicSecuritySchema,
  },
  reconcileTarget: {
    method: 'POST',
    url: '/v1/targets/:name/reconcile',
    admits: administrators,
    tag: 'operations',
    summary: 'The same as /compare, under its older name',
    status: 200,
    params: TargetParamsSchema,
    body: NothingSchema,
    takes: json,
    bodyOptional: true,
    response: TargetSchema,
    underReserve: true,
  },
  compareTarget: {
    method: 'POST',
    url: '/v1/targets/:name/compare',
    admits: administrators,
    tag: 'operations',
    summary: 'Compare a broker with the fleet now, and repair what differs',
    status: 200,
    params: TargetParamsSchema,
    body: NothingSchema,
    takes: json,
    bodyOptional: true,
    response: TargetSchema,
    underReserve: true,
  },
} as const satisfies Record<string, RouteContract>;
