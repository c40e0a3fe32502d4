// Roles and device types as they run: taken up from their files at the start and again when they are applied. A file with a mistake changes
// nothing.
import { isDeepStrictEqual } from 'node:util';
import type { DeviceType, DeviceTypes, Role, Roles } from '@keyline/access';
import { loadConfig, type KeylineConfig } from '@keyline/config';
import { isKeylineError, KeylineError } from '@keyline/kernel';

export interface LiveAccess {
  /** The same maps for as long as the service runs; what is in them changes. */
  readonly roles: Roles;
  readonly types: DeviceTypes;
  /** Where the files are. */
  readonly folder: string;
  /**
   * What is in the files now, compared with what runs.
   * @throws {KeylineError} CONFIG_INVALID with file and line of every mistake, FILE_NOT_FOUND
   */
  read(): Promise<ReadAccess>;
}

export interface ReadAccess {
  /** `role:device`, `type:sensor`: those that are new, gone or different. */
  readonly changed: readonly string[];
  /** Other parts of the configuration that differ, and wait for a restart. */
  readonly waiting: readonly string[];
  readonly roles: Roles;
  /** From here on it runs. */
  readonly use: () => void;
}

/** @param running as it was loaded at the start */
export function createLiveAccess(folder: string, running: KeylineConfig): LiveAccess {
  const roles = new Map(running.roles);
  const types = new Map(running.types);
  return {
    roles,
    types,
    folder,
    async read() {
      const next = await load(folder);
      assertProfilesRun(next, running);
      return {
        roles: next.roles,
        changed: [
          ...differences('role', roles, next.roles, whatItGives),
          ...differences('type', types, next.types, (type) => type),
        ],
        waiting: partsThatWait(running, next),
        use() {
          replace(roles, next.roles);
          replace(types, next.types);
        },
      };
    },
  };
}

/** A line that moved is no other role. */
function whatItGives({ source: _, ...role }: Role): Omit<Role, 'source'> {
  return role;
}

async function load(folder: string): Promise<KeylineConfig> {
  try {
    return await loadConfig(folder);
  } catch (error) {
    if (!isKeylineError(error)) throw error;
    const [first = '', ...problems] = error.detail.split('\n').map((line) => line.trim());
    throw new KeylineError(
      error.code,
      `${first} ${problems.join('; ')}${problems.length === 0 ? '' : '.'} Nothing was taken up: the roles stay as they were.`,
      { cause: error },
    );
  }
}

/** The templates of certificates are compiled at the start. @throws {KeylineError} CONFIG_INVALID */
function assertProfilesRun({ types }: KeylineConfig, { profiles }: KeylineConfig): void {
  for (const { name, profile } of types.values()) {
    if (profiles.has(profile)) continue;
    throw new KeylineError(
      'CONFIG_INVALID',
      `The type "${name}" names the profile "${profile}", which is new: profiles are read when the service starts. Restart it. Nothing was taken up: the roles stay as they were.`,
    );
  }
}

function differences<Value>(
  what: string,
  before: ReadonlyMap<string, Value>,
  after: ReadonlyMap<string, Value>,
  partOf: (value: Value) => unknown,
): string[] {
  const names = new Set([...before.keys(), ...after.keys()]);
  return [...names].toSorted().flatMap((name) => {
    const [old, now] = [before.get(name), after.get(name)];
    const isSame =
      old !== undefined && now !== undefined && isDeepStrictEqual(partOf(old), partOf(now));
    return isSame ? [] : [`${what}:${name}`];
  });
}

function partsThatWait(running: KeylineConfig, next: KeylineConfig): string[] {
  const parts = {
    profiles: 'profiles/',
    alerts: 'alerts.yaml',
    service: 'service.yaml',
    targets: 'targets.yaml',
  } as const;
  return (Object.keys(parts) as (keyof typeof parts)[])
    .filter((part) => !isDeepStrictEqual(running[part], next[part]))
    .map((part) => parts[part]);
}

function replace<Value extends Role | DeviceType>(
  map: Map<string, Value>,
  next: ReadonlyMap<string, Value>,
): void {
  // Nobody else's turn comes in between.
  map.clear();
  for (const [name, value] of next) map.set(name, value);
}
