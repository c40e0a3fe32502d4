// Roles of ca-config: what they give, taking changed files up without a restart, and why an identity may use a topic or may not.
import { Type, type Static } from 'typebox';
import { DeviceIdSchema, NothingSchema, nullable, object } from '../schemas/common.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

const Kind = Type.Union([Type.Literal('device'), Type.Literal('service')], {
  description: 'Whose it may be.',
});
const Action = Type.Union([Type.Literal('publish'), Type.Literal('subscribe')], {
  description: 'What it wants to do.',
});
const filterText = Type.String({ description: 'The topic filter, as it stands in the file.' });
const place = {
  file: Type.String({ description: 'Path of its file on the machine of the service.' }),
  line: Type.Integer({ description: 'Line in it, from 1.' }),
};

export const RoleSchema = object({
  name: Type.String({ description: 'Name, as types and services name it.' }),
  kind: Kind,
  description: Type.String({ description: 'One sentence for people.' }),
  ...place,
  publish: Type.Array(Type.String(), { description: 'Topic filters it may publish to.' }),
  subscribe: Type.Array(Type.String(), { description: 'Topic filters it may subscribe to.' }),
});

export const RoleListSchema = object({ items: Type.Array(RoleSchema), nextCursor: Type.Null() });

export const ApplyRolesResponseSchema = object({
  changed: Type.Array(Type.String(), {
    description: 'Roles and types that are new, gone or different: role:device, type:sensor.',
  }),
  waiting: Type.Array(Type.String(), {
    description:
      'Other parts of the configuration that differ from what runs, and wait for a restart.',
  }),
  targets: Type.Array(
    object({
      target: Type.String({ description: 'The broker.' }),
      done: Type.Boolean({ description: 'Whether everybody there has the rights of now.' }),
      pending: nullable(Type.String({ description: 'Why not yet; it follows by itself.' })),
      aclFile: Type.Boolean({
        description:
          'Whether it is a Mosquitto, whose acl_file has the topics with %u alone: where those changed, the file has to be written and read again.',
      }),
    }),
    { description: 'The brokers, and whether they have it.' },
  ),
});
export type ApplyRolesResponse = Static<typeof ApplyRolesResponseSchema>;

export const ExplainRightQuerySchema = object({
  device: DeviceIdSchema,
  topic: Type.String({
    minLength: 1,
    maxLength: 1024,
    description: 'A topic name to publish to, or a topic filter to subscribe to.',
  }),
  action: Action,
});

export const ExplainRightResponseSchema = object({
  device: Type.String(),
  kind: Kind,
  action: Action,
  topic: Type.String(),
  allowed: Type.Boolean({ description: 'Whether it may, by the roles that run.' }),
  reason: Type.String({ description: 'Why, in a sentence.' }),
  role: nullable(object({ name: Type.String(), ...place })),
  filter: nullable(
    object(
      { text: filterText, line: place.line },
      'The filter that allows it, as it stands in the file of the role.',
    ),
  ),
  closed: Type.Array(
    object({
      text: filterText,
      line: place.line,
      why: Type.String({ description: 'What it lacks: it has no label "site".' }),
    }),
    {
      description: 'Filters that give it nothing, because it lacks what they ask for.',
    },
  ),
  add: nullable(
    object(
      {
        text: Type.String({ description: 'The topic filter to add.' }),
        list: Type.String({ description: 'Under which of the lists.' }),
        line: place.line,
      },
      'What to add to the role so that it is allowed, under which list, and the line of that.',
    ),
  ),
  unapplied: Type.Boolean({
    description: 'Whether the file of the role differs from what runs: keyline role apply.',
  }),
});
export type ExplainRightResponse = Static<typeof ExplainRightResponseSchema>;

export const roleRoutes = {
  listRoles: {
    method: 'GET',
    url: '/v1/roles',
    admits: readers,
    tag: 'operations',
    summary: 'Roles that run, with their files',
    status: 200,
    response: RoleListSchema,
  },
  applyRoles: {
    method: 'POST',
    url: '/v1/roles/apply',
    admits: administrators,
    tag: 'operations',
    summary:
      'Take changed roles and device types up from their files, and push them to every broker',
    description:
      'A file with a mistake changes nothing: the answer names it, with its line, and the roles stay as they were.',
    status: 200,
    body: NothingSchema,
    takes: json,
    bodyOptional: true,
    response: ApplyRolesResponseSchema,
    underReserve: true,
  },
  explainRight: {
    method: 'GET',
    url: '/v1/rights/explain',
    admits: readers,
    tag: 'operations',
    summary: 'Why a device or service may use a topic, or may not, and what to change',
    status: 200,
    query: ExplainRightQuerySchema,
    response: ExplainRightResponseSchema,
  },
} as const satisfies Record<string, RouteContract>;
