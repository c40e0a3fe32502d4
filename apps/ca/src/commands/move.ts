// `keyline-ca move`: another address for what certificates name. Those that are out keep theirs, and lists go on naming it.
import { existsSync } from 'node:fs';
import { replaceFile } from '@keyline/files';
import { formatInstant, systemClock } from '@keyline/kernel';
import { readLastEnd } from '@keyline/store';
import {
  caFolderOf,
  loadSettings,
  parseHttpUrl,
  type CaSettings,
  type EarlierUrl,
} from '../ca-folder.ts';

export interface MoveOptions {
  readonly data: string;
  readonly httpUrl: string;
}

/** @throws {KeylineError} USAGE, STORE_MISSING, FILE_UNREADABLE */
export async function runMove({ data, httpUrl: given }: MoveOptions): Promise<string> {
  const folder = caFolderOf(data);
  const settings = await loadSettings(folder);
  const httpUrl = parseHttpUrl(given);
  const { httpUrl: before, earlier = [] } = settings;
  if (before === httpUrl) return `new certificates name ${httpUrl} already`;
  const last = existsSync(folder.database) ? readLastEnd(folder.database) : undefined;
  const left: EarlierUrl = {
    httpUrl: before,
    leftAt: formatInstant(systemClock.now()),
    ...(last === undefined ? {} : { until: formatInstant(last) }),
  };
  const moved: CaSettings = {
    ...settings,
    httpUrl,
    earlier: [...earlier.filter((one) => one.httpUrl !== before && one.httpUrl !== httpUrl), left],
  };
  await replaceFile(folder.settings, `${JSON.stringify(moved, null, 2)}\n`);
  return `new certificates name ${httpUrl}; keep answering at ${before} too, for as long as certificates name it`;
}
