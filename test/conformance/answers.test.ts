// The same commands, the same answers: Keyline's engine, the broker around it, and a real Mosquitto.
import { afterEach, describe, expect, it } from 'vitest';
import { answerCases, payloadCases } from './answer-cases.ts';
import { systems, type System } from './systems.ts';

for (const { name, start, skip } of systems) {
  describe.skipIf(skip)(`Answers of ${name}`, () => {
    let system: System | undefined;
    afterEach(async () => {
      await system?.stop();
      system = undefined;
    });

    it.each(answerCases)('$title', async ({ steps }) => {
      system = await start();
      for (const { send, answer, mosquitto20 } of steps) {
        const old = system.version === 'mosquitto 2.0' ? mosquitto20 : undefined;
        if (old === 'undefined behaviour') continue;
        const answers = await system.ask(JSON.stringify({ commands: [send] }));
        const expected = [old ?? answer];
        expect(partOf(answers, expected), JSON.stringify(send)).toEqual(expected);
      }
    });

    it('answers whole payloads', async () => {
      system = await start();
      for (const { title, payload, answers, mosquitto20 } of payloadCases) {
        const expected = system.version === 'mosquitto 2.0' ? (mosquitto20 ?? answers) : answers;
        const given = await system.ask(payload);
        expect(partOf(given, expected), title).toEqual(expected);
      }
    });
  });
}

/** Only the members that are expected; an expected `undefined` must be absent. Lists stay whole. */
function partOf(given: unknown, expected: unknown): unknown {
  if (Array.isArray(given) && Array.isArray(expected)) {
    return given.map((entry: unknown, at) => partOf(entry, expected[at]));
  }
  if (typeof given !== 'object' || given === null) return given;
  if (typeof expected !== 'object' || expected === null) return given;
  return Object.fromEntries(
    Object.entries(expected).map(([name, value]) => [
      name,
      partOf((given as Record<string, unknown>)[name], value),
    ]),
  );
}
