// The broker's journals and snapshots with bits turned, parts lost and files gone: it starts on them, or refuses with a word that
// helps; and whoever it does not know stays outside.
import { cpSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { MqttDevice, type MqttIdentity } from '../support/mqtt-device.ts';
import { BrokerParts, BrokerProcess, identityOf } from './support/broker-process.ts';
import type { Dice } from './support/dice.ts';
import { fuzz, fuzzTimeout } from './support/fuzz.ts';
import { mutateBytes } from './support/mutate-bytes.ts';

const rounds = 8;

let parts: BrokerParts;
let good: string;
let known: MqttIdentity;
let stranger: MqttIdentity;

beforeAll(async () => {
  parts = await BrokerParts.create();
  good = join(parts.folder, 'data');
  const broker = await BrokerProcess.serve(parts);
  known = await broker.device('known');
  // Several changes, so that the journal has a middle.
  for (const name of ['one', 'two', 'three']) await broker.device(name);
  stranger = identityOf('stranger', await parts.pki.issue('stranger'));
  const stays = { clean: false, properties: { sessionExpiryInterval: 3600 } };
  // A session that is away with messages waiting, a will, retained messages: something of everything that is kept.
  const away = await MqttDevice.connect(broker.address, known, {
    ...stays,
    clientId: 'known:away',
  });
  await away.subscribe('state/#');
  await away.close();
  const publisher = await MqttDevice.connect(broker.address, known, {
    will: { topic: 'state/will', payload: Buffer.from('gone'), qos: 1, retain: true },
  });
  for (let count = 0; count < 20; count += 1) {
    await publisher.publish(`state/${count % 5}`, `message ${count}`, { retain: count % 2 === 0 });
  }
  // As after a loss of power: with a journal behind the snapshot.
  await broker.stop('SIGKILL');
  await publisher.close();
});

afterAll(() => parts.remove());

const filesOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile());

/** @returns what was done, for the message when it goes wrong */
function damage(folder: string, dice: Dice): string {
  const files = filesOf(folder);
  const file = dice.pick(files);
  const bytes = readFileSync(file);
  const name = file.slice(folder.length + 1);
  if (dice.happens(0.1)) {
    rmSync(file);
    return `${name} removed`;
  }
  if (dice.happens(0.1)) {
    writeFileSync(file, Buffer.alloc(bytes.length));
    return `${name} full of zeros`;
  }
  const others = files.filter((other) => other !== file && readdirSync(folder).length > 0);
  const splices = others.length > 0 ? [readFileSync(dice.pick(others))] : [];
  writeFileSync(file, mutateBytes(bytes, dice, splices));
  return `${name} changed`;
}

it(
  'starts on damaged files or says why not, and lets no stranger in',
  { timeout: fuzzTimeout },
  async () => {
    const ends = { served: 0, refused: 0 };
    await fuzz('state-on-disk', rounds, async (dice, round) => {
      const folder = join(parts.folder, `damaged-${round}`);
      cpSync(good, folder, { recursive: true });
      const done = Array.from({ length: 1 + dice.below(2) }, () => damage(folder, dice)).join(', ');
      const broker = await BrokerProcess.start(parts, folder);
      try {
        if (broker instanceof BrokerProcess) {
          ends.served += 1;
          expect(await MqttDevice.whyRefused(broker.address, stranger), done).toBeDefined();
          // Known or not any more: an answer, and nothing else goes wrong by it.
          await MqttDevice.whyRefused(broker.address, known, {
            clientId: 'known:away',
            clean: false,
          });
          await broker.stop();
          expect(broker.end, done).toMatch(/^exit code 0/);
          expect(
            broker.lines.filter(({ level }) => level >= 60),
            done,
          ).toEqual([]);
        } else {
          ends.refused += 1;
          expect(broker, `${done}: ${broker.output}`).toMatchObject({ code: 6, signal: null });
          const last = broker.lines.findLast(({ event }) => event === 'not started');
          // A sentence for a person, and not the insides of a program.
          expect(last?.msg, `${done}: ${broker.output}`).toMatch(/.{30,}/);
          expect(last, `${done}: ${broker.output}`).not.toHaveProperty('stack');
        }
      } finally {
        if (broker instanceof BrokerProcess) await broker.stop('SIGKILL');
        rmSync(folder, { recursive: true, force: true });
      }
    });
    console.log(`fuzz state-on-disk: ${ends.served} served, ${ends.refused} refused`);
    expect(ends.served + ends.refused).toBeGreaterThan(0);
  },
);
