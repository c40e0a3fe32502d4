// `keyline ca approvals|approve|reject`.
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export async function listApprovals(context: CliContext, options: ClientOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const answer = await client.call('listApprovals', { query: {} });
    if (options.json === true) {
      printJson(context, answer);
      return;
    }
    const now = context.clock.now();
    context.terminal.out(
      formatTable(
        ['ID', 'STATE', 'WHAT', 'ASKED BY', 'OPEN UNTIL (UTC)', 'DECIDED BY'],
        answer.items.map(({ id, state, summary, requestedBy, expiresAt, decidedBy }) => [
          id,
          state,
          summary,
          requestedBy,
          formatTimeAndDistance(expiresAt, now),
          decidedBy ?? '-',
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

export async function decide(
  context: CliContext,
  given: { decision: 'approve' | 'reject'; id: string; options: ClientOptions },
): Promise<void> {
  const { decision, id, options } = given;
  const client = await openClient(context, options);
  try {
    const answer = await client.call(decision, { params: { id } });
    if (options.json === true) {
      printJson(context, answer);
      return;
    }
    const { summary, requestedBy } = 'approval' in answer ? answer.approval : answer;
    context.terminal.out(
      decision === 'approve'
        ? `Done: ${summary}, as ${requestedBy} asked.\n`
        : `Rejected: ${summary}, which ${requestedBy} asked for. Nothing was changed.\n`,
    );
  } finally {
    client.close();
  }
}
