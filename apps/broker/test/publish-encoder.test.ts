import { generate } from 'mqtt-packet';
import { expect, it } from 'vitest';
import { createRandom } from '../../../test/support/random.ts';
import { encodePublish, isPlain, type PublishParts } from '../src/engine/publish-encoder.ts';

const topics = ['a', 'devices/pump-1/telemetry', 'ä/€/😀', `long/${'x'.repeat(300)}`];
// Around the places where the remaining length takes one byte more (MQTT 5 §1.5.5), and what lies between.
const sizes = [0, 1, 60, 110, 125, 127, 128, 300, 16_300, 16_383, 16_384, 70_000, 2_097_152];

it('writes what mqtt-packet writes, byte for byte', () => {
  const random = createRandom(7);
  const pick = <Item>(list: readonly Item[]): Item => list[Math.floor(random() * list.length)]!;
  for (let round = 0; round < 2000; round += 1) {
    const qos = pick([0, 1, 2] as const);
    const packet: PublishParts = {
      topic: pick(topics),
      payload: Buffer.alloc(
        Math.max(0, pick(round % 50 === 0 ? sizes : sizes.slice(0, 8)) - pick([0, 3, 9, 31])),
        round,
      ),
      qos,
      retain: random() < 0.5,
      dup: qos > 0 && random() < 0.5,
      ...(qos === 0 ? {} : { messageId: 1 + Math.floor(random() * 65_535) }),
    };
    const version = pick([3, 4, 5]);
    const expected = generate({ cmd: 'publish', ...packet } as never, {
      protocolVersion: version,
    });
    const written = encodePublish(packet, version);
    expect(written.equals(expected), JSON.stringify({ ...packet, payload: '', version })).toBe(
      true,
    );
  }
});

it.each([
  [undefined, true],
  [{}, true],
  [{ contentType: 'text/plain' }, false],
  [{ subscriptionIdentifier: [1] }, false],
])('leaves properties to mqtt-packet: %j', (properties, plain) => {
  const packet = { topic: 't', payload: Buffer.alloc(0), qos: 0, retain: false, dup: false };
  expect(isPlain({ ...packet, properties } as PublishParts)).toBe(plain);
});
