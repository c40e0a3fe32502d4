// The service itself, and who is asking it.
import { Type, type Static } from 'typebox';
import { object, timestamp } from '../schemas/common.ts';
import { readers, type RouteContract } from './route-contract.ts';

export const WhoAmISchema = object({
  name: Type.String(),
  role: Type.String(),
  via: Type.Union([Type.Literal('certificate'), Type.Literal('token')]),
  time: timestamp("The service's clock."),
});

export const MetricsSchema = Type.String({ description: 'Prometheus text format.' });

export const HealthSchema = object({
  status: Type.Union(
    [
      Type.Literal('ok'),
      Type.Literal('degraded'),
      Type.Literal('starting'),
      Type.Literal('failing'),
    ],
    {
      description:
        'degraded: it serves, and something needs somebody (a broker is behind, an authority is revoked).',
    },
  ),
  checks: Type.Record(Type.String(), Type.String()),
});
export type Health = Static<typeof HealthSchema>;

export const AddressesSchema = object({
  names: Type.Array(Type.String(), {
    description: 'Names and addresses in the certificate of the API.',
  }),
  http: Type.String({
    description: 'Origin that certificates issued now name for CRL, OCSP and AIA.',
  }),
  broker: Type.String({ description: 'mqtts:// URL that devices are given; empty: none.' }),
  earlier: Type.Array(
    object({
      http: Type.String({
        description: 'Origin that certificates of before name: it must go on being answered.',
      }),
      leftAt: timestamp('When the service moved away from it.'),
      until: Type.Union([timestamp('End of the last certificate that may name it.'), Type.Null()], {
        description: 'Null: no certificate was issued before.',
      }),
      authorities: Type.Array(
        object({ id: Type.String(), notAfter: timestamp('End of its certificate.') }),
        { description: 'Authorities whose own certificate names it, which end later.' },
      ),
    }),
  ),
});
export type AddressesView = Static<typeof AddressesSchema>;

export const serviceRoutes = {
  getAddresses: {
    method: 'GET',
    url: '/v1/addresses',
    admits: readers,
    tag: 'operations',
    summary: 'By which names and addresses it is called, and was before',
    status: 200,
    response: AddressesSchema,
  },
  whoAmI: {
    method: 'GET',
    url: '/v1/whoami',
    admits: ['admin', 'operator', 'station', 'auditor', 'device'],
    tag: 'operations',
    summary: 'How the service sees the caller',
    status: 200,
    response: WhoAmISchema,
  },
  metrics: {
    method: 'GET',
    url: '/metrics',
    // Counts of devices and refusals tell a stranger much.
    admits: readers,
    tag: 'operations',
    summary: 'Prometheus metrics',
    status: 200,
    response: MetricsSchema,
    responseType: 'text/plain',
  },
} as const satisfies Record<string, RouteContract>;
