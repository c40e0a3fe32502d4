// The options that every command shares which speaks to the service.
import { InvalidArgumentError, type Command } from 'commander';
import type { JsonOption } from '../context.ts';

/** Where the service is. */
export interface LocationOptions {
  readonly endpoints?: string;
  readonly api?: string;
  readonly ca?: string;
  /** Name of a saved connection. */
  readonly context?: string;
}

/** Where the service is, and who is calling. */
export interface ClientOptions extends LocationOptions, JsonOption {
  readonly cert?: string;
  readonly key?: string;
  readonly tokenFile?: string;
}

export function withLocationOptions(command: Command): Command {
  return command
    .option('--context <name>', 'saved connection ("keyline login"; or set KEYLINE_CONTEXT)')
    .option('--endpoints <file>', 'endpoints.json of a running Keyline')
    .option('--api <url>', 'https:// address of the service instead (with --ca)')
    .option('--ca <file>', 'PEM file with the trust anchors of the service');
}

export function withClientOptions(command: Command): Command {
  return withLocationOptions(command)
    .option(
      '--cert <file>',
      'client certificate, PEM, leaf and chain (default: the admin of endpoints.json)',
    )
    .option('--key <file>', 'its private key, PEM')
    .option(
      '--token-file <file>',
      'file (mode 600) with the token to present: an API token; - for stdin (or set KEYLINE_TOKEN)',
    )
    .option('--json', 'print the answer as JSON');
}

/** Help text that ends with an example, as every command has one. */
export function example(command: Command, ...lines: string[]): Command {
  return command.addHelpText(
    'after',
    `\nExample:\n${lines.map((line) => `  $ ${line}`).join('\n')}`,
  );
}

/** commander argument parser: a whole number from 1. */
export function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,9}$/.test(text) || count < 1) {
    throw new InvalidArgumentError('Give a whole number from 1 to 999999999.');
  }
  return count;
}

/** commander argument parser: an unset variable of a shell would name the folder that one is in. */
export function parseFolder(text: string): string {
  if (text === '') throw new InvalidArgumentError('Name a folder.');
  return text;
}

/** commander argument parser: a TCP port. */
export function parsePort(text: string): number {
  const port = Number(text);
  if (!/^\d{1,5}$/.test(text) || port < 1 || port > 65_535) {
    throw new InvalidArgumentError('Give a TCP port: 1 to 65535.');
  }
  return port;
}

/** commander argument parser for options that may come several times. */
export function collect(value: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** commander argument parser: `name=value`, several times. */
export function collectLabel(
  text: string,
  before: Readonly<Record<string, string>> | undefined,
): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('Write labels as name=value.');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}
