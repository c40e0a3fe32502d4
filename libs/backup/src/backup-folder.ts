// A folder of backups that a schedule makes: how they are called, and which are kept.
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * @param plant tells the backups of one Keyline from those of another in the same folder
 * @param now epoch milliseconds
 */
export function backupName(plant: string, now: number): string {
  const stamp = new Date(now).toISOString().replaceAll(/[-:]/g, '').replace(/\.\d+/, '');
  return `keyline-${plainName(plant)}-${stamp}.age`;
}

function plainName(plant: string): string {
  return plant.replaceAll(/[^A-Za-z0-9._-]/g, '_').slice(0, 100);
}

/**
 * Removes the oldest, and what a backup left that was killed. Other files are nobody's business here.
 * @param keep how many stay, at least 1
 * @returns names of those that went
 */
export async function removeOldBackups(
  folder: string,
  plant: string,
  keep: number,
): Promise<string[]> {
  const own = RegExp.escape(`keyline-${plainName(plant)}-`);
  const made = new RegExp(String.raw`^${own}\d{8}T\d{6}Z\.age$`);
  const left = new RegExp(String.raw`^\.${own}\d{8}T\d{6}Z\.age\.[0-9a-f]+\.tmp$`);
  const names = (await readdir(folder)).toSorted();
  const old = names.filter((name) => made.test(name)).slice(0, -Math.max(1, keep));
  for (const name of [...old, ...names.filter((one) => left.test(one))]) {
    await rm(join(folder, name), { force: true });
  }
  return old;
}
