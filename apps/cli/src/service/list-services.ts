// `keyline service list`.
import type { RouteInput } from '@keyline/client';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { openClient } from '../find-service.ts';
import { readPages } from '../read-pages.ts';
import { formatLastSeen, formatOnline } from '../print/presence.ts';
import { formatTable } from '../print/table.ts';
import { formatEnd } from '../print/time.ts';

type Query = RouteInput<'listServices'>['query'];

export interface ServiceListOptions extends ClientOptions {
  readonly state?: NonNullable<Query['state']>;
  readonly role?: string;
  readonly label?: string;
  readonly query?: string;
  readonly limit?: number;
  readonly all?: boolean;
}

export async function listServices(
  context: CliContext,
  options: ServiceListOptions,
): Promise<void> {
  const { state, role, label, query: q } = options;
  const client = await openClient(context, options);
  try {
    const { items, nextCursor } = await readPages(options, (page) =>
      client.call('listServices', {
        query: {
          ...(state === undefined ? {} : { state }),
          ...(role === undefined ? {} : { type: `service:${role}` }),
          ...(label === undefined ? {} : { label }),
          ...(q === undefined ? {} : { q }),
          ...page,
        },
      }),
    );
    if (options.json === true) {
      printJson(context, { items, nextCursor });
      return;
    }
    if (items.length === 0) {
      context.terminal.err(
        'No service is like that. Make one: keyline service create NAME --role ROLE.\n',
      );
      return;
    }
    const now = context.clock.now();
    context.terminal.out(
      formatTable(
        ['NAME', 'STATE', 'ONLINE', 'LAST SEEN', 'ROLE', 'CERTIFICATE ENDS (UTC)'],
        items.map(({ id, state: is, role: has, type, notAfter, presence }) => [
          id,
          is,
          formatOnline(presence),
          formatLastSeen(presence, now),
          has ?? `${type} (not configured any more)`,
          formatEnd(notAfter, now),
        ]),
      ),
    );
    if (nextCursor !== null) context.terminal.err('There are more: --all, or a larger --limit.\n');
  } finally {
    client.close();
  }
}
