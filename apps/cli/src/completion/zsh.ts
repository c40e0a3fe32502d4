// Completion for zsh: to be sourced after compinit, or as a file named _keyline in fpath.
import type { CommandNode } from './command-tree.ts';
import { optionCases, pathCases, quote } from './shell-words.ts';

export function zshCompletion(nodes: readonly CommandNode[]): string {
  // _describe splits a word from its text at the first colon.
  const entry = (word: string, text: string): string =>
    quote(`${word.replaceAll(':', String.raw`\:`)}:${text}`);
  const words = nodes.map(({ words: at, commands, options, takesFile }) => {
    const entries = [
      ...commands.map(({ name, description }) => entry(name, description)),
      ...options.flatMap(({ flags, description }) =>
        flags.filter((flag) => flag.startsWith('--')).map((flag) => entry(flag, description)),
      ),
    ];
    return `    ${quote(at.join(' '))})
      ${takesFile ? `[[ $words[CURRENT] == -* ]] || { _files; return; }\n      ` : ''}entries=(${entries.join(' ')}) ;;`;
  });
  return `#compdef keyline
# zsh completion for keyline, written by "keyline completion zsh".
_keyline() {
  local at='' prev=$words[CURRENT-1] i
  local -a entries
  for ((i = 2; i < CURRENT; i++)); do
    case "\${at:+$at }$words[i]" in
      ${pathCases(nodes)}) at="\${at:+$at }$words[i]" ;;
    esac
  done
  case "$at|$prev" in
${optionCases(nodes, {
  choices: (values) => `compadd -- ${values.map(quote).join(' ')}; return`,
  file: '_files; return',
  folder: '_files -/; return',
  text: 'return',
})}
  esac
  case $at in
${words.join('\n')}
  esac
  _describe 'keyline' entries
}
if [[ $funcstack[1] == _keyline ]]; then
  _keyline "$@"
else
  compdef _keyline keyline
fi
`;
}
