// Changes that wait for a second administrator.
import { Type, type Static } from 'typebox';
import { PageQuerySchema, nullable, object, timestamp } from '../schemas/common.ts';
import { type RouteContract } from './route-contract.ts';

export const ApprovalSchema = object({
  id: Type.String(),
  action: Type.String({ description: 'The operation, as the API calls it.' }),
  summary: Type.String(),
  requestedBy: Type.String(),
  requestedAt: timestamp('Asked for.'),
  expiresAt: timestamp('Open until.'),
  state: Type.Union([
    Type.Literal('open'),
    Type.Literal('approved'),
    Type.Literal('rejected'),
    Type.Literal('expired'),
  ]),
  decidedBy: nullable(Type.String()),
  decidedAt: nullable(timestamp('Approved or rejected.')),
});
export type ApprovalView = Static<typeof ApprovalSchema>;

export const ApprovalListSchema = object({
  items: Type.Array(ApprovalSchema),
  nextCursor: nullable(Type.String()),
});

export const ApprovalParamsSchema = object({
  id: Type.String({ maxLength: 64, pattern: '^apr_[A-Za-z0-9_-]+$' }),
});

export const ApproveResponseSchema = object({
  approval: ApprovalSchema,
  result: Type.Record(Type.String(), Type.Unknown(), {
    description: 'What the operation itself answers.',
  }),
});

export const approvalRoutes = {
  listApprovals: {
    method: 'GET',
    url: '/v1/approvals',
    admits: ['admin', 'auditor'],
    tag: 'operations',
    summary: 'Changes that wait for a second administrator, and those that were decided',
    status: 200,
    query: PageQuerySchema,
    response: ApprovalListSchema,
  },
  approve: {
    method: 'POST',
    url: '/v1/approvals/:id/approve',
    admits: ['admin'],
    tag: 'operations',
    summary: 'Approve a change that another administrator asked for: it is done now',
    status: 200,
    params: ApprovalParamsSchema,
    response: ApproveResponseSchema,
  },
  reject: {
    method: 'POST',
    url: '/v1/approvals/:id/reject',
    admits: ['admin'],
    tag: 'operations',
    summary: 'Reject a change that waits, or take back what oneself asked for',
    status: 200,
    params: ApprovalParamsSchema,
    response: ApprovalSchema,
  },
} as const satisfies Record<string, RouteContract>;
