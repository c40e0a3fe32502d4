// `keyline restore`: a backup brought back, and what to do next.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { configurationName, restoreBackup, type Restored } from '@keyline/backup';
import { KeylineError, quoteForShell } from '@keyline/kernel';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { createProgressBar } from '../print/progress-bar.ts';
import { formatFacts } from '../print/table.ts';
import { layoutOf } from '../up/layout.ts';
import { findKey, issuingPassphrase, type KeyOptions } from './backup-keys.ts';
import { loadRestoredLists } from './restored-lists.ts';
import { describeDatabase, describeLists } from './run-backup.ts';

export interface RestoreOptions extends KeyOptions, JsonOption {
  readonly data: string;
  readonly crl?: readonly string[];
  readonly copy?: boolean;
}

export async function runRestore(
  context: CliContext,
  name: string | undefined,
  options: RestoreOptions,
): Promise<void> {
  if ((name === undefined) !== (options.copy === true)) {
    throw new KeylineError(
      'USAGE',
      `Give the backup to bring back (keyline restore FILE --data DIR), or --copy when DIR itself is the copy${name === undefined ? '' : ': not both'}.`,
    );
  }
  if (name === undefined) {
    const { runAcceptCopy } = await import('./run-accept-copy.ts');
    await runAcceptCopy(context, options);
    return;
  }
  const { cwd, terminal, clock } = context;
  const file = resolve(cwd, name);
  const data = resolve(cwd, options.data);
  const key = await findKey(context, options);
  const ask = issuingPassphrase(context, options);
  const stop = new AbortController();
  const release = context.onStopSignal(() => {
    stop.abort();
  });
  const bar = createProgressBar(terminal, 100);
  let restored: Restored;
  try {
    restored = await restoreBackup({
      ...{ file, key, data },
      askPassphrase: () => {
        bar.clear();
        return ask();
      },
      findLists: ({ database }) => loadRestoredLists(cwd, options.crl ?? [], database),
      now: clock.now(),
      onProgress: (share) => {
        bar.advanceTo(Math.floor(share * 100));
      },
      signal: stop.signal,
    });
  } catch (error) {
    if (!stop.signal.aborted) throw error;
    throw new KeylineError('USAGE', `Stopped; nothing is left in ${data}.`, { cause: error });
  } finally {
    bar.clear();
    release();
  }
  if (options.json === true) {
    const { files: _files, ...rest } = restored.manifest;
    printJson(context, { data, ...rest, migrated: restored.migrated ?? null });
    return;
  }
  terminal.out(describe(data, restored, options));
}

function describe(
  data: string,
  { manifest, migrated }: Restored,
  { crl = [], data: given }: RestoreOptions,
): string {
  const config = join(data, configurationName);
  // Where keyline.yaml is, it names its configuration.
  const isNamed = existsSync(layoutOf(data).settings);
  const configOption =
    isNamed || !existsSync(config)
      ? ''
      : ` --config ${quoteForShell(join(given, configurationName))}`;
  const start =
    manifest.kind === 'plant'
      ? `  keyline up --data ${quoteForShell(given)}${configOption}
  keyline doctor --endpoints ${quoteForShell(`${given.replace(/\/+$/, '')}/endpoints.json`)}`
      : `  keyline-ca serve --data ${quoteForShell(given)}${configOption}  (with the addresses and ports it had)`;
  return `${formatFacts([
    ['restored', `${data}, as of ${manifest.createdAt}`],
    ['database', describeDatabase(manifest)],
    ['migrated', migrated && `from version ${String(migrated.from)} to ${String(migrated.to)}`],
    ['CRLs', describeLists(manifest.database.crlNumbers)],
    ['newer CRLs', crl.length === 0 ? 'none were given' : crl.join(', ')],
  ])}
The old folder and this one must never serve both: make sure that the old service is stopped for good.
What happened after the backup is recovered at the first start, from newer CRLs${
    crl.length === 0 ? ' (give them with --crl)' : ''
  }, brokers and devices; what nobody remembers is held until a person decides.

Next:
${start}
`;
}
