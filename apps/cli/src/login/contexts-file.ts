// The file of saved connections: contexts.json in the user's own configuration folder, readable by its owner only, because tokens are in it.
import { dirname, isAbsolute, join } from 'node:path';
import { createFolder, readSecretText, replaceFile } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { CliContext } from '../context.ts';

/** How one service is reached, and as whom. Paths are absolute. */
export interface SavedContext {
  /** The endpoints.json of a Keyline on this machine, instead of `api` and `caPem`. */
  readonly endpoints?: string;
  /** https:// address of the service. */
  readonly api?: string;
  /** Its trust anchors, PEM. */
  readonly caPem?: string;
  /** Client certificate and key of the caller. */
  readonly certificate?: string;
  readonly key?: string;
  /** API token of the caller: a secret. */
  readonly token?: string;
}

export interface Contexts {
  /** Name of the one that is used. */
  readonly current: string | undefined;
  readonly contexts: ReadonlyMap<string, SavedContext>;
}

const none: Contexts = { current: undefined, contexts: new Map() };
const fields = ['endpoints', 'api', 'caPem', 'certificate', 'key', 'token'] as const;

/** By the XDG base directory specification; undefined when the user has no home. */
export function findContextsFile({ env }: Pick<CliContext, 'env'>): string | undefined {
  const configured = env['XDG_CONFIG_HOME'];
  // "All paths set in these environment variables must be absolute. If an implementation encounters a relative path […] it should […] ignore it."
  if (configured !== undefined && isAbsolute(configured))
    return join(configured, 'keyline', 'contexts.json');
  const home = env['HOME'];
  if (home === undefined || !isAbsolute(home)) return undefined;
  return join(home, '.config', 'keyline', 'contexts.json');
}

/** @throws {KeylineError} FILE_UNREADABLE also when others may read it */
export async function loadContexts(context: Pick<CliContext, 'env'>): Promise<Contexts> {
  const file = findContextsFile(context);
  if (file === undefined) return none;
  let text: string;
  try {
    text = await readSecretText(file, 'file of saved connections');
  } catch (error) {
    if (error instanceof KeylineError && error.code === 'FILE_NOT_FOUND') return none;
    throw error;
  }
  return parseContexts(text, file);
}

/** @throws {KeylineError} USAGE when there is no place for it, FILE_UNREADABLE */
export async function saveContexts(
  context: Pick<CliContext, 'env'>,
  { current, contexts }: Contexts,
): Promise<string> {
  const file = findContextsFile(context);
  if (file === undefined) {
    throw new KeylineError(
      'USAGE',
      'There is no folder for it: neither HOME nor XDG_CONFIG_HOME is set. Set one of them, or give the connection with each command (--api, --ca …).',
    );
  }
  await createFolder(dirname(file), 0o700);
  const document = { version: 1, current: current ?? null, contexts: Object.fromEntries(contexts) };
  await replaceFile(file, `${JSON.stringify(document, null, 2)}\n`);
  return file;
}

/** Every shape that is not ours is one error: what is in the file decides where secrets go. */
function parseContexts(text: string, file: string): Contexts {
  let document: unknown;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw unreadable(file, `it is not JSON (${messageOf(error)})`, error);
  }
  const { version, current, contexts } = isRecord(document) ? document : {};
  if (version !== 1) throw unreadable(file, 'it is of another version');
  if (!isRecord(contexts) || (current !== null && typeof current !== 'string'))
    throw unreadable(file, 'it lacks contexts');
  const found = new Map<string, SavedContext>();
  for (const [name, value] of Object.entries(contexts)) {
    const isWhole =
      isRecord(value) &&
      fields.every((field) => value[field] === undefined || typeof value[field] === 'string') &&
      (typeof value['endpoints'] === 'string' ||
        (typeof value['api'] === 'string' && typeof value['caPem'] === 'string'));
    if (!isWhole || !isContextName(name))
      throw unreadable(file, `"${name.slice(0, 100)}" is damaged`);
    found.set(name, value);
  }
  return { current: current ?? undefined, contexts: found };
}

function unreadable(file: string, why: string, cause?: unknown): KeylineError {
  return new KeylineError(
    'FILE_UNREADABLE',
    `${file} (saved connections) can't be used: ${why}. Delete it and run "keyline login" again, or give the connection with the command (--api, --ca …).`,
    { cause },
  );
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Letters, digits, ".", "_" and "-". */
export function isContextName(name: string): boolean {
  return /^[A-Za-z0-9][\w.-]{0,62}$/.test(name) && name !== '__proto__';
}

/** @throws {KeylineError} NOT_FOUND with those that there are */
export function getContext({ contexts }: Contexts, name: string): SavedContext {
  const found = contexts.get(name);
  if (found !== undefined) return found;
  const names = [...contexts.keys()];
  throw new KeylineError(
    'NOT_FOUND',
    `There is no context "${name.slice(0, 100)}". ${names.length === 0 ? 'None is saved: "keyline login" saves one.' : `There are: ${names.join(', ')}.`}`,
  );
}
