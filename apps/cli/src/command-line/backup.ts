// The words of `keyline backup` and `keyline restore`.
import type { Command } from 'commander';
import type { MakeOptions } from '../backup/run-backup.ts';
import type { VerifyOptions } from '../backup/run-verify.ts';
import type { RestoreOptions } from '../backup/run-restore.ts';
import type { Act } from './act.ts';
import { example, parseCount, parseFolder } from './client-options.ts';

export function addBackupCommands(program: Command, act: Act): void {
  const backup = example(
    program
      .command('backup')
      .summary('copy everything into one encrypted file, while it serves')
      .description(
        'Copies the database, the encrypted keys, the configuration and the state of the broker into one encrypted, authenticated file, while everything serves. The age program opens it too. The passphrase of the issuing keys stays out unless --include-passphrase is given: keep a copy of it elsewhere.',
      )
      // "verify" has options of the same names.
      .enablePositionalOptions()
      .option(
        '--data <dir>',
        'folder of "keyline up", or of a keyline-ca that runs by itself',
        parseFolder,
        '.keyline',
      )
      .option('--out <file>', 'the file to write; never overwritten')
      .option(
        '--scheduled',
        'as the section "backup" of keyline.yaml says: folder, keys, how many are kept',
      )
      .option('--folder <dir>', 'instead of --out: a folder in which the newest are kept')
      .option('--keep <n>', 'how many are kept in that folder (default: 14)', parseCount)
      .option(
        '--passphrase-file <file>',
        'passphrase of the backup, on one line, mode 600; asked for without it',
      )
      .option(
        '--recipient <key>',
        'public key of age that can open it (age1…), instead of a passphrase; repeatable',
        collect,
      )
      .option(
        '--config <dir>',
        'the configuration in use, where it is not in keyline.yaml (default: ca-config of the project)',
      )
      .option('--include-root', "put the root's folder in, when it is in the data folder")
      .option('--include-passphrase', 'put the passphrase of the issuing keys in as well')
      .option('--json', 'print what was made as JSON'),
    'keyline backup --data .keyline --out keyline.age --passphrase-file backup.pass',
  );
  backup.action(
    act(async (context, options: MakeOptions) => {
      const { runBackup } = await import('../backup/run-backup.ts');
      await runBackup(context, options);
    }),
  );
  example(
    withKeyOptions(
      backup
        .command('verify <file>')
        .summary('prove a backup whole and openable, the issuing keys included')
        .description(
          'Reads the whole backup, checks every hash, the database and the versions, and that the passphrase of the issuing keys opens them. Changes nothing.',
        ),
    )
      .option(
        '--work <dir>',
        'where the database is unpacked meanwhile (default: the folder for temporary files)',
      )
      .option('--json', 'print what is in it as JSON'),
    'keyline backup verify keyline.age --passphrase-file backup.pass --ca-passphrase-file ca.pass',
  ).action(
    act(async (context, file: string, options: VerifyOptions) => {
      const { runVerify } = await import('../backup/run-verify.ts');
      await runVerify(context, file, options);
    }),
  );
  example(
    withKeyOptions(
      program
        .command('restore [file]')
        .summary('bring a backup back into an empty folder, or say that a folder is a copy')
        .description(
          'Brings a backup back into a folder that is empty or not there yet. What came after the backup is recovered by the issuing CA at its first start; give it the newest CRLs that were published. With --copy the folder itself is the copy: made without "keyline backup", or moved to another disk.',
        )
        .requiredOption(
          '--data <dir>',
          'folder to make, never overwritten; with --copy: the copy',
          parseFolder,
        )
        .option('--copy', 'the folder is a copy of one that served: take it as it is'),
    )
      .option(
        '--crl <file or url>',
        'a CRL that was published after the backup, DER or PEM; repeatable',
        collect,
      )
      .option('--json', 'print what was restored as JSON'),
    'keyline restore keyline.age --data restored --passphrase-file backup.pass --ca-passphrase-file ca.pass --crl issuing-1.crl',
  ).action(
    act(async (context, file: string | undefined, options: RestoreOptions) => {
      const { runRestore } = await import('../backup/run-restore.ts');
      await runRestore(context, file, options);
    }),
  );
}

/** What opens a backup, and the keys in it. */
function withKeyOptions(command: Command): Command {
  return command
    .option(
      '--passphrase-file <file>',
      'passphrase of the backup, on one line, mode 600; asked for without it',
    )
    .option(
      '--identity-file <file>',
      'private keys of age (as age-keygen writes them), mode 600, for one made with --recipient',
    )
    .option(
      '--ca-passphrase-file <file>',
      'passphrase of the issuing keys (secrets/ca.pass), mode 600; asked for where the backup has it not',
    );
}

/** commander argument parser: several times. */
function collect(text: string, before: readonly string[] | undefined): string[] {
  return [...(before ?? []), text];
}
