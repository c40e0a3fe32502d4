// `keyline context`: which saved connections there are, which one is used, and away with one. Secrets are never shown.
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { getContext, loadContexts, saveContexts, type SavedContext } from './contexts-file.ts';

/** @throws {KeylineError} FILE_UNREADABLE */
export async function listContexts(context: CliContext, { json }: JsonOption): Promise<void> {
  const { current, contexts } = await loadContexts(context);
  const items = [...contexts].map(([name, saved]) => ({
    name,
    isCurrent: name === current,
    service: saved.api ?? saved.endpoints ?? '',
    caller: describeCaller(saved),
  }));
  if (json === true) {
    printJson(context, { current: current ?? null, items });
    return;
  }
  if (items.length === 0) {
    context.terminal.err('No connection is saved. "keyline login" saves one.\n');
    return;
  }
  context.terminal.out(
    formatTable(
      ['', 'CONTEXT', 'SERVICE', 'CALLER'],
      items.map(({ name, isCurrent, service, caller }) => [
        isCurrent ? '*' : '',
        name,
        service,
        caller,
      ]),
    ),
  );
}

function describeCaller({ certificate, token, endpoints }: SavedContext): string {
  if (certificate !== undefined) return certificate;
  if (token !== undefined) return 'an API token';
  return endpoints === undefined ? '-' : 'the admin of endpoints.json';
}

/** @throws {KeylineError} NOT_FOUND, FILE_UNREADABLE */
export async function useContext(
  context: CliContext,
  name: string,
  { json }: JsonOption,
): Promise<void> {
  const before = await loadContexts(context);
  getContext(before, name);
  await saveContexts(context, { ...before, current: name });
  if (json === true) printJson(context, { current: name });
  else context.terminal.out(`Commands use "${name}" from now on.\n`);
}

/** @throws {KeylineError} NOT_FOUND, FILE_UNREADABLE */
export async function deleteContext(
  context: CliContext,
  name: string,
  { json }: JsonOption,
): Promise<void> {
  const before = await loadContexts(context);
  getContext(before, name);
  const contexts = new Map(before.contexts);
  contexts.delete(name);
  const current = before.current === name ? undefined : before.current;
  await saveContexts(context, { current, contexts });
  if (json === true) printJson(context, { deleted: name, current: current ?? null });
  else
    context.terminal.out(
      `"${name}" is deleted.${before.current === name ? ' It was the one in use: "keyline context use NAME" chooses another.' : ''}\n`,
    );
}
