// Completion for fish 3.
import type { CommandNode, OptionValue } from './command-tree.ts';
import { pathsOf } from './shell-words.ts';

export function fishCompletion(nodes: readonly CommandNode[]): string {
  const lines = nodes.flatMap(({ words, commands, options, takesFile }) => {
    const begin = `complete -c keyline -n ${quoteFish(`__keyline_at ${quoteFish(words.join(' '))}`)}`;
    return [
      ...(takesFile ? [`${begin} -F`] : []),
      ...commands.map(
        ({ name, description }) => `${begin} -a ${quoteFish(name)} -d ${quoteFish(description)}`,
      ),
      ...options.map(({ flags, description, value }) => {
        const names = flags.map((flag) =>
          flag.startsWith('--') ? `-l ${flag.slice(2)}` : `-s ${flag.slice(1)}`,
        );
        return `${begin} ${names.join(' ')}${argumentsOf(value)} -d ${quoteFish(description)}`;
      }),
    ];
  });
  return `# fish completion for keyline, written by "keyline completion fish".
function __keyline_at
  set -l at
  for word in (commandline -opc)[2..-1]
    switch (string trim -- "$at $word")
      case ${pathsOf(nodes).map(quoteFish).join(' ')}
        set -a at $word
    end
  end
  test "$at" = "$argv[1]"
end
complete -c keyline -f
${lines.join('\n')}
`;
}

function argumentsOf(value: OptionValue): string {
  if (value === 'none') return '';
  if (value === 'file') return ' -r -F';
  if (value === 'folder') return " -x -a '(__fish_complete_directories)'";
  return value === 'text' ? ' -x' : ` -x -a ${quoteFish(value.join(' '))}`;
}

function quoteFish(text: string): string {
  return `'${text.replaceAll(/['\\]/g, String.raw`\$&`)}'`;
}
