import { expect, it, vi } from 'vitest';
import { RefusalLog, type RefusalLine } from '../src/refusal-log.ts';

const line: RefusalLine = {
  ...{ event: 'connection refused', reason: 'unknown-ca', happened: 'It did.', remedy: 'Do.' },
  certificate: { cn: undefined, serialHex: undefined },
};

it('goes on with its lines when the clock was set back', () => {
  let now = 10 * 3_600_000;
  const lines: unknown[] = [];
  const log = { warn: (fields: unknown) => lines.push(fields) };
  const refusals = new RefusalLog(log as never, { now: () => now });
  for (let count = 0; count < 60; count++) refusals.write(line);
  expect(lines).toHaveLength(50);
  now -= 3_600_000;
  refusals.write(line);
  expect(lines).toHaveLength(52);
  expect(lines[50]).toMatchObject({ event: 'refusals not logged', count: 10 });
});

it('says of those without a line how many there were of each reason, also when no more come', () => {
  vi.useFakeTimers();
  try {
    const lines: [object, string][] = [];
    const log = { warn: (fields: object, text: string) => lines.push([fields, text]) };
    const noted: string[] = [];
    const refusals = new RefusalLog(log as never, { now: () => 0 }, ({ reason }) => {
      noted.push(reason);
    });
    for (let count = 0; count < 53; count++) refusals.write(line);
    for (let count = 0; count < 4; count++) {
      refusals.write({ ...line, event: 'message denied', reason: 'publish' });
    }
    for (let count = 0; count < 20; count++) refusals.write({ ...line, reason: String(count) });
    expect(lines).toHaveLength(50);
    vi.advanceTimersByTime(1000);
    expect(lines).toHaveLength(51);
    const [fields, text] = lines[50]!;
    expect(fields).toMatchObject({
      ...{ event: 'refusals not logged', count: 27 },
      reasons: { 'connection refused (unknown-ca)': 3, 'message denied (publish)': 4, others: 14 },
    });
    expect(text).toMatch(
      /27 further .*: 3 × connection refused \(unknown-ca\), 4 × message denied/,
    );
    expect(noted).toHaveLength(77);
    vi.advanceTimersByTime(5000);
    expect(lines).toHaveLength(51);
  } finally {
    vi.useRealTimers();
  }
});
