// Messages about alerts, brokers, authorities and the service itself.
import { Type, type Static } from 'typebox';
import { timestamp, nullable, object, PemCertificate } from './common.ts';

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
export const AlertQuerySchema = object({
  all: Type.Optional(Type.Boolean({ default: false, description: 'Resolved ones too.' })),
});
export const AlertListSchema = object({
  items: Type.Array(AlertSchema),
  nextCursor: Type.Null(),
});
export type AlertList = Static<typeof AlertListSchema>;

export const TargetSchema = object({
  name: Type.String(),
  healthy: Type.Boolean(),
  position: Type.Integer({ description: 'Ledger entries applied.' }),
  lag: Type.Integer({ description: 'Ledger entries still to apply.' }),
  lastError: nullable(Type.String()),
});
export const TargetListSchema = object({
  items: Type.Array(TargetSchema),
  nextCursor: Type.Null(),
});
export type TargetList = Static<typeof TargetListSchema>;

export const AuthoritySchema = object({
  id: Type.String(),
  role: Type.Union([Type.Literal('root'), Type.Literal('issuing')]),
  subject: Type.String(),
  serial: Type.String(),
  notBefore: timestamp('Valid from.'),
  notAfter: timestamp('Valid to.'),
  certificate: PemCertificate,
  crl: nullable(
    object({
      url: Type.String(),
      number: Type.Integer(),
      thisUpdate: timestamp('Published.'),
      nextUpdate: timestamp('Good until.'),
    }),
  ),
});
export const AuthorityListSchema = object({
  items: Type.Array(AuthoritySchema),
  nextCursor: Type.Null(),
});
export type AuthorityList = Static<typeof AuthorityListSchema>;

export const WhoAmISchema = object({
  name: Type.String(),
  role: Type.String(),
  via: Type.Union([Type.Literal('certificate'), Type.Literal('token')]),
  time: timestamp("The service's clock."),
});
export type WhoAmI = Static<typeof WhoAmISchema>;

export const HealthSchema = object({
  status: Type.Union([Type.Literal('ok'), Type.Literal('starting'), Type.Literal('failing')]),
  checks: Type.Record(Type.String(), Type.String()),
});
export type Health = Static<typeof HealthSchema>;
