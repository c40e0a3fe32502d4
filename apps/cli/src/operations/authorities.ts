// `keyline ca list`.
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { formatEnd, formatTimeAndDistance } from '../print/time.ts';

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
        ['ID', 'ROLE', 'STATE', 'SUBJECT', 'ISSUES', 'ENDS (UTC)', 'CRL', 'CRL GOOD UNTIL (UTC)'],
        answer.items.map(({ id, role, state, subject, profiles, notAfter, crl }) => [
          id,
          role,
          state,
          subject,
          profiles.length === 0 ? '-' : profiles.join(' '),
          formatEnd(notAfter, now),
          crl === null ? '-' : String(crl.number),
          crl === null ? '-' : formatTimeAndDistance(crl.nextUpdate, now),
        ]),
      ),
    );
    for (const { id, createdAt } of answer.pending) {
      context.terminal.err(
        `${id} waits for the root's certificate since ${formatTimeAndDistance(createdAt, now)}: keyline ca install ${id} --certificate … --root …\n`,
      );
    }
  } finally {
    client.close();
  }
}
