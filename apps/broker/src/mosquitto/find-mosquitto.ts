// Which Mosquitto is on this machine: program, version, and the dynamic-security plugin that belongs to it.
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, readdir, realpath } from 'node:fs/promises';
import { delimiter, dirname, join, resolve } from 'node:path';
import { KeylineError, messageOf } from '@keyline/kernel';

export interface InstalledMosquitto {
  readonly program: string;
  /** `2.0.11`. */
  readonly version: string;
  readonly plugin: string;
  /**
   * From 2.1: SIGHUP may be sent at any time. On 2.0 it corrupts memory when sessions of certificate clients are kept while they are
   * offline.
   */
  readonly hangUpIsSafe: boolean;
}

const usualFolders = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/opt/homebrew/sbin'];
const pluginFile = 'mosquitto_dynamic_security.so';
const howToInstall =
  'Install it (Debian, Ubuntu: apt-get install mosquitto; Fedora: dnf install mosquitto; macOS: brew install mosquitto), or give its path with --mosquitto. Or use the broker that comes with Keyline: --engine embedded.';

/** @throws {KeylineError} FILE_NOT_FOUND, CONFIG_INVALID when it is too old */
export async function findMosquitto(
  path: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<InstalledMosquitto> {
  const program = path === undefined ? await search(env) : resolve(path);
  if (program === undefined || !(await isExecutable(program))) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      path === undefined
        ? `Mosquitto is not on this machine: no "mosquitto" in PATH nor in ${usualFolders.join(', ')}. ${howToInstall}`
        : `There is no program at ${path} (--mosquitto). ${howToInstall}`,
    );
  }
  const version = await askVersion(program);
  const [major = 0, minor = 0] = version.split('.').map(Number);
  if (major < 2) {
    throw new KeylineError(
      'CONFIG_INVALID',
      `${program} is Mosquitto ${version}; 2.0 or later is needed, because dynamic security came with it. ${howToInstall}`,
    );
  }
  return {
    program,
    version,
    plugin: await findPlugin(program),
    hangUpIsSafe: major > 2 || minor >= 1,
  };
}

async function search(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const inPath = (env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  for (const folder of [...inPath, ...usualFolders]) {
    const program = join(folder, 'mosquitto');
    if (await isExecutable(program)) return program;
  }
  return undefined;
}

async function isExecutable(path: string): Promise<boolean> {
  try {
    await access(path, constants.X_OK);
    return true;
  } catch {
    return false; // absent or not executable: it can't be run
  }
}

/** Its help begins with it; the exit code of the help differs between versions. */
function askVersion(program: string): Promise<string> {
  return new Promise((found, fail) => {
    execFile(program, ['-h'], { timeout: 10_000 }, (error, out, err) => {
      const version = /mosquitto version (\d+\.\d+\.\d+)/.exec(`${out}${err}`)?.[1];
      if (version !== undefined) {
        found(version);
        return;
      }
      fail(
        new KeylineError(
          'CONFIG_INVALID',
          `${program} does not say which Mosquitto it is (${error === null ? `"${out.slice(0, 80).trim()}"` : messageOf(error)}). Is it Mosquitto's broker? ${howToInstall}`,
        ),
      );
    });
  });
}

/** First beside the program: a Mosquitto built here must not get the plugin of the distribution. */
async function findPlugin(program: string): Promise<string> {
  const prefix = dirname(dirname(await realpath(program)));
  const roots = new Set(
    [prefix, '/usr', '/usr/local', '/opt/homebrew'].flatMap((root) => [
      join(root, 'lib'),
      join(root, 'lib64'),
    ]),
  );
  for (const root of roots) {
    const below = await readdir(root, { withFileTypes: true }).catch(() => []);
    const folders = below
      .filter((entry) => entry.isDirectory() || entry.isSymbolicLink())
      .filter(({ name }) => name === 'mosquitto' || name.includes('-'))
      .map(({ name }) => join(root, name));
    for (const folder of [root, ...folders]) {
      const plugin = join(folder, pluginFile);
      if (
        await access(plugin).then(
          () => true,
          () => false,
        )
      ) {
        return plugin;
      }
    }
  }
  throw new KeylineError(
    'FILE_NOT_FOUND',
    `${program} is there, but not its dynamic-security plugin ${pluginFile} (looked below ${[...roots].join(', ')}). It comes with Mosquitto; install the whole package.`,
  );
}
