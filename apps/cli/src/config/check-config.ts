// `keyline config check`: everything that would be found at the start, and what would be found only later, without starting anything.
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { loadAlertChannels } from '@keyline/alerts';
import { loadConfig, loadPlantConfig, type KeylineConfig, type PlantConfig } from '@keyline/config';
import { readSecretFile } from '@keyline/files';
import { isKeylineError, KeylineError, quoteForShell } from '@keyline/kernel';
import { loadCredentials } from '@keyline/targets';
import { printJson, type CliContext, type JsonOption } from '../context.ts';
import { formatFacts } from '../print/table.ts';
import { layoutOf } from '../up/layout.ts';
import { defaultConfig } from '../up/programs.ts';

export interface CheckConfigOptions extends JsonOption {
  readonly data?: string;
  readonly config?: string;
}

/** @throws {KeylineError} CONFIG_INVALID naming every mistake of every file, FILE_NOT_FOUND */
export async function checkConfig(context: CliContext, options: CheckConfigOptions): Promise<void> {
  const { settings } = layoutOf(resolve(context.cwd, options.data ?? '.keyline'));
  const failures: string[] = [];
  const attempt = async <Value>(work: () => Promise<Value>): Promise<Value | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (!isKeylineError(error)) throw error;
      failures.push(error.detail);
      return undefined;
    }
  };
  const isThere = existsSync(settings);
  if (!isThere && options.config === undefined && options.data !== undefined) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `There is no ${settings}. "keyline init --data ${quoteForShell(options.data)}" makes one; --config DIR checks a folder laid out as ca-config alone.`,
    );
  }
  const plant = isThere ? await attempt(() => loadPlantConfig(settings)) : undefined;
  const folder =
    options.config === undefined
      ? (plant?.config ?? defaultConfig)
      : resolve(context.cwd, options.config);
  // What can't be read says nothing of where the rest is.
  const config =
    isThere && plant === undefined && options.config === undefined
      ? undefined
      : await attempt(() => loadConfig(folder, { strict: true }));
  const secret = plant?.backup?.passphraseFile;
  if (secret !== undefined) {
    await attempt(() => readSecretFile(context.cwd, secret, 'passphrase file of the backups'));
  }
  if (config !== undefined) {
    failures.push(...(await findFileFaults(config)));
  }
  if (failures.length > 0) {
    throw new KeylineError('CONFIG_INVALID', failures.join('\n'), {
      context: { errors: failures.length },
    });
  }
  report(context, options, { settings: isThere ? settings : undefined, plant, folder, config });
}

/** Files that targets and channels name: whether they are there, private where they must be, and what they should be. */
async function findFileFaults({ targets, alerts }: KeylineConfig): Promise<string[]> {
  const faults: string[] = [];
  const attempt = async (work: () => Promise<unknown>): Promise<void> => {
    try {
      await work();
    } catch (error) {
      if (!isKeylineError(error)) throw error;
      faults.push(error.detail);
    }
  };
  const own = { ca: '', cert: '', key: '' };
  for (const target of targets) await attempt(() => loadCredentials(target, () => own));
  const nobody = (): void => undefined;
  const log = { info: nobody, warn: nobody, error: nobody };
  for (const webhook of alerts.channels.webhooks) {
    await attempt(() => loadAlertChannels({ log: false, webhooks: [webhook] }, { log }));
  }
  return faults;
}

function report(
  context: CliContext,
  options: CheckConfigOptions,
  found: {
    readonly settings: string | undefined;
    readonly plant: PlantConfig | undefined;
    readonly folder: string;
    readonly config: KeylineConfig | undefined;
  },
): void {
  const { settings, plant, folder, config } = found;
  if (config === undefined) return;
  const { profiles, roles, types, targets, alerts } = config;
  const names = (all: Iterable<string>): string => [...all].join(', ') || 'none';
  // Beside them each role for services makes one of its own, "service:" and its name.
  const deviceTypes = [...types.keys()].filter((name) => !name.includes(':'));
  const channels = [
    ...(alerts.channels.log ? ['log'] : []),
    ...alerts.channels.webhooks.map(({ name }) => name),
  ];
  if (options.json === true) {
    printJson(context, {
      ok: true,
      settings: settings ?? null,
      hosts: plant?.hosts ?? null,
      config: folder,
      profiles: [...profiles.keys()],
      roles: [...roles.keys()],
      types: deviceTypes,
      targets: targets.map(({ name }) => name),
      channels,
    });
    return;
  }
  context.terminal.out(
    `${formatFacts([
      ...(plant === undefined || settings === undefined
        ? []
        : ([
            ['settings', settings],
            ['names', plant.hosts.join(', ')],
          ] as const)),
      ['folder', folder],
      ['profiles', names(profiles.keys())],
      ['roles', names(roles.keys())],
      ['device types', names(deviceTypes)],
      ['brokers of yours', names(targets.map(({ name }) => name))],
      ['alerts go to', names(channels)],
    ])}\nThe configuration is valid.\n`,
  );
}
