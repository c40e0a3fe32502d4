// `keyline completion`: everything a shell needs, written once, so that a TAB starts no program.
import type { Command } from 'commander';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { bashCompletion } from './bash.ts';
import { describeCommands } from './command-tree.ts';
import { fishCompletion } from './fish.ts';
import { zshCompletion } from './zsh.ts';

const scripts = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion };

export function printCompletion(
  context: CliContext,
  program: Command,
  { shell, json }: JsonOption & { readonly shell: keyof typeof scripts },
): void {
  const script = scripts[shell](describeCommands(program));
  if (json === true) printJson(context, { shell, script });
  else context.terminal.out(script);
}
