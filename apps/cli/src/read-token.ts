// The token that a command presents: from a file that is its owner's alone, or standard input. One meaning of --token-file for all commands.
import { readSecretFile } from '@keyline/files';
import { KeylineError } from '@keyline/kernel';
import type { CliContext } from './context.ts';

const kinds = {
  enroll: { name: 'enrollment token', prefix: 'kle_' },
  api: { name: 'API token', prefix: 'kla_' },
} as const;

const longestToken = 4096;

/**
 * @param file its name, or `-` for standard input
 * @param kind what the command presents: devices enroll with an enrollment token, callers call with an API token
 * @throws {KeylineError} USAGE when it is one of the other kind, FILE_NOT_FOUND, FILE_UNREADABLE
 */
export async function readToken(
  context: CliContext,
  file: string,
  kind: keyof typeof kinds,
): Promise<string> {
  const { name } = kinds[kind];
  const token =
    file === '-'
      ? await readStdin(context, name)
      : await readSecretFile(context.cwd, file, `${name} file`);
  const other = kinds[kind === 'enroll' ? 'api' : 'enroll'];
  if (token.startsWith(other.prefix)) {
    throw new KeylineError(
      'USAGE',
      `${file === '-' ? 'Standard input' : file} has an ${other.name} (${other.prefix}…), and this command takes an ${name}. "keyline token create --use ${kind}" makes one.`,
    );
  }
  return token;
}

async function readStdin(context: CliContext, name: string): Promise<string> {
  let text = '';
  for await (const part of context.stdin) {
    text += String(part);
    if (text.length > longestToken) break;
  }
  const token = text.trim();
  if (token === '') throw new KeylineError('USAGE', `There was no ${name} on stdin.`);
  return token;
}
