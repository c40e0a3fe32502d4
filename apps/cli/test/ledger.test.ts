// `keyline ledger` against a service that says what it is told to.
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  startFakeService,
  type FakeService,
} from '../../../libs/client/test/support/fake-service.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
let service: FakeService;
let caller: string[];
beforeAll(async () => {
  workshop = openWorkshop();
  service = await startFakeService(workshop);
  workshop.write('api.token', 'api-secret\n');
  caller = [...service.options, '--token-file', 'api.token'];
});
afterAll(async () => {
  await service.close();
  workshop.remove();
});
beforeEach(() => {
  service.calls.length = 0;
  service.answers = {};
});

const entry = (seq: number): object => ({
  ...{ seq, at: '2026-11-24T16:00:05.120Z', actor: 'operator:alice', address: null },
  ...{ kind: 'batch-closed', subject: 'wo-1', data: { batch: 'wo-1', quota: 5 } },
});
const queries = (): object[] =>
  service.calls.map(({ call }) => Object.fromEntries(call.query.entries()));

it('prints a table with seconds, and sends its filters as they are', async () => {
  service.answers.listLedger = () => ({ items: [entry(7)], nextCursor: null, lastSeq: 9 });
  const { code, out } = await workshop.run(
    ...['ledger', ...caller, '--device', 'wo-1', '--actor', 'operator:alice'],
    ...['--kind', 'batch-closed', '--since', '2026-11-24T00:00:00Z', '--limit', '5'],
  );
  expect(code).toBe(0);
  expect(out).toBe(
    `WHEN (UTC)           WHAT          SUBJECT  WHO             FROM  ENTRY  DETAILS
2026-11-24 16:00:05  batch-closed  wo-1     operator:alice  -         7  batch=wo-1 quota=5
`,
  );
  expect(queries()).toEqual([
    {
      ...{ device: 'wo-1', actor: 'operator:alice', kind: 'batch-closed', limit: '5' },
      since: '2026-11-24T00:00:00Z',
    },
  ]);
});

it('goes on over pages that are empty until it has what was asked for', async () => {
  const pages = [
    { items: [], nextCursor: 'c1', lastSeq: 9 },
    { items: [entry(5)], nextCursor: 'c2', lastSeq: 9 },
    { items: [entry(3)], nextCursor: 'c3', lastSeq: 9 },
  ];
  service.answers.listLedger = () => pages.shift();
  const { code, out } = await workshop.run('ledger', ...caller, '--limit', '2', '--json');
  expect(code).toBe(0);
  expect(JSON.parse(out)).toEqual({ items: [entry(5), entry(3)], nextCursor: 'c3' });
  expect(queries()).toEqual([
    { limit: '2' },
    { limit: '2', cursor: 'c1' },
    { limit: '1', cursor: 'c2' },
  ]);
});

it('says so when there is none', async () => {
  service.answers.listLedger = () => ({ items: [], nextCursor: null, lastSeq: 9 });
  expect(await workshop.run('ledger', ...caller)).toEqual({
    ...{ code: 0, out: '', err: 'No entry is like that.\n' },
  });
});

it('lists the kinds when one is unknown, and asks nobody', async () => {
  const { code, err } = await workshop.run('ledger', ...caller, '--kind', 'revoked');
  expect(code).toBe(2);
  expect(err).toMatch(/The kinds are: device-enrolled, .*quarantine-revoked/);
  expect(service.calls).toEqual([]);
});

it('refuses a time that is none', async () => {
  const { code, err } = await workshop.run('ledger', ...caller, '--since', 'yesterday');
  expect(code).toBe(2);
  expect(err).toContain('"yesterday" is not a time');
});

it.each([
  ['lines of a table', [], /^WHEN.*\n.* 7 .*\n.* 8 .*\n.* 10 .*\n.* 12 .*\n$/],
  ['JSON, a document a line', ['--json'], /^(\{"seq":(7|8|10|12),.*\}\n){4}$/],
])('follows from the newest on until it is stopped: %s', async (_, options, said) => {
  let stop = (): void => undefined;
  let isReleased = false;
  const pages = [
    { items: [entry(8), entry(7)], nextCursor: 'older', lastSeq: 9 },
    { items: [entry(10)], nextCursor: 'newer', lastSeq: 12 },
    { items: [entry(12)], nextCursor: null, lastSeq: 13 },
    { items: [], nextCursor: null, lastSeq: 13 },
  ];
  service.answers.listLedger = () => {
    const page = pages.shift();
    if (pages.length === 0) stop();
    return page;
  };
  const { code, out } = await workshop.runWith(
    {
      onStopSignal: (handler) => {
        stop = () => {
          handler('SIGINT');
        };
        return () => {
          isReleased = true;
        };
      },
    },
    ...['ledger', ...caller, '--limit', '2', '--follow', ...options],
  );
  expect({ code, isReleased }).toEqual({ code: 0, isReleased: true });
  expect(out).toMatch(said);
  expect(queries().slice(1)).toEqual([
    { limit: '1000', after: '9' },
    { limit: '1000', after: '9', cursor: 'newer' },
    { limit: '1000', after: '13' },
  ]);
});
