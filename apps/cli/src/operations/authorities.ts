// `keyline ca list`.
import { openClient } from '../client/api-client.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export async function listAuthorities(context: CliContext, options: ClientOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const answer = await client.call('listAuthorities', {});
    if (options.json === true) {
      printJson(context, answer);
      return;
    }
    const now = context.clock.now();
    context.terminal.out(
      formatTable(
        ['ID', 'ROLE', 'SUBJECT', 'ENDS (UTC)', 'CRL', 'CRL GOOD UNTIL (UTC)'],
        answer.items.map(({ id, role, subject, notAfter, crl }) => [
          id,
          role,
          subject,
          formatTimeAndDistance(notAfter, now),
          crl === null ? '-' : String(crl.number),
          crl === null ? '-' : formatTimeAndDistance(crl.nextUpdate, now),
        ]),
      ),
    );
  } finally {
    client.close();
  }
}
