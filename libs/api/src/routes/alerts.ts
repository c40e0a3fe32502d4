// Alerts, and the channels that they go to.
import { Type, type Static } from 'typebox';
import { NothingSchema, nullable, object, timestamp } from '../schemas/common.ts';
import { administrators, json, readers, type RouteContract } from './route-contract.ts';

export const AlertSchema = object({
  key: Type.String(),
  severity: Type.Union([Type.Literal('info'), Type.Literal('warning'), Type.Literal('critical')]),
  summary: Type.String(),
  count: Type.Integer(),
  examples: Type.Array(Type.String()),
  firstAt: timestamp('Fired.'),
  lastAt: timestamp('Last seen.'),
  resolvedAt: nullable(timestamp('Resolved.')),
});
export type AlertView = Static<typeof AlertSchema>;

export const AlertParamsSchema = object({
  key: Type.String({ minLength: 1, maxLength: 200 }),
});

export const AlertQuerySchema = object({
  all: Type.Optional(Type.Boolean({ default: false, description: 'Resolved ones too.' })),
});

export const AlertListSchema = object({
  items: Type.Array(AlertSchema),
  nextCursor: Type.Null(),
});

export const AlertChannelSchema = object({
  name: Type.String(),
  lag: Type.Integer({ description: 'Ledger entries that it has not been told of yet.' }),
  lastError: nullable(
    Type.String({ description: 'Why the last delivery failed; it is tried again until it works.' }),
  ),
  unreachable: nullable(
    Type.String({
      description: 'Why it could not deliver now: it was asked without being told anything.',
    }),
  ),
});
export type AlertChannelView = Static<typeof AlertChannelSchema>;

export const AlertChannelListSchema = object({
  items: Type.Array(AlertChannelSchema),
  nextCursor: Type.Null(),
});

export const alertRoutes = {
  listAlerts: {
    method: 'GET',
    url: '/v1/alerts',
    admits: readers,
    tag: 'operations',
    summary: 'Alerts',
    status: 200,
    query: AlertQuerySchema,
    response: AlertListSchema,
  },
  acknowledgeAlert: {
    method: 'POST',
    url: '/v1/alerts/:key/acknowledge',
    admits: administrators,
    tag: 'operations',
    summary: 'Close an alert about something that has happened',
    description:
      'For keys that do not begin with "expiry:" or "state:"; those close when what they are about is over.',
    status: 200,
    params: AlertParamsSchema,
    takes: json,
    body: NothingSchema,
    bodyOptional: true,
    response: AlertSchema,
  },
  listAlertChannels: {
    method: 'GET',
    url: '/v1/alert-channels',
    admits: readers,
    tag: 'operations',
    summary: 'Where alerts go, and whether each channel can deliver now',
    status: 200,
    response: AlertChannelListSchema,
  },
} as const satisfies Record<string, RouteContract>;
