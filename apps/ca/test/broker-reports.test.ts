import type { Alert, Write } from '@keyline/fleet';
import type { CertificateReport } from '@keyline/targets';
import { expect, it } from 'vitest';
import { createReportQueue, judgeReport } from '../src/broker-reports.ts';

const report = (kind: CertificateReport['kind'], device: string): CertificateReport => ({
  ...{ kind, device, serial: kind === 'used' ? '02' : '01', address: '' },
});

it('a successor that was used is judged when the disk takes it again, and nothing else of its device before', async () => {
  const judged: string[] = [];
  const failures: unknown[] = [];
  let isFull = true;
  const take = createReportQueue(
    ({ kind, device }) => {
      if (isFull && kind === 'used') return Promise.reject(new Error('disk full'));
      judged.push(`${device} ${kind}`);
      return Promise.resolve();
    },
    (error) => failures.push(error),
  );
  await take([report('used', 'd1'), report('unlisted', 'd1'), report('unlisted', 'd2')]);
  await take([report('unlisted', 'd1')]);
  expect(judged).toEqual(['d2 unlisted']);
  expect(failures).toHaveLength(2);
  isFull = false;
  await take([report('unlisted', 'd1')]);
  expect(judged).toEqual(['d2 unlisted', 'd1 used', 'd1 unlisted']);
  await take([]);
  expect(judged).toHaveLength(3);
});

it('keeps 1000 that could not be judged, the newest', async () => {
  const asked: string[] = [];
  const take = createReportQueue(
    ({ device }) => {
      asked.push(device);
      return Promise.reject(new Error('disk full'));
    },
    () => undefined,
  );
  await take(Array.from({ length: 1001 }, (_, n) => report('used', `d${String(n)}`)));
  asked.length = 0;
  await take([]);
  expect(asked).toHaveLength(1000);
  expect(asked[0]).toBe('d1');
});

it('certificates that are not on record are one alert for each device, however many somebody makes', async () => {
  const alerts = new Map<string, Alert>();
  const entries: unknown[] = [];
  const unwanted = (): Promise<never> => Promise.reject(new Error('let in'));
  const store = {
    findCertificate: () => Promise.resolve(undefined),
    findAlert: (key: string) => Promise.resolve(alerts.get(key)),
    commit: (unit: { writes: readonly Write[]; entries: readonly unknown[] }) => {
      for (const write of unit.writes) {
        if (write.op === 'put-alert') alerts.set(write.alert.key, write.alert);
      }
      entries.push(...unit.entries);
      return Promise.resolve({ ok: true, entries: [] });
    },
  } as unknown as Parameters<typeof judgeReport>[0]['store'];
  const context = {
    ...{ store, clock: { now: () => 1 } },
    target: {
      name: 'main',
      admitBoth: unwanted,
      admitCurrent: unwanted,
    },
  };
  for (let made = 16; made < 116; made++) {
    const device = made % 2 === 0 ? 'd1' : 'd2';
    await judgeReport(context, { ...report('unlisted', device), serial: made.toString(16) });
  }
  expect([...alerts.keys()]).toEqual(['identity:d1:not-on-record', 'identity:d2:not-on-record']);
  expect(alerts.get('identity:d1:not-on-record')?.summary).toContain('(serial 10)');
  expect(entries).toHaveLength(2);
});
