// `keyline role list` and `keyline role apply`.
import type { ApplyRolesResponse } from '@keyline/api';
import { exitCodes } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { openClient } from '../find-service.ts';
import { formatTable } from '../print/table.ts';

export async function listRoles(context: CliContext, options: ClientOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const answer = await client.call('listRoles', {});
    if (options.json === true) {
      printJson(context, answer);
      return;
    }
    context.terminal.out(
      formatTable(
        ['ROLE', 'FOR', 'PUBLISH', 'SUBSCRIBE', 'FILE'],
        answer.items.map(({ name, kind, publish, subscribe, file }) => [
          name,
          `${kind}s`,
          publish.length,
          subscribe.length,
          file,
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

/** @returns 7 where a broker has not got them yet */
export async function applyRoles(context: CliContext, options: ClientOptions): Promise<number> {
  const client = await openClient(context, options);
  try {
    const answer = await client.call('applyRoles', { body: {} });
    if (options.json === true) printJson(context, answer);
    else context.terminal.out(describeApplied(answer));
    return answer.targets.every(({ done }) => done) ? exitCodes.ok : exitCodes.pending;
  } finally {
    client.close();
  }
}

function describeApplied({ changed, waiting, targets }: ApplyRolesResponse): string {
  const lines = [
    changed.length === 0
      ? 'No role and no device type is other than what runs.'
      : `Taken up: ${changed.map((one) => one.replace(':', ' ')).join(', ')}.`,
    ...targets.map(({ target, done, pending }) =>
      done
        ? `Broker ${target}: everybody has the rights of now.`
        : `Broker ${target}: pending, and follows by itself. ${pending ?? ''}`,
    ),
    ...targets.flatMap(({ target, aclFile }) =>
      aclFile && changed.length > 0
        ? [
            `Broker ${target} is a Mosquitto: topics with %u alone are in its acl_file, which is written and read again by SIGHUP to "keyline broker serve", or by whoever runs it.`,
          ]
        : [],
    ),
    ...(waiting.length === 0
      ? []
      : [`Changed too, and waiting for a restart: ${waiting.join(', ')}.`]),
  ];
  return `${lines.join('\n')}\n`;
}
