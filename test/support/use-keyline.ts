// One running Keyline for a test file, in a temporary folder; its logs are shown when a test fails.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
import { Fleet } from './fleet.ts';
import { startKeyline, type RunningKeyline } from './keyline.ts';

export interface Suite {
  /** Temporary, for the files of a test too. Absolute. */
  readonly folder: string;
  readonly keyline: RunningKeyline;
  readonly fleet: Fleet;
  /** Stops it (a start after `keyline.kill()` finds it stopped) and starts it again on the same folder. */
  restart(): Promise<void>;
}

/** @param options.config makes a configuration folder and answers with its path; it may use the temporary folder */
export function useKeyline(
  options: {
    config?: (folder: string) => string | Promise<string>;
    broker?: 'mosquitto';
  } = {},
): Suite {
  let folder: string | undefined;
  let keyline: RunningKeyline | undefined;
  let fleet: Fleet | undefined;
  const start = async (): Promise<void> => {
    folder ??= mkdtempSync(join(tmpdir(), 'keyline-e2e-'));
    const config = await options.config?.(folder);
    // Said once: the folder keeps it.
    const broker = fleet === undefined ? options.broker : undefined;
    keyline = await startKeyline({ data: join(folder, '.keyline'), config, broker });
    fleet = new Fleet(keyline);
  };
  const stop = async (): Promise<void> => {
    fleet?.close();
    await keyline?.stop();
  };
  beforeAll(start);
  afterAll(async () => {
    await stop();
    if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
  });
  afterEach(({ task }) => {
    if (task.result?.state === 'fail') console.error(keyline?.logs());
  });
  return {
    get folder() {
      return existing(folder);
    },
    get keyline() {
      return existing(keyline);
    },
    get fleet() {
      return existing(fleet);
    },
    async restart() {
      await stop();
      await start();
    },
  };
}

function existing<Value>(value: Value | undefined): Value {
  if (value === undefined) throw new Error('Keyline did not start; see above.');
  return value;
}
