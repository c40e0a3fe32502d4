// What every kind of broker must hold behind the port, whatever it is: docs/decisions/0013-brokers-behind-one-port.md.
import type { DeviceTypes, Role, Roles } from '@keyline/access';
import { Duration, FakeClock } from '@keyline/kernel';
import { startFollower, type Hold, type RunningFollower } from '@keyline/ledger';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createTargetFollower, runTarget, type RunningTarget } from '../../src/index.ts';
import type { ConnectedTarget } from '../../src/target.ts';
import { MemoryFleet } from './memory-fleet.ts';
import type { TargetSurroundings } from './target-surroundings.ts';

const role = (name: string, ...publish: string[]): Role => ({
  ...{ name, description: name, publish, subscribe: [] },
});
const roles: Roles = new Map([
  ['device', role('device', 'devices/%u/telemetry')],
  ['gateway', role('gateway', 'devices/%u/telemetry', 'sites/all')],
]);
const types: DeviceTypes = new Map(
  [...roles.keys()].map((name) => [name, { name, description: '', profile: 'device', role: name }]),
);
const telemetry = (id: string): string => `devices/${id}/telemetry`;
const many = 50_000;
const held: Hold = {
  ...{ name: 'target', epoch: 1, isHeld: () => true },
  condition: () => ({ op: 'hold-lease', name: 'target', epoch: 1 }),
};

/** @param create an empty broker of the kind, which can be reached */
export function describeTarget(
  kind: string,
  create: () => TargetSurroundings | Promise<TargetSurroundings>,
): void {
  describe(`a broker of the kind ${kind}`, () => {
    let surroundings: TargetSurroundings;
    let fleet: MemoryFleet;
    let clock: FakeClock;
    let target: RunningTarget | undefined;
    let follower: RunningFollower | undefined;
    beforeEach(async () => {
      surroundings = await create();
      fleet = new MemoryFleet();
      clock = new FakeClock(1_000_000);
      target = undefined;
      follower = undefined;
    });
    afterEach(async () => {
      await follower?.stop();
      await target?.close();
      await surroundings.close();
    });

    async function run(): Promise<RunningTarget> {
      target = await runTarget({
        open: (events) => surroundings.open(events),
        ...{ roles, types, clock, fleet: fleet.reader, exclusive: true },
        follow: async (given) => {
          const backoff = { first: 1, most: 5 };
          // Of one service alone: its turn never ends.
          await given.begin?.(held);
          follower = await startFollower({ store: fleet.ledger, follower: given, backoff });
          return { ...follower, hold: () => held };
        },
        judge: () => Promise.resolve([]),
        presence: {
          cursorOf: () => Promise.resolve({ start: '', last: 0 }),
          keep: () => Promise.resolve(),
        },
        log: { info: () => undefined, warn: () => undefined },
        elapsed: () => clock.now(),
      });
      return target;
    }

    const nothing = { onConnect: () => undefined, onDisconnect: () => undefined };
    /** As a service that starts: it remembers nothing. */
    const newFollower = (given: ConnectedTarget = surroundings.open(nothing)) =>
      createTargetFollower({
        ...{ target: given, roles, types, clock, fleet: fleet.reader, exclusive: true },
      });

    /** What holds for a device, from its own side. */
    const isIn = (id: string): boolean =>
      surroundings.letsIn(id, fleet.get(id).serial ?? '') &&
      surroundings.mayPublish(id, telemetry(id));
    const whoIsIn = (): string[] => [...fleet.devices.keys()].filter(isIn);
    const active = (): string[] =>
      [...fleet.devices.values()].filter(({ state }) => state === 'active').map(({ id }) => id);

    /** Of every state; `back-…` were let go of and came back. */
    function enrollMixed(count: number): void {
      for (let n = 0; n < count; n++)
        fleet.enroll(`d${String(n)}`, n % 2 === 0 ? 'device' : 'gateway');
      for (let n = 0; n < count; n += 5) fleet.change(`d${String(n)}`, 'suspended');
      for (let n = 0; n < count; n += 10) fleet.change(`d${String(n)}`, 'resumed');
      for (let n = 1; n < count; n += 5) fleet.change(`d${String(n)}`, 'revoked');
      for (let n = 2; n < count; n += 5) fleet.change(`d${String(n)}`, 'decommissioned');
      for (let n = 3; n < count; n += 5) fleet.renew(`d${String(n)}`);
    }

    it('gives each role its rights, and nobody those of another name', async () => {
      fleet.enroll('pump', 'device');
      fleet.enroll('hub', 'gateway');
      const { entries } = fleet;
      await newFollower().apply(entries);
      expect(surroundings.mayPublish('pump', telemetry('pump'))).toBe(true);
      expect(surroundings.mayPublish('pump', telemetry('hub'))).toBe(false);
      expect(surroundings.mayPublish('pump', 'sites/all')).toBe(false);
      expect(surroundings.mayPublish('hub', telemetry('hub'))).toBe(true);
      expect(surroundings.mayPublish('hub', 'sites/all')).toBe(true);
      expect(surroundings.mayPublish('nobody', telemetry('nobody'))).toBe(false);
    });

    it('has what the ledger says, and the evidence for it, however often it is told', async () => {
      enrollMixed(40);
      const first = newFollower();
      await first.apply(fleet.entries);
      expect(whoIsIn()).toEqual(active());
      for (const [id] of fleet.devices) {
        const seq = fleet.entries.findLast(
          ({ data }) => 'device' in data && data.device === id,
        )?.seq;
        expect(first.acknowledgedAt(id, seq ?? 0)).toBe(clock.now());
      }
      await newFollower().apply(fleet.entries);
      expect(whoIsIn()).toEqual(active());
      expect(await newFollower().reconcile()).toMatchObject({
        ...{ devices: 40, missing: 0, changed: 0, stale: 0, foreign: 0 },
      });
    });

    it('is filled by one comparison when it is empty, and by another after it lost all', async () => {
      enrollMixed(40);
      const one = newFollower();
      const filled = await one.reconcile();
      expect(filled.missing).toBeGreaterThanOrEqual(active().length);
      expect(whoIsIn()).toEqual(active());
      await surroundings.empty();
      expect(whoIsIn()).toEqual([]);
      expect((await one.reconcile()).missing).toBe(filled.missing);
      expect(whoIsIn()).toEqual(active());
    });

    it('is repaired where somebody else changed it, which is counted, once', async () => {
      enrollMixed(20);
      const one = newFollower();
      await one.reconcile();
      await surroundings.grant('d1', 'gateway');
      await surroundings.grant('d10', 'gateway');
      await surroundings.remove('d4');
      await surroundings.grant('intruder', 'gateway');
      expect(await one.reconcile()).toMatchObject({ missing: 1, stale: 1, changed: 1, foreign: 1 });
      expect(whoIsIn()).toEqual(active());
      expect(surroundings.mayPublish('d10', 'sites/all')).toBe(false);
      expect(surroundings.mayPublish('intruder', 'sites/all')).toBe(false);
      expect(await one.reconcile()).toMatchObject({ missing: 0, stale: 0, changed: 0, foreign: 0 });
    });

    it('lets nobody in any more with what ended, nor with a certificate whose successor was used, if it knows serials', async () => {
      const old = fleet.enroll('d1');
      const one = newFollower();
      await one.apply(fleet.entries);
      const next = fleet.renew('d1');
      await one.apply(fleet.entries.slice(1));
      expect([surroundings.letsIn('d1', old), surroundings.letsIn('d1', next)]).toEqual([
        true,
        true,
      ]);
      fleet.use('d1');
      await one.apply(fleet.entries.slice(2));
      expect(surroundings.letsIn('d1', next)).toBe(true);
      expect(surroundings.letsIn('d1', old)).toBe(one.refusesSerials() !== true);
      fleet.change('d1', 'revoked');
      await one.apply(fleet.entries.slice(3));
      expect([surroundings.letsIn('d1', old), surroundings.letsIn('d1', next)]).toEqual([
        false,
        false,
      ]);
    });

    it('keeps nothing from the others when it refuses one, and is asked for that again', async () => {
      for (let n = 0; n < 5; n++) fleet.enroll(`d${String(n)}`);
      surroundings.refuse('d2');
      const one = newFollower();
      await expect(one.apply(fleet.entries)).rejects.toMatchObject({ code: 'TARGET_REFUSED' });
      expect(whoIsIn()).toEqual(['d0', 'd1', 'd3', 'd4']);
      expect(one.acknowledgedAt('d1', 2)).toBe(clock.now());
      expect(one.acknowledgedAt('d2', 3)).toBeUndefined();
      await expect(one.reconcile()).rejects.toMatchObject({ code: 'TARGET_REFUSED' });
      expect(one.lastReconciliation()).toBeUndefined();
    });

    it('that loses an answer at any step, with the service that asked, has the same in the end', async () => {
      enrollMixed(12);
      // More than there are calls: then it comes through.
      let isDone = false;
      for (let calls = 0; !isDone; calls++) {
        expect(calls).toBeLessThan(100);
        for (const how of ['apply', 'reconcile'] as const) {
          await surroundings.empty();
          surroundings.loseAnswerAfter(calls);
          const killed = newFollower();
          const outcome = await (
            how === 'apply' ? killed.apply(fleet.entries) : killed.reconcile()
          ).then(
            () => 'done',
            (error: unknown) => (error as { code: string }).code,
          );
          expect(outcome).toMatch(/^(done|TARGET_UNREACHABLE)$/);
          if (outcome === 'done') isDone = how === 'reconcile';
          // Not all of them yet, perhaps, but nobody who should not be.
          expect(active()).toEqual(expect.arrayContaining(whoIsIn()));
          surroundings.comeBack();
          await newFollower().apply(fleet.entries);
          expect(whoIsIn()).toEqual(active());
        }
      }
    });

    it('that is away for an hour is said to be, and has everything when it is back, without being asked to wait', async () => {
      const running = await run();
      fleet.enroll('d1');
      fleet.enroll('d2');
      expect(await running.waitFor(2, 5000)).toBe(true);
      await running.tick();
      expect(running.compared()?.seq).toBe(2);
      expect(running.lastError()).toBeUndefined();
      surroundings.goAway();
      fleet.change('d1', 'revoked');
      fleet.enroll('d3');
      clock.advance(Duration.hours(1));
      await running.tick();
      expect(running.behindFor()).toBe(Duration.hours(1));
      expect(running.lastError()).toMatch(/refused|reset|not connected/);
      expect(running.lag()).toBe(2);
      expect(running.acknowledgedAt('d1', 3)).toBeUndefined();
      const before = running.compared()?.at;
      surroundings.comeBack();
      expect(await running.waitFor(4, 5000)).toBe(true);
      expect(whoIsIn()).toEqual(['d2', 'd3']);
      expect(running.acknowledgedAt('d1', 3)).toBe(clock.now());
      await running.tick();
      await expect.poll(() => running.compared()?.at).not.toBe(before);
      expect(running.behindFor()).toBe(0);
      expect(running.lastError()).toBeUndefined();
      // And from then on once an hour.
      const at = clock.now();
      clock.advance(Duration.hours(1) - 1);
      await running.tick();
      expect(running.compared()?.at).toBe(at);
      clock.advance(1);
      await running.tick();
      expect(running.compared()?.at).toBe(clock.now());
    });

    it(`is filled with ${String(many)} identities, and lets a revocation through before it has them all`, async () => {
      for (let n = 0; n < many; n++) fleet.enroll(`d${String(n)}`);
      const before = fleet.entries.length;
      const given = surroundings.open(nothing);
      const put = given.put.bind(given);
      let puts = 0;
      let putsBefore = Infinity;
      // Read and compared by then, and not put yet.
      const ended = 'd2000';
      const one = newFollower({
        ...given,
        isConnected: true,
        put: (steps) => {
          puts++;
          if (puts === 3) {
            fleet.change(ended, 'revoked');
            void one.apply(fleet.entries.slice(before)).then(() => (putsBefore = puts));
          }
          return put(steps);
        },
      });
      expect(await one.reconcile()).toMatchObject({ devices: many, missing: many });
      expect(putsBefore).toBeLessThan(puts / 2);
      expect(isIn(ended)).toBe(false);
      expect(whoIsIn()).toHaveLength(many - 1);
      expect(await one.reconcile()).toMatchObject({
        devices: many,
        missing: 0,
        changed: 0,
        stale: 0,
      });
    }, 120_000);
  });
}
