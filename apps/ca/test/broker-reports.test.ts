import type { CertificateReport } from '@keyline/targets';
import { expect, it } from 'vitest';
import { createReportQueue } from '../src/broker-reports.ts';

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
