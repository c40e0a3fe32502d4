// The commands of keyline as data: what a shell needs to know to complete a line.
import type { Command } from 'commander';

/** What stands after an option. */
export type OptionValue = 'none' | 'file' | 'folder' | 'text' | readonly string[];

export interface CommandNode {
  /** Words after the program's name: `['device', 'list']`; the program itself has none. */
  readonly words: readonly string[];
  readonly commands: readonly { readonly name: string; readonly description: string }[];
  readonly options: readonly {
    /** `--state`, `-q`. */
    readonly flags: readonly string[];
    readonly description: string;
    readonly value: OptionValue;
  }[];
  /** Whether a file may stand where no option is. */
  readonly takesFile: boolean;
}

/** Every command, the program first. */
export function describeCommands(command: Command, words: readonly string[] = []): CommandNode[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((each) => each.name() !== 'help');
  const node: CommandNode = {
    words,
    commands: commands.map((each) => ({
      name: each.name(),
      description: firstSentence(help.subcommandDescription(each)),
    })),
    options: help.visibleOptions(command).map((option) => ({
      flags: [option.short, option.long].filter((flag) => flag !== undefined),
      description: firstSentence(option.description),
      value: valueOf(option.flags, option.argChoices),
    })),
    takesFile: command.registeredArguments.some((argument) => argument.name() === 'file'),
  };
  return [node, ...commands.flatMap((each) => describeCommands(each, [...words, each.name()]))];
}

/** By the name of the value in the flags: `--out <dir>`. */
function valueOf(flags: string, choices: readonly string[] | undefined): OptionValue {
  if (choices !== undefined) return choices;
  const name = /[<[]([^>\]]+)/.exec(flags)?.[1];
  if (name === undefined) return 'none';
  if (name === 'file') return 'file';
  return name === 'dir' ? 'folder' : 'text';
}

function firstSentence(text: string): string {
  return /^(.*?)\.(?:\s|$)/s.exec(text)?.[1] ?? text;
}
