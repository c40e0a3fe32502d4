// What became of a change everywhere: at the CRL, OCSP and each broker.
import { Type, type Static } from 'typebox';
import { nullable, object, timestamp } from './common.ts';

export const EvidenceSchema = object(
  {
    ledger: object({ seq: Type.Integer(), at: timestamp('Durable at.') }),
    targets: Type.Array(
      object({
        target: Type.String(),
        done: Type.Boolean(),
        at: nullable(timestamp('Acknowledged by the broker at.')),
        refuses: nullable(
          Type.Union([Type.Literal('broker'), Type.Literal('crl')], {
            description:
              'Who refuses the next connection of a device that was revoked, suspended or decommissioned. broker: itself, since "at". crl: it has no rights since "at", and is refused as soon as the broker has read the complete CRL with the number below, or a later one. null: there is nobody to refuse, or the broker was not spoken to yet.',
          }),
        ),
        pending: nullable(Type.String({ description: 'Why it is not done yet.' })),
      }),
      {
        description:
          'Brokers: the identity is known there (enrolled), or its session cut and its rights gone. A broker that is known to be down is not waited for.',
      },
    ),
    ocsp: Type.Optional(object({ status: Type.String(), at: timestamp('In force since.') })),
    crl: Type.Optional(
      object({
        authority: Type.String(),
        list: Type.String({ description: 'File name in URLs without its ending.' }),
        number: nullable(Type.Integer()),
        kind: nullable(
          Type.Union([Type.Literal('complete'), Type.Literal('delta')], {
            description:
              'A delta is followed by a complete CRL with a higher number within seconds.',
          }),
        ),
        at: nullable(timestamp('Published at.')),
      }),
    ),
  },
  'What has taken effect so far, each with its time.',
);
export type Evidence = Static<typeof EvidenceSchema>;
