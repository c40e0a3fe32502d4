// `keyline backup`: by hand into a file, or into a folder in which the newest are kept.
import { existsSync } from 'node:fs';
import { hostname } from 'node:os';
import { join, resolve } from 'node:path';
import {
  backupName,
  configurationName,
  findBackupSource,
  makeBackup,
  readBackupStatus,
  removeOldBackups,
  writeBackupStatus,
  type BackupSource,
  type BackupStatus,
  type MadeBackup,
} from '@keyline/backup';
import { loadPlantConfig, type PlantConfig } from '@keyline/config';
import { createFolder } from '@keyline/files';
import { isKeylineError, KeylineError, messageOf, version } from '@keyline/kernel';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { createProgressBar } from '../print/progress-bar.ts';
import { formatFacts } from '../print/table.ts';
import { layoutOf } from '../up/layout.ts';
import { defaultConfig } from '../up/programs.ts';
import { findLock, type LockOptions } from './backup-keys.ts';

export interface MakeOptions extends LockOptions, JsonOption {
  readonly data: string;
  readonly out?: string;
  readonly scheduled?: boolean;
  readonly folder?: string;
  readonly keep?: number;
  readonly config?: string;
  readonly includeRoot?: boolean;
  readonly includePassphrase?: boolean;
}

interface Order extends LockOptions {
  /** Absolute. */
  readonly target:
    | { readonly file: string }
    | { readonly folder: string; readonly keep: number; readonly plant: string };
  readonly includeRoot: boolean;
  /** Milliseconds; undefined: as it was. */
  readonly alertAfter: number | undefined;
}

const defaultKeep = 14;

export async function runBackup(context: CliContext, options: MakeOptions): Promise<void> {
  const source = await findBackupSource(resolve(context.cwd, options.data));
  const plant = await loadPlant(source);
  const order = orderOf(context, options, plant);
  const stop = new AbortController();
  const release = context.onStopSignal(() => {
    stop.abort();
  });
  const done = noteIn(source, order, context);
  try {
    const out = await outOf(order, context.clock.now());
    const made = await make(context, { options, source, plant, order, out, signal: stop.signal });
    await done.good(out, made);
    if ('folder' in order.target) {
      const { folder, plant: name, keep } = order.target;
      await removeOldBackups(folder, name, keep);
    }
    describe(context, options, { out, made, source });
  } catch (error) {
    if (stop.signal.aborted) {
      throw new KeylineError('USAGE', 'Stopped; no backup was made.', { cause: error });
    }
    await done.failed(error);
    throw error;
  } finally {
    release();
  }
}

async function loadPlant({ kind, folder }: BackupSource): Promise<PlantConfig | undefined> {
  const { settings } = layoutOf(folder);
  return kind === 'plant' && existsSync(settings) ? loadPlantConfig(settings) : undefined;
}

/** @throws {KeylineError} USAGE, CONFIG_INVALID */
function orderOf({ cwd }: CliContext, options: MakeOptions, plant: PlantConfig | undefined): Order {
  const { out, folder, scheduled = false, keep = defaultKeep, includeRoot = false } = options;
  if ([out, folder, scheduled || undefined].filter((one) => one !== undefined).length !== 1) {
    throw new KeylineError(
      'USAGE',
      'Say where the backup goes: --out FILE, --folder DIR, or --scheduled for what keyline.yaml says.',
    );
  }
  const name = plant?.hosts[0] ?? hostname();
  const lock = { passphraseFile: options.passphraseFile, recipient: options.recipient };
  if (out !== undefined) {
    return { ...lock, target: { file: resolve(cwd, out) }, includeRoot, alertAfter: undefined };
  }
  if (folder !== undefined) {
    const target = { folder: resolve(cwd, folder), keep, plant: name };
    return { ...lock, target, includeRoot, alertAfter: undefined };
  }
  const { backup } = plant ?? {};
  if (backup === undefined) {
    throw new KeylineError(
      'CONFIG_INVALID',
      `There is no section "backup" in keyline.yaml of ${options.data}. Write one (folder, every, keep, passphraseFile or recipients), or give --folder DIR.`,
    );
  }
  return {
    passphraseFile: options.passphraseFile ?? backup.passphraseFile,
    recipient: options.recipient ?? backup.recipients,
    target: { folder: backup.folder, keep: options.keep ?? backup.keep, plant: name },
    includeRoot: includeRoot || backup.root,
    alertAfter: backup.alertAfter,
  };
}

async function outOf({ target }: Order, now: number): Promise<string> {
  if ('file' in target) return target.file;
  await createFolder(target.folder, 0o700);
  return join(target.folder, backupName(target.plant, now));
}

async function make(
  context: CliContext,
  given: {
    readonly options: MakeOptions;
    readonly source: BackupSource;
    readonly plant: PlantConfig | undefined;
    readonly order: Order;
    readonly out: string;
    readonly signal: AbortSignal;
  },
): Promise<MadeBackup> {
  const { options, source, plant, order, out, signal } = given;
  const { cwd, terminal, clock } = context;
  const config =
    options.config === undefined ? (plant?.config ?? defaultConfig) : resolve(cwd, options.config);
  if (!existsSync(join(config, 'service.yaml'))) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `${config} is no configuration: it has no service.yaml. Give the folder in use with --config.`,
    );
  }
  const lock = await findLock(context, order);
  const bar = createProgressBar(terminal, 100);
  const { target, passphraseFile } = order;
  try {
    return await makeBackup({
      ...{ source, out, lock, config, signal, version },
      includeRoot: order.includeRoot,
      includePassphrase: options.includePassphrase ?? false,
      leaveOut: [
        // Neither itself, nor what opens it.
        ...('folder' in target ? [target.folder] : []),
        ...(passphraseFile === undefined ? [] : [resolve(cwd, passphraseFile)]),
        ...(plant?.backup === undefined ? [] : [plant.backup.folder]),
        ...(plant?.backup?.passphraseFile === undefined ? [] : [plant.backup.passphraseFile]),
      ],
      now: clock.now(),
      onProgress: (share) => {
        bar.advanceTo(Math.floor(share * 100));
      },
    });
  } finally {
    bar.clear();
  }
}

/** Keeps what alerts are made of. */
function noteIn(
  { caFolder }: BackupSource,
  { alertAfter }: Order,
  { clock, terminal }: CliContext,
): {
  good(file: string, made: MadeBackup): Promise<void>;
  failed(error: unknown): Promise<void>;
} {
  const before = readBackupStatus(caFolder);
  const now = clock.now();
  const status: BackupStatus = {
    ...(before === undefined || before === 'unreadable'
      ? { version: 1, alertAfter: null, since: now, last: null, failure: null }
      : before),
    ...(alertAfter === undefined ? {} : { alertAfter }),
  };
  return {
    async good(file, { manifest, bytes }) {
      const last = { at: now, file, bytes, ledgerSeq: manifest.database.ledger.seq };
      await writeBackupStatus(caFolder, { ...status, last, failure: null });
    },
    async failed(error) {
      const message = isKeylineError(error) ? error.detail : messageOf(error);
      try {
        await writeBackupStatus(caFolder, { ...status, failure: { at: now, message } });
      } catch (cause) {
        terminal.err(`The failure could not be noted for the alerts: ${messageOf(cause)}\n`);
      }
    },
  };
}

function describe(
  context: CliContext,
  { json, includePassphrase = false }: MakeOptions,
  { out, made, source }: { out: string; made: MadeBackup; source: BackupSource },
): void {
  const { manifest, bytes } = made;
  if (json === true) {
    const { files: _files, ...rest } = manifest;
    printJson(context, { file: out, bytes, ...rest });
    return;
  }
  const { database, root } = manifest;
  context.terminal.out(
    `${formatFacts([
      ['backup', `${out} (${formatBytes(bytes)}, ${String(manifest.files.length)} files)`],
      ['database', describeDatabase(manifest)],
      [
        'broker',
        manifest.files.some(({ path }) => path.startsWith('broker/'))
          ? 'its rights, sessions and retained messages'
          : 'not in this folder',
      ],
      [
        'configuration',
        manifest.files.some(({ path }) => path.startsWith(`${configurationName}/`))
          ? configurationName
          : 'in the data folder',
      ],
      ['root', root ? 'in it' : 'not in it'],
      ['CRLs', describeLists(database.crlNumbers)],
    ])}${
      includePassphrase
        ? ''
        : `\nNot in it: the passphrase of the issuing keys. Keep a copy of ${source.passphraseFile} in another place: without it, the backup can't be restored.\n`
    }
Prove it, with the copy of that passphrase:
  keyline backup verify ${out}
`,
  );
}

export function describeDatabase({
  database,
}: {
  readonly database: Pick<
    MadeBackup['manifest']['database'],
    'devices' | 'certificates' | 'ledger'
  >;
}): string {
  const { devices, certificates, ledger } = database;
  return `${String(devices)} devices, ${String(certificates)} certificates; ledger entry ${String(ledger.seq)}${ledger.at === null ? '' : ` of ${ledger.at}`}`;
}

export function describeLists(numbers: Readonly<Record<string, number>>): string {
  const lists = Object.entries(numbers).map(([list, number]) => `${list} ${String(number)}`);
  return lists.length === 0 ? 'none yet' : lists.slice(0, 10).join(', ');
}

export function formatBytes(bytes: number): string {
  return bytes < 1_048_576
    ? `${String(Math.ceil(bytes / 1024))} KiB`
    : `${(bytes / 1_048_576).toFixed(1)} MiB`;
}
