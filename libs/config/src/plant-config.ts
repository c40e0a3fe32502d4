// keyline.yaml: loads and checks what belongs to this machine, and says what keyline-broker is called with for it.
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { createSecureContext } from 'node:tls';
import { Duration, messageOf, parseDuration } from '@keyline/kernel';
import { brokerLimits, type BrokerLimitName } from './broker-limits.ts';
import { checkSchema, type Checked } from './check-schema.ts';
import { findHostFault, findListenFault, normalizeHost } from './host-name.ts';
import { reportFaults, toConfigError, type ConfigProblem } from './problem.ts';
import type { Fault } from './service-config.ts';
import { loadYamlFile } from './yaml-file.ts';

interface BackupConfig {
  /** Absolute. */
  readonly folder: string;
  /** Milliseconds. */
  readonly every: number;
  readonly keep: number;
  /** Milliseconds; absent: three times `every`. */
  readonly alertAfter: number;
  /** Absolute. */
  readonly passphraseFile?: string | undefined;
  readonly recipients?: readonly string[] | undefined;
  readonly root: boolean;
}

export interface PlantConfig {
  /** The first stands in URLs. Normalized. */
  readonly hosts: readonly string[];
  readonly listen: string;
  readonly ports: {
    readonly api: number;
    readonly http: number;
    readonly broker: number;
    readonly metrics?: number | undefined;
  };
  /** Absolute folder laid out as ca-config; undefined: the one that comes with Keyline. */
  readonly config: string | undefined;
  readonly root: 'here' | 'offline';
  readonly apiTlsVersion: '1.2' | '1.3' | undefined;
  readonly broker: {
    readonly engine: 'embedded' | 'mosquitto';
    /** Ports beside that of MQTT over TLS, with what each is for. */
    readonly ports: readonly { readonly what: string; readonly port: number }[];
    /** For keyline-broker. */
    readonly args: readonly string[];
  };
  readonly logs: { readonly fileBytes?: number | undefined; readonly files?: number | undefined };
  readonly backup: BackupConfig | undefined;
}

/**
 * @param path of a keyline.yaml
 * @throws {KeylineError} CONFIG_INVALID with every problem, each with line and column
 */
export async function loadPlantConfig(path: string): Promise<PlantConfig> {
  const dir = dirname(resolve(path));
  const loaded = await loadYamlFile(path, basename(path));
  if ('problems' in loaded) throw toConfigError(dir, loaded.problems);
  const checked = checkSchema('keyline', loaded.yaml);
  if ('problems' in checked) throw toConfigError(dir, checked.problems);
  const problems: ConfigProblem[] = [];
  reportFaults(problems, loaded.yaml, findPlantFaults(checked.value));
  if (problems.length > 0) throw toConfigError(dir, problems);
  return toPlantConfig(checked.value, dir);
}

type Raw = Checked<'keyline'>;

function toPlantConfig(raw: Raw, dir: string): PlantConfig {
  const at = (file: string): string => (isAbsolute(file) ? file : join(dir, file));
  const { backup } = raw;
  return {
    hosts: raw.hosts.map(normalizeHost),
    listen: raw.listen,
    ports: raw.ports,
    config: raw.config === undefined ? undefined : at(raw.config),
    root: raw.root ?? 'here',
    apiTlsVersion: tlsVersionOf(raw.api?.tls?.minVersion),
    broker: {
      engine: raw.broker?.engine ?? 'embedded',
      ports: brokerPortsOf(raw),
      args: brokerArgumentsOf(raw, at),
    },
    logs: raw.logs ?? {},
    backup:
      backup === undefined || backup === null
        ? undefined
        : {
            folder: at(backup.folder),
            every: parseDuration(backup.every),
            keep: backup.keep,
            alertAfter:
              backup.alertAfter === undefined
                ? 3 * parseDuration(backup.every)
                : parseDuration(backup.alertAfter),
            ...(backup.passphraseFile === undefined
              ? {}
              : { passphraseFile: at(backup.passphraseFile) }),
            ...(backup.recipients === undefined ? {} : { recipients: backup.recipients }),
            root: backup.root ?? false,
          },
  };
}

/** YAML reads it as a number where there are no quotes. */
function tlsVersionOf(version: '1.2' | '1.3' | number | undefined): '1.2' | '1.3' | undefined {
  if (version === undefined) return undefined;
  return String(version) === '1.3' ? '1.3' : '1.2';
}

function brokerPortsOf({ broker }: Raw): { what: string; port: number }[] {
  return (
    [
      ['MQTT over WebSocket', broker?.websocketPort],
      ['the broker, with passwords', broker?.passwordPort],
    ] as const
  ).flatMap(([what, port]) => (port === undefined ? [] : [{ what, port }]));
}

function brokerArgumentsOf({ broker }: Raw, at: (file: string) => string): string[] {
  const option = (name: string, value: number | string | undefined): string[] =>
    value === undefined ? [] : [`--${name}`, String(value)];
  const list = (values: readonly string[] | undefined): string | undefined => values?.join(':');
  const tls = broker?.tls;
  return [
    ...option('mosquitto', broker?.mosquitto === undefined ? undefined : at(broker.mosquitto)),
    ...option('websocket-port', broker?.websocketPort),
    ...option('password-port', broker?.passwordPort),
    ...option('tls-version', tlsVersionOf(tls?.minVersion)),
    ...option('tls-groups', list(tls?.groups)),
    ...option('tls-signature-algorithms', list(tls?.signatureAlgorithms)),
    ...option('ciphers', list(tls?.ciphers)),
    ...Object.entries(broker?.limits ?? {}).flatMap(([name, value]) =>
      option(kebab(name), limitValue(name as BrokerLimitName, value)),
    ),
  ];
}

const kebab = (name: string): string =>
  name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

function limitValue(name: BrokerLimitName, value: number | string): number {
  if (typeof value === 'number') return value;
  const milliseconds = parseDuration(value);
  return brokerLimits[name].unit === 'seconds' ? Math.ceil(milliseconds / 1000) : milliseconds;
}

function findPlantFaults(raw: Raw): Fault[] {
  const faults: Fault[] = [];
  const fault = (path: Fault['path'], message: string | undefined): void => {
    if (message !== undefined) faults.push({ path, message });
  };
  const seen = new Set<string>();
  for (const [position, host] of raw.hosts.entries()) {
    const wrong = findHostFault(host);
    fault(['hosts', position], wrong);
    if (wrong === undefined && seen.has(normalizeHost(host))) {
      fault(['hosts', position], `"${host}" is there already`);
    }
    seen.add(normalizeHost(host));
  }
  fault(['listen'], findListenFault(raw.listen));
  faults.push(...findPortFaults(raw), ...findBrokerFaults(raw), ...findBackupFaults(raw));
  return faults;
}

function findPortFaults(raw: Raw): Fault[] {
  const places: (readonly [readonly string[], number | undefined])[] = [
    ...(['api', 'http', 'broker', 'metrics'] as const).map(
      (name) => [['ports', name], raw.ports[name]] as const,
    ),
    [['broker', 'websocketPort'], raw.broker?.websocketPort],
    [['broker', 'passwordPort'], raw.broker?.passwordPort],
  ];
  const taken = new Map<number, string>();
  return places.flatMap(([path, port]) => {
    if (port === undefined) return [];
    const by = taken.get(port);
    taken.set(port, path.join('.'));
    return by === undefined
      ? []
      : [{ path, message: `port ${String(port)} is that of ${by} already` }];
  });
}

/** What keyline-broker would refuse with these, said where it stands. */
function findBrokerFaults({ broker }: Raw): Fault[] {
  const faults: Fault[] = [];
  const { engine = 'embedded', mosquitto, passwordPort, websocketPort, tls } = broker ?? {};
  if (engine === 'embedded' && mosquitto !== undefined) {
    faults.push({ path: ['broker', 'mosquitto'], message: 'it goes with engine: mosquitto' });
  }
  for (const [name, port] of Object.entries({ passwordPort, websocketPort })) {
    if (engine === 'mosquitto' && port !== undefined) {
      faults.push({ path: ['broker', name], message: 'it goes with engine: embedded' });
    }
  }
  for (const [name, option] of [
    ['groups', 'ecdhCurve'],
    ['signatureAlgorithms', 'sigalgs'],
    ['ciphers', 'ciphers'],
  ] as const) {
    const list = tls?.[name];
    if (list === undefined) continue;
    try {
      createSecureContext({ [option]: list.join(':') });
    } catch (error) {
      faults.push({
        path: ['broker', 'tls', name],
        message: `OpenSSL knows no such list (${messageOf(error)})`,
      });
    }
  }
  for (const [name, value] of Object.entries(broker?.limits ?? {})) {
    if (typeof value !== 'string') continue;
    const milliseconds = parseDuration(value);
    if (milliseconds < Duration.seconds(1) || milliseconds > Duration.days(100 * 366)) {
      faults.push({ path: ['broker', 'limits', name], message: 'it must be 1s or more' });
    }
  }
  return faults;
}

function findBackupFaults({ backup }: Raw): Fault[] {
  if (backup === undefined || backup === null) return [];
  const faults: Fault[] = [];
  if ((backup.passphraseFile === undefined) === (backup.recipients === undefined)) {
    faults.push({
      path: ['backup'],
      message:
        'give passphraseFile or recipients, one of them: a backup holds keys and is always encrypted',
    });
  }
  if (parseDuration(backup.every) < Duration.minutes(1)) {
    faults.push({ path: ['backup', 'every'], message: 'it must be 1m or more' });
  }
  if (
    backup.alertAfter !== undefined &&
    parseDuration(backup.alertAfter) <= parseDuration(backup.every)
  ) {
    faults.push({ path: ['backup', 'alertAfter'], message: 'it must be longer than every' });
  }
  return faults;
}
