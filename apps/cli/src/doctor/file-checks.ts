// Who may read the secrets of a Keyline on this machine.
import { readdir, stat } from 'node:fs/promises';
import { platform } from 'node:os';
import { dirname, join } from 'node:path';
import type { ServiceLocation } from '@keyline/client';
import { isNodeError } from '@keyline/files';
import { messageOf, quoteForShell } from '@keyline/kernel';
import { fail, ok, warn, type Finding } from './finding.ts';

const check = 'files';
/** Keys, passphrases, tokens, headers of webhooks; the database with its log; what brokers keep. */
const secret =
  /\.(?:key|pass|headers|token|db|db-wal|db-shm)$|^dynamic-security\.json$|^(?!lock).*(?:journal|snapshot)/;
const mostFiles = 10_000;

/** @param location says where the data folder is when it is one of this machine; else nothing is said */
export async function checkFiles(location: ServiceLocation): Promise<Finding[]> {
  const trust = location.endpoints?.ca;
  if (trust === undefined || platform() === 'win32') return [];
  const folder = dirname(trust);
  if (!(await isDataFolder(folder))) return [];
  const findings: Finding[] = [];
  const { mode } = await stat(folder);
  if ((mode & 0o077) !== 0) {
    findings.push(
      warn(
        check,
        `others may look into ${folder} (mode ${(mode & 0o777).toString(8)})`,
        `chmod 700 ${quoteForShell(folder)}`,
      ),
    );
  }
  let count = 0;
  for (const name of await readdir(folder, { recursive: true })) {
    const base = name.split('/').at(-1) ?? name;
    if (!secret.test(base)) continue;
    if (++count > mostFiles) {
      findings.push(warn(check, `only the first ${String(mostFiles)} were looked at`, folder));
      break;
    }
    const finding = await judgeFile(join(folder, name));
    if (finding !== undefined) findings.push(finding);
  }
  return findings.some(({ level }) => level !== 'ok')
    ? findings
    : [ok(check, `${String(count)} with secrets, readable by their owner only`)];
}

async function judgeFile(path: string): Promise<Finding | undefined> {
  try {
    const status = await stat(path);
    if (!status.isFile() || (status.mode & 0o077) === 0) return undefined;
    return fail(
      check,
      `${path} can be read by others (mode ${(status.mode & 0o777).toString(8)})`,
      `chmod 600 ${quoteForShell(path)}, and think of who has read it`,
    );
  } catch (error) {
    // Renamed or removed meanwhile, as journals are.
    if (isNodeError(error, 'ENOENT')) return undefined;
    return warn(
      check,
      `${path} could not be looked at: ${messageOf(error)}`,
      'Run it as its owner.',
    );
  }
}

async function isDataFolder(folder: string): Promise<boolean> {
  return stat(join(folder, 'ca', 'keyline.db')).then(
    () => true,
    () => false,
  );
}
