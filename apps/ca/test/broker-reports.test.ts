import type { Alert, Write } from '@keyline/fleet';
import type { CertificateReport } from '@keyline/targets';
import { expect, it } from 'vitest';
import { judgeReport, judgeReports } from '../src/broker-reports.ts';

const report = (kind: CertificateReport['kind'], device: string): CertificateReport => ({
  ...{ kind, device, serial: kind === 'used' ? '02' : '01', address: '' },
});

it('a successor that was used is judged when the disk takes it again, and nothing else of its device before', async () => {
  const judged: string[] = [];
  const failures: unknown[] = [];
  let isFull = true;
  const take = (...reports: CertificateReport[]) =>
    judgeReports(
      reports,
      ({ kind, device }) => {
        if (isFull && kind === 'used') return Promise.reject(new Error('disk full'));
        judged.push(`${device} ${kind}`);
        return Promise.resolve();
      },
      (error) => failures.push(error),
    );
  const used = report('used', 'd1');
  expect(await take(report('unlisted', 'd1'), report('unlisted', 'd2'), used)).toEqual([]);
  expect(judged).toEqual(['d2 unlisted']);
  expect(failures).toHaveLength(1);
  isFull = false;
  expect(await take(report('unlisted', 'd1'), used)).toEqual([used]);
  expect(judged).toEqual(['d2 unlisted', 'd1 used', 'd1 unlisted']);
});

it('certificates that are not on record are one alert for each device, and five of them news, however many somebody makes', async () => {
  const alerts = new Map<string, Alert>();
  const entries: unknown[] = [];
  const held = new Map<string, { identity: string; lastAt: number }>();
  const unwanted = (): Promise<never> => Promise.reject(new Error('let in'));
  const store = {
    findCertificate: () => Promise.resolve(undefined),
    findQuarantined: (serial: string) => Promise.resolve(held.get(serial)),
    countQuarantined: (identity?: string) =>
      Promise.resolve(
        [...held.values()].filter((one) => one.identity === (identity ?? one.identity)).length,
      ),
    findAlert: (key: string) => Promise.resolve(alerts.get(key)),
    commit: (unit: { writes: readonly Write[]; entries: readonly unknown[] }) => {
      for (const write of unit.writes) {
        if (write.op === 'put-alert') alerts.set(write.alert.key, write.alert);
        if (write.op === 'quarantine-certificate') {
          held.set(write.serial, { identity: write.identity, lastAt: write.at });
        }
      }
      entries.push(
        ...unit.entries.filter(
          (entry) => (entry as { data: { kind: string } }).data.kind === 'alert-fired',
        ),
      );
      return Promise.resolve({ ok: true, entries: [] });
    },
  } as unknown as Parameters<typeof judgeReport>[0]['store'];
  const context = {
    ...{ store, clock: { now: () => 1 }, types: new Map() },
    target: {
      name: 'main',
      admit: unwanted,
    },
  };
  for (let made = 16; made < 116; made++) {
    const device = made % 2 === 0 ? 'd1' : 'd2';
    await judgeReport(context, { ...report('unlisted', device), serial: made.toString(16) });
  }
  expect([...alerts.keys()]).toEqual(['identity:d1:not-on-record', 'identity:d2:not-on-record']);
  expect(entries).toHaveLength(10);
  expect([...held.keys()].sort()).toEqual('10 11 12 13 14 15 16 17 18 19'.split(' '));
  const first = alerts.get('identity:d1:not-on-record');
  expect(first).toMatchObject({ count: 5, examples: ['10', '12', '14', '16', '18'] });
  expect(first?.summary).toContain('(serial 18)');
  // The same again is no news; after somebody has closed it, it is.
  await judgeReport(context, { ...report('unlisted', 'd1'), serial: '10' });
  expect(entries).toHaveLength(10);
  alerts.set('identity:d1:not-on-record', { ...first!, resolvedAt: 1 });
  await judgeReport(context, { ...report('unlisted', 'd1'), serial: '10' });
  expect(entries).toHaveLength(11);
  expect(alerts.get('identity:d1:not-on-record')).toMatchObject({ count: 1, examples: ['10'] });
});
