// Loads ca-config and checks all of it before anything starts: shapes, then what must hold between the files.
import {
  assertTopicFilter,
  serviceTypeOf,
  type DeviceType,
  type DeviceTypes,
  type Role,
  type RoleSource,
  type Roles,
} from '@keyline/access';
import type { AlertRules } from '@keyline/alerts';
import { isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import type { Profile, Profiles } from '@keyline/pki';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { findAlertFaults, toAlertRules } from './alert-rules.ts';
import { findProfileFaults } from './check-profile.ts';
import { checkSchema, type Checked } from './check-schema.ts';
import { suggest } from './nearest.ts';
import { createListLoader } from './load-list.ts';
import type { ConfigMistake, Part } from './mistakes.ts';
import { formatProblem, reportFaults, toConfigError, type ConfigProblem } from './problem.ts';
import type { ConfigSchemaName } from './schemas/index.ts';
import { findServiceRoleFaults, isForServices, serviceTypeFor } from './service-roles.ts';
import {
  findServiceFaults,
  toServiceConfig,
  type Fault,
  type ServiceConfig,
} from './service-config.ts';
import { findTargetFaults, toTargetConfigs, type TargetConfig } from './target-config.ts';
import { loadYamlFile, type YamlFile } from './yaml-file.ts';

export interface KeylineConfig {
  readonly profiles: Profiles;
  readonly roles: Roles;
  readonly types: DeviceTypes;
  readonly alerts: AlertRules;
  readonly service: ServiceConfig;
  readonly targets: readonly TargetConfig[];
  /** Targets and channels that are left out because something is wrong with them. */
  readonly mistakes: readonly ConfigMistake[];
}

interface Loaded<Value> {
  readonly yaml: YamlFile;
  readonly value: Value;
}

const targetsFile = 'targets.yaml';
const targetPart: Part = { part: 'target', path: ['targets'] };
const channelPart: Part = { part: 'channel', path: ['channels', 'webhooks'] };

const mostFiles = 1000;

/**
 * What is wrong with one target or one channel of alerts stops nothing else: it is left out, and told of. Whoever checks the configuration
 * hears of it as of everything else.
 * @param dir a folder laid out like ca-config
 * @throws {KeylineError} CONFIG_INVALID with every problem, each with file, line and column; FILE_NOT_FOUND for the folder
 */
export async function loadConfig(
  dir: string,
  { strict = false }: { readonly strict?: boolean } = {},
): Promise<KeylineConfig> {
  const problems: ConfigProblem[] = [];
  const mistakes: ConfigMistake[] = [];
  const lists = createListLoader({ dir, strict, problems, mistakes });
  const load = async <Name extends ConfigSchemaName>(
    name: Name,
    file: string,
  ): Promise<Loaded<Checked<Name>> | undefined> => {
    const loaded = await loadYamlFile(join(dir, file), file);
    if ('problems' in loaded) {
      problems.push(...loaded.problems);
      return undefined;
    }
    const checked = checkSchema(name, loaded.yaml);
    if ('value' in checked) return { yaml: loaded.yaml, value: checked.value };
    problems.push(...checked.problems);
    return undefined;
  };
  const loadFolder = async <Name extends ConfigSchemaName>(
    name: Name,
    folder: string,
  ): Promise<Loaded<Checked<Name>>[]> => {
    const files = await listYamlFiles(dir, folder, problems);
    const loaded = await Promise.all(files.map((file) => load(name, file)));
    return loaded.filter((each) => each !== undefined);
  };

  await assertFolder(dir);
  const [profileFiles, roleFiles, types, alerts, service, targets] = await Promise.all([
    loadFolder('profile', 'profiles'),
    loadFolder('role', 'roles'),
    load('types', 'types.yaml'),
    lists.load('alerts', 'alerts.yaml', channelPart),
    load('service', 'service.yaml'),
    lists.load('targets', targetsFile, targetPart),
  ]);
  if (!strict && targets === undefined) leaveTargetsOut(problems, mistakes);
  const broken = new Set(problems.map(({ file }) => file));

  const profiles = new Map<string, Profile>();
  const roles = new Map<string, Role>();
  for (const { yaml, value } of profileFiles) {
    // The schema's Static type has optional keys where Profile has unions; minProperties/maxProperties make them the same.
    const profile = value as Profile;
    reportFaults(problems, yaml, [
      ...findFileNameFaults(yaml, profile.name),
      ...findProfileFaults(profile),
    ]);
    profiles.set(profile.name, profile);
  }
  for (const { yaml, value } of roleFiles) {
    reportFaults(problems, yaml, [
      ...findFileNameFaults(yaml, value.name),
      ...findFilterFaults(value),
      ...findServiceRoleFaults(value, { profiles, broken }),
    ]);
    roles.set(value.name, { ...value, source: sourceOf(yaml, value) });
  }
  const written = targets === undefined ? [] : toTargetConfigs(targets.value, dir);
  const targetConfigs =
    targets === undefined ? [] : lists.settle(targets, written, findTargetFaults(written));
  const deviceTypes = new Map<string, DeviceType>();
  // A mistake in a target is told as its own.
  const brokerNames =
    targets === undefined
      ? undefined
      : ['broker', ...[...written, ...mistakes].map(({ name }) => name)];
  if (types !== undefined) {
    reportFaults(
      problems,
      types.yaml,
      findTypeFaults(types.value.types, { profiles, roles, broken }),
    );
    reportFaults(problems, types.yaml, findBrokerFaults(types.value.types, brokerNames));
    for (const type of types.value.types) deviceTypes.set(type.name, type);
  }
  for (const role of roles.values()) {
    if (isForServices(role)) deviceTypes.set(serviceTypeOf(role.name), serviceTypeFor(role));
  }
  const rules = alerts && toAlertRules(alerts.value, dir);
  const alertRules: AlertRules | undefined = rules && {
    ...rules,
    channels: {
      ...rules.channels,
      webhooks: lists.settle(alerts, rules.channels.webhooks, findAlertFaults(rules)),
    },
  };
  const serviceConfig = service && toServiceConfig(service.value);
  if (service && serviceConfig)
    reportFaults(problems, service.yaml, findServiceFaults(serviceConfig));

  if (problems.length > 0 || !alertRules || !serviceConfig) {
    throw toConfigError(dir, problems);
  }
  return {
    profiles,
    roles,
    types: deviceTypes,
    alerts: alertRules,
    service: serviceConfig,
    targets: targetConfigs,
    mistakes,
  };
}

/** No target is known of a file that can't be read: that is told as the mistake of one. */
function leaveTargetsOut(problems: ConfigProblem[], mistakes: ConfigMistake[]): void {
  const own = problems.filter(({ file }) => file === targetsFile);
  problems.splice(0, problems.length, ...problems.filter(({ file }) => file !== targetsFile));
  mistakes.push({
    part: 'target',
    name: targetsFile,
    detail: own.map(formatProblem).join('; '),
  });
}

async function assertFolder(dir: string): Promise<void> {
  try {
    await readdir(dir);
  } catch (cause) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `There is no readable configuration folder at ${dir} (${messageOf(cause)}). Copy ca-config from the project, or name another with --config.`,
      { cause },
    );
  }
}

async function listYamlFiles(
  dir: string,
  folder: string,
  problems: ConfigProblem[],
): Promise<string[]> {
  const whole = (message: string): string[] => {
    problems.push({ file: `${folder}/`, line: 0, column: 0, message });
    return [];
  };
  let names;
  try {
    names = await readdir(join(dir, folder));
  } catch {
    return whole('the folder is missing');
  }
  const visible = names.filter((name) => !name.startsWith('.')).toSorted();
  for (const name of visible) {
    // A file that is skipped without a word is a rule that somebody believes in.
    if (!name.endsWith('.yaml')) whole(`"${name}" is no .yaml file; rename or remove it`);
  }
  const files = visible.filter((name) => name.endsWith('.yaml')).map((name) => `${folder}/${name}`);
  if (files.length === 0) return whole('the folder holds no .yaml file');
  if (files.length > mostFiles)
    return whole(`the folder holds more than ${String(mostFiles)} files`);
  return files;
}

function sourceOf(yaml: YamlFile, { publish, subscribe }: Role): RoleSource {
  const linesOf = (key: 'publish' | 'subscribe', count: number): number[] =>
    Array.from({ length: count }, (_none, position) => yaml.at([key, position]).line);
  return {
    file: yaml.file,
    line: yaml.atKey([], 'name').line,
    lists: { publish: yaml.atKey([], 'publish').line, subscribe: yaml.atKey([], 'subscribe').line },
    publish: linesOf('publish', publish.length),
    subscribe: linesOf('subscribe', subscribe.length),
  };
}

/** Names equal file names, so names are unique and an error's file is found at once. */
function findFileNameFaults(yaml: YamlFile, name: string): Fault[] {
  const expected = basename(yaml.file, '.yaml');
  return name === expected
    ? []
    : [
        {
          path: ['name'],
          message: `it is "${name}", but the file is ${expected}.yaml; make them equal`,
        },
      ];
}

function findFilterFaults(role: Role): Fault[] {
  return (['publish', 'subscribe'] as const).flatMap((key) =>
    role[key].flatMap((filter, position) => {
      try {
        assertTopicFilter(filter, key);
        return [];
      } catch (error) {
        if (!isKeylineError(error)) throw error;
        return [{ path: [key, position], message: error.detail }];
      }
    }),
  );
}

/** @param known undefined: the file of brokers can't be read, which is told as its own */
function findBrokerFaults(
  types: readonly DeviceType[],
  known: readonly string[] | undefined,
): Fault[] {
  if (known === undefined) return [];
  return types.flatMap(({ broker }, position) =>
    broker === undefined || known.includes(broker)
      ? []
      : [
          {
            path: ['types', position, 'broker'],
            message: `there is no broker "${broker}"${suggest(broker, known)}`,
          },
        ],
  );
}

function findTypeFaults(
  types: readonly DeviceType[],
  { profiles, roles, broken }: { profiles: Profiles; roles: Roles; broken: ReadonlySet<string> },
): Fault[] {
  const faults: Fault[] = [];
  const seen = new Set<string>();
  const ofDevices = [...roles.values()].flatMap((role) => (isForServices(role) ? [] : role.name));
  for (const [position, type] of types.entries()) {
    const path = (key: string): Fault['path'] => ['types', position, key];
    if (seen.has(type.name)) {
      faults.push({ path: path('name'), message: `a type "${type.name}" is there already` });
    }
    seen.add(type.name);
    const profile = profiles.get(type.profile);
    if (profile === undefined) {
      // A file that has errors of its own was reported already.
      if (!broken.has(`profiles/${type.profile}.yaml`)) {
        const known = [...profiles.values()].filter(({ kind }) => kind === 'device');
        const names = known.map(({ name }) => name);
        faults.push({
          path: path('profile'),
          message: `there is no profile "${type.profile}"${suggest(type.profile, names)}`,
        });
      }
    } else if (profile.kind !== 'device') {
      faults.push({
        path: path('profile'),
        message: `the profile "${type.profile}" is of kind ${profile.kind}; a type needs one of kind device`,
      });
    }
    const role = roles.get(type.role);
    if (role !== undefined && isForServices(role)) {
      faults.push({
        path: path('role'),
        message: `the role "${type.role}" is for services; a device can't have it`,
      });
    }
    if (role === undefined && !broken.has(`roles/${type.role}.yaml`)) {
      faults.push({
        path: path('role'),
        message: `there is no role "${type.role}"${suggest(type.role, ofDevices)}`,
      });
    }
  }
  return faults;
}
