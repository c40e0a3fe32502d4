// `keyline role check`: whether an identity may use a topic, why, and what lasts.
import type { ExplainRightResponse } from '@keyline/api';
import { exitCodes } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { openClient } from '../find-service.ts';

export interface CheckRoleOptions extends ClientOptions {
  readonly publish?: boolean;
  readonly subscribe?: boolean;
}

/** @returns 3 where it may not */
export async function checkRole(
  context: CliContext,
  given: { readonly id: string; readonly topic: string; readonly options: CheckRoleOptions },
): Promise<number> {
  const { id, topic, options } = given;
  const action = options.subscribe === true ? 'subscribe' : 'publish';
  const client = await openClient(context, options);
  try {
    const said = await client.call('explainRight', { query: { device: id, topic, action } });
    if (options.json === true) printJson(context, said);
    else context.terminal.out(describe(said));
    return said.allowed ? exitCodes.ok : exitCodes.refused;
  } finally {
    client.close();
  }
}

function describe(said: ExplainRightResponse): string {
  const { device, action, topic, allowed, reason, role, filter, closed, add, unapplied } = said;
  const to = `${action} to ${topic}`;
  const lines = [
    allowed ? `allowed: ${device} may ${to}.` : `denied: ${device} may not ${to}. ${reason}`,
  ];
  if (role !== null) {
    const { name, file, line } = role;
    lines.push(
      filter === null
        ? `role "${name}": ${file}:${String(line)}`
        : `by role "${name}": ${file}:${String(filter.line)}: ${filter.text}`,
    );
    for (const { text, line: at, why } of closed) {
      lines.push(`closed: ${file}:${String(at)}: ${text}: ${why}`);
    }
    if (add !== null) {
      lines.push(
        `To allow it to everybody with this role, add under "${add.list}:" (line ${String(add.line)}):`,
        `  - ${add.text}`,
        'and apply it: keyline role apply',
      );
    }
    if (unapplied) {
      lines.push('The files differ from what runs, or have a mistake: keyline role apply');
    }
  }
  return `${lines.join('\n')}\n`;
}
