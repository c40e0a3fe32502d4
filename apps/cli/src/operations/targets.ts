// `keyline target list|compare`.
import type { TargetView } from '@keyline/api';
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export async function listTargets(context: CliContext, options: ClientOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const answer = await client.call('listTargets', {});
    if (options.json === true) {
      printJson(context, answer);
      return;
    }
    if (answer.items.length === 0) {
      context.terminal.err('No broker is configured (ca-config/targets.yaml, keyline up).\n');
      return;
    }
    const now = context.clock.now();
    context.terminal.out(
      formatTable(
        ['BROKER', 'STATE', 'BEHIND', 'COMPARED (UTC)', 'DIFFERED'],
        answer.items.map((target) => [
          target.name,
          target.lastError ?? 'ok',
          target.lag,
          formatTimeAndDistance(target.compared?.at ?? null, now),
          describeDrift(target),
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

export async function compareTarget(
  context: CliContext,
  name: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const target = await client.call('compareTarget', { params: { name }, body: {} });
    if (options.json === true) printJson(context, target);
    else {
      context.terminal.out(
        `${name}: ${String(target.compared?.devices ?? 0)} devices compared in ${String(target.compared?.milliseconds ?? 0)} ms; ${describeDrift(target)}.\n`,
      );
    }
  } finally {
    client.close();
  }
}

function describeDrift({ compared }: TargetView): string {
  if (compared === null) return '-';
  const { missing, changed, stale, foreign, roles } = compared;
  const parts = [
    [missing, 'were missing'],
    [changed, 'were changed'],
    [stale, 'should have been gone'],
    [foreign, 'unknown to the fleet'],
    [roles, 'roles or default rights were changed'],
  ] as const;
  const found = parts.filter(([count]) => count > 0);
  if (found.length === 0) return 'nothing';
  return found.map(([count, words]) => `${String(count)} ${words}`).join(', ');
}
