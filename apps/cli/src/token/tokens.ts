// `keyline token create|list|revoke`.
import { access, constants } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { CreateTokenRequest, TokenList, TokenView } from '@keyline/api';
import type { ApiClient } from '@keyline/client';
import { isNodeError, readTextIfThere, writeNewFile } from '@keyline/files';
import { KeylineError, messageOf } from '@keyline/kernel';
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export interface CreateTokenOptions extends ClientOptions {
  readonly use: 'enroll' | 'api';
  readonly type?: string;
  readonly idPattern?: string;
  readonly maxUses?: number;
  readonly expiresIn?: string;
  readonly label?: Readonly<Record<string, string>>;
  readonly role?: NonNullable<CreateTokenRequest['role']>;
  readonly description?: string;
  readonly out?: string;
}

export interface ListTokensOptions extends ClientOptions {
  readonly use: 'enroll' | 'api';
}

/** The secret alone goes to stdout, so that `> token.txt` keeps just it. */
export async function createToken(context: CliContext, options: CreateTokenOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const { use, type, idPattern, maxUses, expiresIn, label, role, description } = options;
    const file = options.out === undefined ? undefined : resolve(context.cwd, options.out);
    // Before there is a secret that would be lost.
    if (file !== undefined) await assertFree(file);
    const { token, secret } = await client.call('createToken', {
      body: {
        use,
        ...(type === undefined ? {} : { type }),
        ...(idPattern === undefined ? {} : { idPattern }),
        ...(maxUses === undefined ? {} : { maxUses }),
        ...(expiresIn === undefined ? {} : { expiresIn }),
        ...(label === undefined ? {} : { labels: { ...label } }),
        ...(role === undefined ? {} : { role }),
        ...(description === undefined ? {} : { description }),
      },
    });
    if (file !== undefined) await keepSecret(client, { id: token.id, secret, file });
    if (options.json === true) {
      printJson(context, file === undefined ? { token, secret } : { token, file });
      return;
    }
    const what = describe(token, context.clock.now());
    if (file === undefined) {
      context.terminal.err(`${what} Shown this once:\n`);
      context.terminal.out(`${secret}\n`);
    } else context.terminal.err(`${what}\nThe secret is in ${options.out ?? file}.\n`);
  } finally {
    client.close();
  }
}

/** @throws {KeylineError} FILE_EXISTS, FILE_UNREADABLE where the secret could not be kept */
async function assertFree(file: string): Promise<void> {
  if ((await readTextIfThere(file, 'the token')) !== undefined) {
    throw new KeylineError(
      'FILE_EXISTS',
      `${file} exists already and is not overwritten. Move it away, or choose another place. No token was made.`,
    );
  }
  const folder = dirname(file);
  await access(folder, constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw new KeylineError(
      'FILE_UNREADABLE',
      isNodeError(error, 'ENOENT')
        ? `Can't write ${file}: its folder is not there. Create it, or choose another place. No token was made.`
        : `Can't write ${file}: ${messageOf(error)}. Choose another place. No token was made.`,
      { cause: error },
    );
  });
}

/** A token whose secret nobody has is of no use but to whoever finds it. */
async function keepSecret(
  client: ApiClient,
  { id, secret, file }: { readonly id: string; readonly secret: string; readonly file: string },
): Promise<void> {
  try {
    await writeNewFile(file, `${secret}\n`);
  } catch (error) {
    const { code, detail } = error as KeylineError;
    await client.call('revokeToken', { params: { id } }).catch((cause: unknown) => {
      throw new KeylineError(
        code,
        `${detail} Nor could the token be revoked, whose secret is lost now (${messageOf(cause)}): keyline token revoke ${id}`,
        { cause: error },
      );
    });
    throw new KeylineError(code, `${detail} The token was revoked again.`, { cause: error });
  }
}

export async function listTokens(context: CliContext, options: ListTokensOptions): Promise<void> {
  const client = await openClient(context, options);
  try {
    const items: TokenList['items'] = [];
    let cursor: string | null = null;
    do {
      const page: TokenList = await client.call('listTokens', {
        query: { use: options.use, limit: 1000, ...(cursor === null ? {} : { cursor }) },
      });
      items.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor !== null);
    if (options.json === true) {
      printJson(context, { items, nextCursor: null });
      return;
    }
    if (items.length === 0) {
      context.terminal.err('There is no token. "keyline token create" makes one.\n');
      return;
    }
    context.terminal.out(formatTokens(items, context.clock.now()));
  } finally {
    client.close();
  }
}

export async function revokeToken(
  context: CliContext,
  id: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const token = await client.call('revokeToken', { params: { id } });
    if (options.json === true) printJson(context, token);
    else context.terminal.out(`${token.id} is revoked: no use from now on.\n`);
  } finally {
    client.close();
  }
}

function describe(token: TokenView, now: number): string {
  const ends = `until ${formatTimeAndDistance(token.expiresAt, now)}`;
  if (token.use === 'api')
    return `API token ${token.id} for the role ${token.role ?? '?'}, ${ends}.`;
  const uses = token.maxUses ?? 1;
  const devices = uses === 1 ? 'one device' : `${String(uses)} devices`;
  const pattern = typeof token.idPattern === 'string' ? ` with ids like ${token.idPattern}` : '';
  return `Enrollment token ${token.id} for ${devices} of type ${token.type ?? 'default'}${pattern}, ${ends}.`;
}

function formatTokens(items: TokenList['items'], now: number): string {
  const state = (token: TokenView): string => {
    if (token.revokedAt !== null) return 'revoked';
    if (Date.parse(token.expiresAt) <= now) return 'expired';
    if (token.uses !== undefined && token.uses >= (token.maxUses ?? 1)) return 'used up';
    return 'good';
  };
  return formatTable(
    ['ID', 'STATE', 'FOR', 'USES', 'UNTIL (UTC)', 'CREATED BY', 'DESCRIPTION'],
    items.map((token) => [
      token.id,
      state(token),
      token.use === 'api'
        ? `role ${token.role ?? '?'}`
        : `${token.type ?? 'default'} ${token.idPattern ?? '*'}`,
      token.maxUses === undefined ? '-' : `${String(token.uses ?? 0)}/${String(token.maxUses)}`,
      formatTimeAndDistance(token.expiresAt, now),
      token.createdBy,
      token.description,
    ]),
  );
}
