import { expect, it } from 'vitest';
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
