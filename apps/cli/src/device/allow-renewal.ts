// `keyline device allow-renewal`.
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export interface AllowRenewalOptions extends ClientOptions {
  readonly for?: string;
}

export async function allowRenewal(
  context: CliContext,
  id: string,
  options: AllowRenewalOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const answer = await client.call('allowRenewal', {
      params: { id },
      body: options.for === undefined ? {} : { for: options.for },
    });
    if (options.json === true) printJson(context, answer);
    else {
      context.terminal.out(
        `${id} may renew once with the key it has, until ${formatTimeAndDistance(answer.until, context.clock.now())}.\n`,
      );
    }
  } finally {
    client.close();
  }
}
