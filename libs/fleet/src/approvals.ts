// Changes that take two administrators: one asks, another allows. What is asked is kept as it was said, and expires.
import { createId, formatInstant, KeylineError } from '@keyline/kernel';
import { actorOf, entryBy, type Caller } from './caller.ts';
import { commitOrThrow, conflict, type FleetContext } from './context.ts';
import type { Approval } from './model.ts';

type Context = Pick<FleetContext, 'store' | 'clock'>;

/** A chain of tokens that made tokens is followed this far. */
const longestChain = 10;

/** @throws {KeylineError} FORBIDDEN when the person behind a token can't be told */
export async function requestApproval(
  context: Context,
  command: {
    readonly caller: Caller;
    readonly action: string;
    /** JSON. */
    readonly input: string;
    readonly summary: string;
    /** Milliseconds. */
    readonly lifetime: number;
  },
): Promise<Approval> {
  const { caller, action, input, summary, lifetime } = command;
  const now = context.clock.now();
  const approval: Approval = {
    id: createId('apr'),
    action,
    input,
    summary,
    requestedBy: await personOf(context, caller),
    requestedAt: now,
    expiresAt: now + lifetime,
    state: 'open',
    decidedBy: null,
    decidedAt: null,
  };
  const { id, requestedBy } = approval;
  const data = { kind: 'approval-requested', approval: id, action, summary, requestedBy } as const;
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'insert-approval', approval }],
      entries: [{ at: now, ...entryBy(caller), data }],
    },
    conflict,
  );
  return approval;
}

/**
 * Whoever asked may take it back, and not allow it. Allowing takes a certificate: a token may be of whoever asked, under another name.
 * @throws {KeylineError} NOT_FOUND, APPROVAL_CLOSED, FORBIDDEN
 */
export async function decideApproval(
  context: Context,
  command: {
    readonly caller: Caller;
    readonly id: string;
    readonly decision: 'approved' | 'rejected';
  },
): Promise<Approval> {
  const { caller, id, decision } = command;
  const approval = await context.store.findApproval(id);
  if (approval === undefined) {
    throw new KeylineError('NOT_FOUND', `There is no request "${id}" to approve.`);
  }
  const { action, summary, requestedBy } = approval;
  if (decision === 'approved') assertSecond(caller, requestedBy);
  const now = context.clock.now();
  const by = actorOf(caller);
  await commitOrThrow(
    context,
    {
      writes: [{ op: 'decide-approval', id, state: decision, by, at: now }],
      entries: [
        {
          at: now,
          ...entryBy(caller),
          data: { kind: `approval-${decision}`, approval: id, action, summary, requestedBy },
        },
      ],
    },
    (failure) =>
      new KeylineError(
        failure.code,
        approval.state === 'open'
          ? `The request ${id} expired at ${formatInstant(approval.expiresAt)}. Have it made again.`
          : `The request ${id} was ${approval.state} by ${approval.decidedBy ?? 'somebody'} already.`,
      ),
  );
  return { ...approval, state: decision, decidedBy: by, decidedAt: now };
}

function assertSecond(caller: Caller, requestedBy: string): void {
  if (caller.via !== 'certificate') {
    throw new KeylineError(
      'FORBIDDEN',
      'Approving takes the certificate of an administrator, not an API token, which may be of whoever asked.',
    );
  }
  if (actorOf(caller) !== requestedBy) return;
  throw new KeylineError(
    'FORBIDDEN',
    `"${caller.name}" asked for this; another administrator must approve it.`,
  );
}

/** The person behind a token. Where there is none to be found, whoever asked could allow it. @throws {KeylineError} FORBIDDEN */
async function personOf({ store }: Context, caller: Caller): Promise<string> {
  if (caller.via !== 'token') return actorOf(caller);
  let id = caller.name;
  for (let step = 0; step < longestChain; step++) {
    const token = await store.findApiToken(id);
    if (token === undefined) break;
    const maker = /^[a-z]+:(api_.+)$/.exec(token.createdBy)?.[1];
    if (maker === undefined) return token.createdBy;
    id = maker;
  }
  throw new KeylineError(
    'FORBIDDEN',
    `Who is behind the API token ${caller.name} can't be told: it was made with a token that was made with a token, and so on. Ask with a certificate, or with a token that was made with one.`,
  );
}
