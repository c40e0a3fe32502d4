// Random histories, one request after the other and several at once: what was decided, the rows and the ledger tell the same story.
import { Duration, isKeylineError } from '@keyline/kernel';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  changeDeviceState,
  enroll,
  noteUse,
  renew,
  revokeCertificate,
  signUnit,
  type Batch,
  type Certificate,
  type Enrolled,
} from '../src/index.ts';
import { expectOneStory } from './story.ts';
import {
  batchOf,
  csrOf,
  newKey,
  openTestFleet,
  operator,
  tokenOf,
  caller,
  type TestFleet,
} from './test-fleet.ts';

const ids = ['d1', 'd2'];
const keys = Array.from({ length: 4 }, () => newKey());
/** One CSR for each id and key: they are sent again and again. */
const csrs = Promise.all(ids.map((id) => Promise.all(keys.map((key) => csrOf(id, key)))));
const station = caller('station', 'st1@works');

interface FleetHistory {
  readonly fleet: TestFleet;
  readonly csrs: readonly (readonly string[])[];
  readonly tokens: readonly { readonly id: string; readonly tokenHash: string }[];
  readonly batches: readonly Batch[];
  /** Every certificate that anybody was given. */
  readonly given: Certificate[];
}

type Step = (history: FleetHistory) => Promise<Enrolled | undefined>;

const which = (count: number): fc.Arbitrary<number> => fc.nat({ max: count - 1 });
const nothing = async (work: Promise<unknown>): Promise<undefined> => {
  await work;
  return undefined;
};

const enrolls = fc
  .tuple(which(2), which(4), which(2))
  .map(([id, key, token]): [string, Step] => [
    `enroll ${String(id)} with key ${String(key)} and token ${String(token)}`,
    ({ fleet, tokens, csrs: all }) =>
      enroll(fleet, { csr: all[id]![key]!, tokenHash: tokens[token]!.tokenHash }),
  ]);
const signs = fc
  .tuple(which(2), which(4), which(2))
  .map(([id, key, batch]): [string, Step] => [
    `sign ${String(id)} with key ${String(key)} in batch ${String(batch)}`,
    ({ fleet, batches, csrs: all }) =>
      signUnit(fleet, { caller: station, batch: batches[batch]!, csr: all[id]![key]! }),
  ]);
/** With a certificate that somebody holds, whatever became of it; as it is on record, because the edge has read it. */
async function held(
  { fleet, given }: FleetHistory,
  n: number,
): Promise<Parameters<typeof renew>[1]['caller'] | undefined> {
  const one = given.at(-1 - (n % Math.max(1, given.length)));
  const certificate = one && (await fleet.store.findCertificate(one.serial));
  // The edge lets nobody in with a certificate that is revoked.
  if (certificate === undefined || certificate.state === 'revoked') return undefined;
  return { role: 'device', name: certificate.owner, via: 'certificate', certificate };
}
const renewals = fc.tuple(which(4), fc.option(which(4))).map(([n, key]): [string, Step] => [
  `renew with the ${String(n)}th last certificate and key ${String(key)}`,
  async (history) => {
    const who = await held(history, n);
    if (who === undefined) return undefined;
    const csr = key === null ? undefined : history.csrs[ids.indexOf(who.name)]![key]!;
    return renew(history.fleet, { caller: who, csr });
  },
]);
const uses = which(4).map((n): [string, Step] => [
  `use the ${String(n)}th last certificate`,
  async (history) => {
    const who = await held(history, n);
    if (who !== undefined) await noteUse(history.fleet, who);
    return undefined;
  },
]);
const changes = fc
  .tuple(
    which(2),
    fc.constantFrom('revoke', 'suspend', 'suspend', 'resume', 'resume', 'resume', 'decommission'),
  )
  .map(([id, change]): [string, Step] => [
    `${change} ${String(id)}`,
    ({ fleet }) => nothing(changeDeviceState(fleet, { caller: operator, id: ids[id]!, change })),
  ]);
const revocations = which(4).map((n): [string, Step] => [
  `revoke the ${String(n)}th last certificate`,
  async ({ fleet, given }) => {
    const one = given.at(-1 - (n % Math.max(1, given.length)));
    if (one === undefined) return undefined;
    return nothing(revokeCertificate(fleet, { caller: operator, serial: one.serial }));
  },
]);
const waits = fc
  .constantFrom(Duration.minutes(1), Duration.days(55), Duration.days(60), Duration.days(100))
  .map((time): [string, Step] => [
    `wait ${String(time)} ms`,
    ({ fleet }) => {
      fleet.clock.advance(time);
      return Promise.resolve(undefined);
    },
  ]);
const step = fc.oneof(
  { weight: 6, arbitrary: enrolls },
  { weight: 4, arbitrary: signs },
  { weight: 8, arbitrary: renewals },
  { weight: 2, arbitrary: uses },
  { weight: 4, arbitrary: changes },
  { weight: 1, arbitrary: revocations },
  { weight: 2, arbitrary: waits },
);

/** A refusal is an answer; anything else fails the test. */
async function answer(
  history: FleetHistory,
  [, run]: [string, Step],
): Promise<Enrolled | undefined> {
  try {
    return await run(history);
  } catch (error) {
    if (isKeylineError(error) && error.code !== 'INTERNAL') return undefined;
    throw error;
  }
}

async function expectAnswerStands(
  history: FleetHistory,
  enrolled: Enrolled,
  before: number,
): Promise<void> {
  const { device, certificate, entry, created } = enrolled;
  const [on] = await history.fleet.store.readEntries(entry.seq - 1, 1);
  expect(on).toMatchObject({ seq: entry.seq, at: entry.at });
  expect(entry.seq > before).toBe(created);
  expect(certificate.entry).toBe(entry.seq);
  if (created) {
    expect(on?.data).toMatchObject({ device: device.id, serial: certificate.serial });
    history.given.push(certificate);
  } else {
    expect(history.given.some(({ serial }) => serial === certificate.serial)).toBe(true);
  }
}

async function openFleetHistory(): Promise<FleetHistory> {
  const fleet = await openTestFleet();
  return {
    fleet,
    csrs: await csrs,
    tokens: [
      await tokenOf(fleet, { maxUses: 9, lifetime: Duration.days(365) }),
      await tokenOf(fleet, { maxUses: 1, lifetime: Duration.days(365), type: 'sensor' }),
    ],
    batches: [
      await batchOf(fleet, { quota: 2, lifetime: Duration.days(365) }),
      await batchOf(fleet, { id: 'lot-2', quota: 4, rework: true, lifetime: Duration.days(365) }),
    ],
    given: [],
  };
}

it('one request after the other', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 25 }), async (steps) => {
      const history = await openFleetHistory();
      for (const one of steps) {
        const before = await history.fleet.store.lastSeq();
        const enrolled = await answer(history, one);
        if (enrolled !== undefined) {
          await expectAnswerStands(history, enrolled, before);
          // Nothing came in between, so the answer is the row.
          expect(await history.fleet.store.findDevice(enrolled.device.id)).toEqual(enrolled.device);
          const row = await history.fleet.store.findCertificate(enrolled.certificate.serial);
          expect(row).toEqual(enrolled.certificate);
          expect(row?.state).toBe('active');
        }
        await expectOneStory(history.fleet);
      }
      await history.fleet.close();
    }),
    { numRuns: 200, reporter: reportSteps },
  );
});

it('several at once', async () => {
  const crowd = fc.array(step, { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(crowd, { minLength: 2, maxLength: 8 }), async (crowds) => {
      const history = await openFleetHistory();
      for (const steps of crowds) {
        const before = await history.fleet.store.lastSeq();
        const answers = await Promise.all(steps.map((one) => answer(history, one)));
        // Who was answered again may have been answered what another of the crowd was given.
        for (const enrolled of answers.toSorted(
          (a, b) => Number(b?.created) - Number(a?.created),
        )) {
          if (enrolled?.created === true) await expectAnswerStands(history, enrolled, before);
        }
        for (const enrolled of answers) {
          if (enrolled?.created !== false) continue;
          const { serial } = enrolled.certificate;
          expect(history.given.some((one) => one.serial === serial)).toBe(true);
        }
        await expectOneStory(history.fleet);
      }
      await history.fleet.close();
    }),
    { numRuns: 100, reporter: reportSteps },
  );
});

/** The steps in words: what fast-check prints of functions says nothing. */
function reportSteps<Steps>(run: fc.RunDetails<Steps>): void {
  if (!run.failed) return;
  const parts = (run.counterexample as unknown[] | null)?.flat(Number.POSITIVE_INFINITY) ?? [];
  const texts = parts.filter((part) => typeof part === 'string');
  throw new Error(`seed ${String(run.seed)}: ${texts.join('; ')}`, {
    cause: run.errorInstance ?? undefined,
  });
}
