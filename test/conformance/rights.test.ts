// The same roles, the same verdicts, the same cut sessions: Keyline's engine, the broker around it, and a real Mosquitto.
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { kickCases, markerRole, rightsCases } from './rights-cases.ts';
import { systems, type System } from './systems.ts';

for (const { name, start, skip } of systems) {
  describe.skipIf(skip)(`Rights on ${name}`, () => {
    let system: System | undefined;
    afterEach(async () => {
      await system?.stop();
      system = undefined;
    });

    async function setUp(commands: readonly object[]): Promise<System> {
      system = await start();
      const answers = await system.ask(JSON.stringify({ commands }));
      expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
      return system;
    }

    it.each(rightsCases)('$title', async ({ setUp: commands, checks }) => {
      const tested = await setUp([markerRole, ...commands]);
      for (const check of checks) {
        const { as, clientId, does, on, under = on, allowed, mosquitto20 } = check;
        if (does === 'unsubscribe' && !tested.tellsUnsubscribe) continue;
        const client = await tested.connect(as, clientId);
        const verdict =
          does === 'receive' ? await client.receives(on, under) : await client[does](on);
        await client.leave();
        const expected = tested.version === 'mosquitto 2.0' ? (mosquitto20 ?? allowed) : allowed;
        expect(verdict, JSON.stringify(check)).toBe(expected);
      }
    });

    it.each(kickCases)('$title: session cut? $kicks', async ({ command, kicks, mosquitto20 }) => {
      const tested = await setUp([
        { command: 'createRole', rolename: 'r' },
        { command: 'createRole', rolename: 's' },
        { command: 'createGroup', groupname: 'g' },
        { command: 'createClient', username: 'dev1', password: 'client-password' },
        { command: 'createClient', username: 'dev2', password: 'client-password' },
        { command: 'addClientRole', username: 'dev1', rolename: 'r' },
        { command: 'addGroupClient', groupname: 'g', username: 'dev1' },
      ]);
      const client = await tested.connect('dev1');
      const [answer] = await tested.ask(JSON.stringify({ commands: [command] }));
      expect(answer).not.toHaveProperty('error');
      const expected = tested.version === 'mosquitto 2.0' ? (mosquitto20 ?? kicks) : kicks;
      // A cut comes with the answer, or soon after; none is known only by waiting.
      const cut = await Promise.race([
        client.kicked.then(() => true),
        sleep(expected ? 5000 : 200, false),
      ]);
      await client.leave();
      expect(cut).toBe(expected);
    });
  });
}
