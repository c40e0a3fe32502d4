// The ledger: who did what, over the whole fleet.
import { Type, type Static } from 'typebox';
import { nullable, object, pageQuery, plainText, timestamp } from '../schemas/common.ts';
import { readers, type RouteContract } from './route-contract.ts';

/** What an entry can be of. */
export const entryKinds = [
  'device-enrolled',
  'device-renewed',
  'device-reissued',
  'certificate-used',
  'device-suspended',
  'device-resumed',
  'device-revoked',
  'device-decommissioned',
  'device-labelled',
  'certificate-issued',
  'certificate-revoked',
  'token-created',
  'token-revoked',
  'batch-opened',
  'batch-closed',
  'batch-quota-changed',
  'authority-added',
  'authority-installed',
  'authority-activated',
  'authority-retired',
  'authority-revoked',
  'renewal-allowed',
  'identity-conflict',
  'database-restored',
  'approval-requested',
  'approval-approved',
  'approval-rejected',
  'call-refused',
  'roles-applied',
  'job-started',
  'job-stopped',
  'job-done',
  'trust-added',
  'crl-published',
  'certificate-quarantined',
  'quarantine-adopted',
  'quarantine-revoked',
  'alert-fired',
  'alert-resolved',
] as const;

const EntryKindSchema = Type.Enum([...entryKinds], {
  description: 'What kind of entry it is.',
  examples: ['device-revoked'],
});

export const EntrySchema = object({
  seq: Type.Integer({ description: 'Its number: 1, 2, 3 … without gaps.' }),
  at: timestamp('When.'),
  actor: Type.String({
    description:
      'Who did it: the role and the name of a caller, or keyline for what it does by itself.',
    examples: ['operator:alice'],
  }),
  address: nullable(
    Type.String({ description: 'IP address it was asked for from; null: by Keyline itself.' }),
  ),
  kind: EntryKindSchema,
  subject: Type.String({
    description: 'The device or owner it is about, else what it names: a token, a batch, an alert.',
    examples: ['pump-17'],
  }),
  data: Type.Record(Type.String(), Type.Unknown()),
});
export type EntryView = Static<typeof EntrySchema>;

export const LedgerQuerySchema = object({
  device: Type.Optional(plainText(200, 'About this device, or whatever else is the subject.')),
  actor: Type.Optional(plainText(200, 'Done by exactly this one, as entries have it.')),
  kind: Type.Optional(EntryKindSchema),
  since: Type.Optional(timestamp('Written at that time or later.')),
  after: Type.Optional(
    Type.Integer({
      minimum: 0,
      maximum: 999_999_999_999_999,
      description:
        'Those with a larger number, the oldest first: give lastSeq of the answer before to follow what happens.',
    }),
  ),
  ...pageQuery,
});

export const LedgerPageSchema = object({
  items: Type.Array(EntrySchema),
  nextCursor: nullable(
    Type.String({
      description:
        'Give it back as ?cursor=, with the same filters and the same "after"; null at the end.',
    }),
  ),
  lastSeq: Type.Integer({
    description: 'Number of the newest entry when this was answered, of whatever kind.',
  }),
});
export type LedgerPage = Static<typeof LedgerPageSchema>;

export const ledgerRoutes = {
  listLedger: {
    method: 'GET',
    url: '/v1/ledger',
    admits: readers,
    tag: 'operations',
    summary: 'Who did what, the newest first',
    description:
      'One request looks at 10,000 entries at most, so that a page may have fewer items than asked for, or none, and a nextCursor: the end is where that is null. A search with "since" ends where 10,000 entries in a row are older.',
    status: 200,
    query: LedgerQuerySchema,
    response: LedgerPageSchema,
  },
} as const satisfies Record<string, RouteContract>;
