// Completion for bash 3.2 and newer.
import type { CommandNode } from './command-tree.ts';
import { optionCases, pathCases, quote } from './shell-words.ts';

export function bashCompletion(nodes: readonly CommandNode[]): string {
  const words = nodes.map(({ words: at, commands, options, takesFile }) => {
    const all = [
      ...commands.map(({ name }) => name),
      ...options.flatMap(({ flags }) => flags.filter((flag) => flag.startsWith('--'))),
    ];
    const files = takesFile
      ? '\n      if [[ $cur != -* ]]; then compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return; fi'
      : '';
    return `    ${quote(at.join(' '))})${files}
      COMPREPLY=($(compgen -W ${quote(all.join(' '))} -- "$cur")) ;;`;
  });
  return `# bash completion for keyline, written by "keyline completion bash".
_keyline() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD - 1]} at= i
  local IFS=$' \\t\\n'
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "\${at:+$at }\${COMP_WORDS[i]}" in
      ${pathCases(nodes)}) at="\${at:+$at }\${COMP_WORDS[i]}" ;;
    esac
  done
  case "$at|$prev" in
${optionCases(nodes, {
  choices: (values) => `COMPREPLY=($(compgen -W ${quote(values.join(' '))} -- "$cur")); return`,
  file: 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -f -- "$cur")); return',
  folder: 'compopt -o filenames 2>/dev/null; COMPREPLY=($(compgen -d -- "$cur")); return',
  text: 'return',
})}
  esac
  case $at in
${words.join('\n')}
  esac
}
complete -F _keyline keyline
`;
}
