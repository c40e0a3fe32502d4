// The log on a disk that is full: /dev/full answers every write as such a disk does.
import { spawnSync } from 'node:child_process';
import { existsSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it.skipIf(!existsSync('/dev/full'))(
  'neither ends nor holds up a service whose disk is full',
  () => {
    const destination = join(import.meta.dirname, '../src/log-destination.ts');
    const script = `
    import { pino } from 'pino';
    import { openLogDestination } from ${JSON.stringify(destination)};
    const log = pino(openLogDestination());
    for (let n = 0; n < 100; n++) log.error('x'.repeat(10_000));
    log.fatal('the last');
    setTimeout(() => process.stderr.write('alive'), 10);
  `;
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', script],
      {
        cwd: import.meta.dirname,
        stdio: ['ignore', openSync('/dev/full', 'w'), 'pipe'],
        timeout: 60_000,
        encoding: 'utf8',
      },
    );
    expect([status, stderr]).toEqual([0, 'alive']);
  },
);
