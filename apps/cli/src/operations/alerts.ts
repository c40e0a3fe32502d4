// `keyline alerts list` and `keyline alerts acknowledge`.
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export interface AlertOptions extends ClientOptions {
  readonly all?: boolean;
}

export async function listAlerts(context: CliContext, options: AlertOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const answer = await client.call('listAlerts', {
      query: options.all === true ? { all: true } : {},
    });
    if (options.json === true) {
      printJson(context, answer);
      return;
    }
    if (answer.items.length === 0) {
      context.terminal.err('No alert: nothing needs attention.\n');
      return;
    }
    const now = context.clock.now();
    context.terminal.out(
      formatTable(
        ['SEVERITY', 'WHAT', 'COUNT', 'FIRED (UTC)', 'RESOLVED (UTC)', 'FOR INSTANCE'],
        answer.items.map(({ severity, summary, count, firstAt, resolvedAt, examples }) => [
          severity,
          summary,
          count,
          formatTimeAndDistance(firstAt, now),
          formatTimeAndDistance(resolvedAt, now),
          examples.slice(0, 3).join(' '),
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

export async function acknowledgeAlert(
  context: CliContext,
  key: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const alert = await client.call('acknowledgeAlert', { params: { key }, body: {} });
    if (options.json === true) printJson(context, alert);
    else context.terminal.out(`${alert.key} is closed\n`);
  } finally {
    client.close();
  }
}
