// The manufacturing line: batches, and signing one unit or a stream of them.
import { Type, type Static } from 'typebox';
import {
  DeviceIdSchema,
  IdPattern,
  LabelsSchema,
  Name,
  NothingSchema,
  PageQuerySchema,
  PemCertificate,
  PemCsr,
  type Problem,
  listOf,
  nullable,
  object,
  plainText,
  timestamp,
} from '../schemas/common.ts';
import {
  administrators,
  json,
  jsonOrLines,
  readers,
  type RouteContract,
} from './route-contract.ts';

export const CreateBatchRequestSchema = object({
  id: Name,
  quota: Type.Integer({ minimum: 1, maximum: 100_000_000 }),
  type: Type.Optional(
    Type.String({ maxLength: 64, description: 'Device type; default "default".' }),
  ),
  idPattern: Type.Optional(IdPattern),
  stations: Type.Optional(
    Type.Array(plainText(64), {
      maxItems: 1000,
      description:
        'Stations that may sign, by the names in their certificates (`st1@line`); empty: any.',
    }),
  ),
  labels: Type.Optional(LabelsSchema),
  rework: Type.Optional(
    Type.Boolean({ default: false, description: 'A unit may come again with a new key.' }),
  ),
  endsIn: Type.Optional(
    Type.String({
      maxLength: 40,
      description:
        'Until it closes by itself, for instance 14d; default 30d. ISO 8601 (P14D) is taken too.',
    }),
  ),
});

export const BatchSchema = object({
  id: Type.String(),
  type: Type.String(),
  quota: Type.Integer(),
  issued: Type.Integer(),
  idPattern: nullable(Type.String()),
  stations: Type.Array(Type.String()),
  labels: Type.Record(Type.String(), Type.String()),
  rework: Type.Boolean(),
  state: Type.Union([Type.Literal('open'), Type.Literal('closed')]),
  endsAt: timestamp('No signing after.'),
  createdAt: timestamp('Opened.'),
  createdBy: Type.String(),
});
export type BatchView = Static<typeof BatchSchema>;

export const BatchListSchema = listOf(BatchSchema);
export type BatchList = Static<typeof BatchListSchema>;

export const SignRequestSchema = object({ id: Type.Optional(DeviceIdSchema), csr: PemCsr });
export type SignRequest = Static<typeof SignRequestSchema>;

export const SignResponseSchema = object({
  id: Type.String(),
  status: Type.Integer({
    description: '201 signed now, 200 the certificate that was signed before.',
  }),
  serial: Type.String(),
  notAfter: timestamp('Valid to.'),
  certificate: PemCertificate,
  chain: Type.Optional(
    Type.Array(PemCertificate, {
      description: 'Left out of NDJSON answers; see /v1/trust-bundle.',
    }),
  ),
});
export type SignResponse = Static<typeof SignResponseSchema>;
/** One line of a bulk answer: signed, or why not. Lines come in the order of the request. */
export type SignLine = SignResponse | { id: string | null; status: number; error: Problem };

export const QuotaRequestSchema = object({
  quota: Type.Integer({
    minimum: 1,
    maximum: 100_000_000,
    description: 'Units from now on, with those that are signed; not less than these.',
  }),
});

export const BatchParamsSchema = object({ id: Name });

export const batcheRoutes = {
  createBatch: {
    method: 'POST',
    url: '/v1/batches',
    admits: administrators,
    tag: 'line',
    summary: 'Open a batch (work order)',
    status: 201,
    body: CreateBatchRequestSchema,
    takes: json,
    response: BatchSchema,
    keepsAnswer: true,
  },
  listBatches: {
    method: 'GET',
    url: '/v1/batches',
    admits: [...readers, 'station'],
    tag: 'line',
    summary: 'List batches',
    status: 200,
    query: PageQuerySchema,
    response: BatchListSchema,
  },
  getBatch: {
    method: 'GET',
    url: '/v1/batches/:id',
    admits: [...readers, 'station'],
    tag: 'line',
    summary: 'One batch, with how much of its quota is used',
    status: 200,
    params: BatchParamsSchema,
    response: BatchSchema,
  },
  signBatch: {
    method: 'POST',
    url: '/v1/batches/:id/sign',
    admits: [...administrators, 'station'],
    tag: 'line',
    summary: 'Sign one unit, or a stream of them',
    description:
      'application/json: one unit. application/x-ndjson: a unit a line; the answer has a line for each, in the same order, each durable before it is written. The same unit with the same key again answers with the same certificate.',
    status: 200,
    params: BatchParamsSchema,
    body: SignRequestSchema,
    takes: jsonOrLines,
    response: SignResponseSchema,
  },
  changeQuota: {
    method: 'POST',
    url: '/v1/batches/:id/quota',
    admits: administrators,
    tag: 'line',
    summary: 'Change how many units a batch is for',
    status: 200,
    params: BatchParamsSchema,
    body: QuotaRequestSchema,
    takes: json,
    response: BatchSchema,
  },
  closeBatch: {
    method: 'POST',
    url: '/v1/batches/:id/close',
    admits: administrators,
    tag: 'line',
    summary: 'Close a batch: nothing is signed for it any more',
    status: 200,
    params: BatchParamsSchema,
    body: NothingSchema,
    takes: json,
    bodyOptional: true,
    response: BatchSchema,
  },
} as const satisfies Record<string, RouteContract>;
