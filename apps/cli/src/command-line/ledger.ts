// The words of `keyline ledger`.
import { entryKinds } from '@keyline/api';
import { InvalidArgumentError, type Command } from 'commander';
import type { Act } from './act.ts';
import { example, parseCount, withClientOptions } from './client-options.ts';
import type { LedgerOptions } from '../operations/ledger.ts';

export function addLedgerCommand(program: Command, act: Act): void {
  example(
    withClientOptions(
      program
        .command('ledger')
        .description('Who did what, over the whole fleet: entries of the ledger, newest first.'),
    )
      .option('--device <id>', 'about this device, or whatever else is the subject')
      .option('--actor <name>', 'done by this one, as the table has it: admin:admin@keyline')
      // Not as choices: all of them would be in the help.
      .option('--kind <kind>', 'of this kind; one that is unknown lists them', parseKind)
      .option('--since <time>', 'written since: RFC 3339, or 12h ago')
      .option('--limit <n>', 'at most so many (default 50)', parseCount)
      .option('-f, --follow', 'the newest last, and then what happens, until Ctrl-C'),
    'keyline ledger --since 1d --kind device-revoked',
    'keyline ledger --actor admin:admin@keyline --limit 10 --json',
  ).action(
    act(async (context, options: LedgerOptions) => {
      const { showLedger } = await import('../operations/ledger.ts');
      await showLedger(context, options);
    }),
  );
}

function parseKind(text: string): (typeof entryKinds)[number] {
  const kind = entryKinds.find((one) => one === text);
  if (kind !== undefined) return kind;
  throw new InvalidArgumentError(`The kinds are: ${entryKinds.join(', ')}.`);
}
