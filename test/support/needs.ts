// Which real parts (openssl, mosquitto, …) are on this machine, so that a test that needs one says so instead of failing oddly.
// Installing them is scripts/test's business; the list of packages is real-parts.txt.
import {
  accessSync,
  appendFileSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
} from 'node:fs';
import { delimiter, join, resolve } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

// Debian keeps daemons where an ordinary user's PATH does not look.
const folders = [
  ...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''),
  '/usr/local/sbin',
  '/usr/sbin',
  '/sbin',
];

/** Absolute path of a command, or of a file that is named with its folder, or undefined when this machine does not have it. */
export function findCommand(command: string): string | undefined {
  if (command.includes('/')) {
    const path = resolve(root, command);
    return existsSync(path) ? path : undefined;
  }
  return folders.map((folder) => join(folder, command)).find(isExecutable);
}

/**
 * Whether all these commands are here: `describe.skipIf(!has('mosquitto'))('…', …)`.
 * What is missing is noted in build/skipped.txt, which `make test` reads out at its end.
 * @throws under CI=true when one is missing: there a missing part is a failure, not a skip
 */
export function has(...commands: string[]): boolean {
  const missing = commands.filter((command) => findCommand(command) === undefined);
  if (missing.length === 0) return true;
  const names = missing.map((command) => `${command} (${originOf(command)})`);
  if (process.env['CI'] === 'true') {
    throw new Error(
      `These tests need ${names.join(', ')}, and under CI=true nothing may be skipped.`,
    );
  }
  mkdirSync(join(root, 'build'), { recursive: true });
  appendFileSync(
    join(root, 'build', 'skipped.txt'),
    missing.map((command) => `${command}\n`).join(''),
  );
  return false;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // absent or not executable: both mean that we do not have it
  }
}

function originOf(command: string): string {
  for (const line of readFileSync(join(root, 'test', 'support', 'real-parts.txt'), 'utf8').split(
    '\n',
  )) {
    const [name, debianPackage] = line.split(/\s+/);
    if (name === command && debianPackage !== undefined) {
      return debianPackage === '-' ? 'scripts/client-parts' : `Debian package ${debianPackage}`;
    }
  }
  throw new Error(`"${command}" is not in test/support/real-parts.txt: add it with its package.`);
}
