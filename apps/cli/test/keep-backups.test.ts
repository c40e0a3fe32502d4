// When `keyline up` makes a backup, what is known afterwards, and what the doctor says of it.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readBackupStatus, writeBackupStatus } from '@keyline/backup';
import type { ServiceLocation } from '@keyline/client';
import { FakeClock } from '@keyline/kernel';
import { checkBackups } from '../src/doctor/backup-check.ts';
import { keepBackups } from '../src/up/keep-backups.ts';
import { layoutOf, type Layout } from '../src/up/layout.ts';

const hour = 3_600_000;
let data: string;
let layout: Layout;
let clock: FakeClock;
let ran: string[][];
let fails: Error | undefined;

beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'keyline-keep-'));
  layout = layoutOf(data);
  await mkdir(layout.ca.folder);
  await writeFile(layout.ca.database, '');
  clock = new FakeClock(Date.UTC(2026, 0, 1));
  ran = [];
  fails = undefined;
});
afterEach(() => rm(data, { recursive: true }));

const backup = {
  folder: '/backups',
  every: 24 * hour,
  keep: 3,
  alertAfter: 48 * hour,
  recipients: ['age1'],
  root: false,
};

const keep = (
  given: Partial<Parameters<typeof keepBackups>[0]> = {},
): Promise<string | undefined> =>
  keepBackups({
    ...{ layout, backup, clock, config: '/config', env: {} },
    signal: new AbortController().signal,
    async run(_program, args) {
      ran.push([...args]);
      if (fails !== undefined) throw fails;
      const status = readBackupStatus(layout.ca.folder);
      if (status === undefined || status === 'unreadable') throw new Error('nothing expected');
      const last = { at: clock.now(), file: '/backups/one.age', bytes: 1, ledgerSeq: 1 };
      await writeBackupStatus(layout.ca.folder, { ...status, last, failure: null });
    },
    ...given,
  });

const doctor = (): string[] => {
  const location = { endpoints: { ca: layout.trust } } as unknown as ServiceLocation;
  return checkBackups(location, clock.now()).map(({ level, message }) => `${level}: ${message}`);
};

describe('the schedule of backups', () => {
  it('makes one at once, and the next when it is due', async () => {
    expect(await keep()).toBe('made a backup: /backups/one.age');
    expect(ran).toEqual([['backup', '--scheduled', '--data', data, '--config', '/config']]);
    clock.advance(23 * hour);
    expect(await keep()).toBeUndefined();
    clock.advance(hour);
    expect(await keep()).toBe('made a backup: /backups/one.age');
    expect(ran.length).toBe(2);
  });

  it('waits a while after one that failed, and keeps that somebody waits for one', async () => {
    fails = new Error('keyline backup ended with 6');
    await expect(keep()).rejects.toThrow('ended with 6');
    expect(readBackupStatus(layout.ca.folder)).toMatchObject({
      alertAfter: 48 * hour,
      since: clock.now(),
      last: null,
      failure: { message: expect.stringContaining('without a word') as string },
    });
    clock.advance(14 * 60_000);
    expect(await keep()).toBeUndefined();
    clock.advance(60_000);
    fails = undefined;
    expect(await keep()).toMatch(/made/);
  });

  it('makes one when the clock was ahead of the last', async () => {
    await keep();
    clock.advance(-hour);
    expect(await keep()).toMatch(/made/);
  });

  it('is silent when it is stopped meanwhile', async () => {
    fails = new Error('aborted');
    expect(await keep({ signal: AbortSignal.abort() })).toBeUndefined();
    expect(readBackupStatus(layout.ca.folder)).toMatchObject({ failure: null });
  });

  it('waits for none any more when the section is taken out of keyline.yaml', async () => {
    await keep();
    expect(await keep({ backup: undefined })).toBeUndefined();
    expect(readBackupStatus(layout.ca.folder)).toMatchObject({ alertAfter: null });
  });

  it('leaves a folder alone in which nobody makes backups', async () => {
    await keep({ backup: undefined });
    expect(readBackupStatus(layout.ca.folder)).toBeUndefined();
  });
});

describe('what the doctor says of backups', () => {
  it('is nothing of a trial, and a warning of a plant without one', async () => {
    expect(doctor()).toEqual([]);
    await writeFile(layout.settings, '');
    expect(doctor()).toEqual(['warn: none was ever made']);
  });

  it('is how old the last good one is', async () => {
    await keep();
    clock.advance(3 * hour);
    expect(doctor()).toEqual(['ok: the last good one is 3h old (/backups/one.age)']);
  });

  it('is a failure where nobody can tell', async () => {
    await writeFile(join(layout.ca.folder, 'backup-status.json'), '{');
    expect(doctor()).toEqual([expect.stringMatching(/^fail: .*can't be read/)]);
  });
});
