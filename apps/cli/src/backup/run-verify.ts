// `keyline backup verify`: whether a backup would help.
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { verifyBackup } from '@keyline/backup';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { createProgressBar } from '../print/progress-bar.ts';
import { formatFacts } from '../print/table.ts';
import { findKey, issuingPassphrase, type KeyOptions } from './backup-keys.ts';
import { describeDatabase, describeLists, formatBytes } from './run-backup.ts';

export interface VerifyOptions extends KeyOptions, JsonOption {
  readonly work?: string;
}

export async function runVerify(
  context: CliContext,
  name: string,
  options: VerifyOptions,
): Promise<void> {
  const file = resolve(context.cwd, name);
  const key = await findKey(context, options);
  const bar = createProgressBar(context.terminal, 100);
  const ask = issuingPassphrase(context, options);
  let manifest;
  try {
    manifest = await verifyBackup({
      ...{ file, key },
      askPassphrase: () => {
        bar.clear();
        return ask();
      },
      work: options.work === undefined ? undefined : resolve(context.cwd, options.work),
      onProgress: (share) => {
        bar.advanceTo(Math.floor(share * 100));
      },
    });
  } finally {
    bar.clear();
  }
  const { size } = await stat(file);
  if (options.json === true) {
    const { files: _files, ...rest } = manifest;
    printJson(context, { ok: true, file, bytes: size, ...rest });
    return;
  }
  context.terminal.out(
    `${formatFacts([
      [
        'backup',
        `${file} (${formatBytes(size)}) of ${manifest.createdAt}, Keyline ${manifest.keyline}`,
      ],
      ['database', describeDatabase(manifest)],
      ['CRLs', describeLists(manifest.database.crlNumbers)],
      ['root', manifest.root ? 'in it' : 'not in it'],
    ])}
It is whole: ${String(manifest.files.length)} files with the hashes of its manifest, a sound database, and issuing keys that their passphrase opens.
`,
  );
}
