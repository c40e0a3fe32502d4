// Changes that wait for a second administrator: look at them, approve, reject.
import type { ApprovalView } from '@keyline/api';
import { decideApproval, type Approval } from '@keyline/fleet';
import { formatInstant } from '@keyline/kernel';
import { pageOf } from '../page-of.ts';
import { requireCaller, type ServiceContext } from '../service-context.ts';
import type { Register } from './register.ts';

export function registerApprovals(register: Register, service: ServiceContext): void {
  const { fleet, second } = service;
  const view = (approval: Approval): ApprovalView => viewApproval(approval, fleet.clock.now());

  register('listApprovals', async ({ query }) => {
    const page = await fleet.store.listApprovals(pageOf(query, service.limits));
    return { items: page.items.map(view), nextCursor: page.nextCursor };
  });

  register('approve', async ({ params, request }) => {
    const { approval, result } = await second.approve(requireCaller(request.caller), params.id);
    return { approval: view(approval), result: { ...result } };
  });

  register('reject', async ({ params, request }) =>
    view(
      await decideApproval(fleet, {
        caller: requireCaller(request.caller),
        id: params.id,
        decision: 'rejected',
      }),
    ),
  );
}

/** What it was called with is shown in words: it may be megabytes. */
function viewApproval(approval: Approval, now: number): ApprovalView {
  const { id, action, summary, requestedBy, requestedAt, expiresAt, state } = approval;
  return {
    id,
    action,
    summary,
    requestedBy,
    requestedAt: formatInstant(requestedAt),
    expiresAt: formatInstant(expiresAt),
    state: state === 'open' && now >= expiresAt ? 'expired' : state,
    decidedBy: approval.decidedBy,
    decidedAt: approval.decidedAt === null ? null : formatInstant(approval.decidedAt),
  };
}
