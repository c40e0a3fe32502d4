// The words of `keyline completion`.
import { Argument, type Command } from 'commander';
import type { Act } from './act.ts';
import { example } from './client-options.ts';

export function addCompletionCommand(program: Command, act: Act): void {
  example(
    program
      .command('completion')
      .addArgument(new Argument('<shell>', 'of which').choices(['bash', 'zsh', 'fish']))
      .summary('print what lets a shell complete commands and options')
      .description(
        'Prints what lets a shell complete commands, options and their values. Bash: source <(keyline completion bash) in ~/.bashrc. Zsh: the same after compinit in ~/.zshrc. Fish: keyline completion fish > ~/.config/fish/completions/keyline.fish.',
      )
      .option('--json', 'print the script in a JSON document'),
    'keyline completion bash > keyline.bash',
  ).action(
    act(async (context, shell: 'bash' | 'zsh' | 'fish', options: { readonly json?: boolean }) => {
      const { printCompletion } = await import('../completion/print-completion.ts');
      printCompletion(context, program, { shell, ...options });
    }),
  );
}
