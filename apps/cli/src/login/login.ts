// `keyline login`: tries a connection, and saves it so that other commands need not be told.
import { resolve } from 'node:path';
import { createClient } from '@keyline/client';
import { KeylineError } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { chooseService, findCaller } from '../find-service.ts';
import { isContextName, loadContexts, saveContexts, type SavedContext } from './contexts-file.ts';

/**
 * Nothing is saved that did not work.
 * @throws {KeylineError} USAGE, NOT_FOUND, FILE_*, SERVICE_UNREACHABLE, UNAUTHENTICATED
 */
export async function login(
  context: CliContext,
  name: string,
  options: ClientOptions,
): Promise<void> {
  if (!isContextName(name)) {
    throw new KeylineError(
      'USAGE',
      `"${name.slice(0, 100)}" can't be the name of a context: letters, digits, ".", "_" and "-", at most 63.`,
    );
  }
  if (options.context !== undefined) {
    throw new KeylineError('USAGE', 'login makes a context; --context names one that is there.');
  }
  const before = await loadContexts(context);
  // Where the service is has to be said, or lie in this folder: a saved one would be saved as itself.
  const chosen = await chooseService(
    { ...context, env: { ...context.env, HOME: '', XDG_CONFIG_HOME: '' } },
    options,
  );
  const caller = await findCaller(context, options, chosen);
  const client = createClient(chosen.location, caller);
  try {
    const me = await client.call('whoAmI', {});
    const at = (file: string): string => resolve(context.cwd, file);
    const saved: SavedContext = {
      ...(chosen.endpointsFile === undefined
        ? { api: chosen.location.api, caPem: chosen.location.caPem }
        : { endpoints: chosen.endpointsFile }),
      ...(options.cert === undefined ? {} : { certificate: at(options.cert) }),
      ...(options.key === undefined ? {} : { key: at(options.key) }),
      ...(caller.via === 'token' ? { token: caller.token.reveal() } : {}),
    };
    const contexts = new Map(before.contexts).set(name, saved);
    const file = await saveContexts(context, { current: name, contexts });
    if (options.json === true) {
      printJson(context, { context: name, api: chosen.location.api, caller: me, file });
      return;
    }
    context.terminal.out(
      `You are ${me.name} (${me.role}) at ${chosen.location.api}. Saved as "${name}" in ${file}; commands use it from now on.\n`,
    );
  } finally {
    client.close();
  }
}
