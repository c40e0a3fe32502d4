import { Writable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { generate } from 'mqtt-packet';
import { expect, it } from 'vitest';
import { createRandom } from '../../../test/support/random.ts';
import type { Qos } from '../src/engine/message.ts';
import { Output } from '../src/engine/output.ts';
import { Publication } from '../src/engine/publication.ts';

const topics = ['a', 'devices/pump-1/telemetry', 'ä/€/😀', `long/${'x'.repeat(300)}`];
// Around the places where the remaining length takes one byte more (MQTT 5 §1.5.5), and what lies between.
const sizes = [0, 1, 60, 110, 125, 127, 128, 300, 2048, 5000, 16_300, 16_383, 16_384, 2_097_152];

/** What a stream has been given. */
function collect(): { output: Output; written: () => Buffer } {
  const chunks: Buffer[] = [];
  const conn = new Writable({
    write(chunk: Buffer, _encoding, done) {
      // As the block is given back after the write.
      chunks.push(Buffer.from(chunk));
      done();
    },
  });
  return {
    output: new Output(conn as never, () => undefined),
    written: () => Buffer.concat(chunks),
  };
}

it('writes for each receiver what mqtt-packet writes, byte for byte, whatever packet it came in', async () => {
  const random = createRandom(7);
  const pick = <Item>(list: readonly Item[]): Item => list[Math.floor(random() * list.length)]!;
  const { output, written } = collect();
  const publication = new Publication();
  const expected: Buffer[] = [];
  for (let round = 0; round < 3000; round += 1) {
    const topic = pick(topics);
    const size = pick(round % 50 === 0 ? sizes : sizes.slice(0, 8)) - pick([0, 3, 9, 31]);
    const payload = Buffer.alloc(Math.max(0, size), round);
    const from = { qos: pick([0, 1] as const), version: pick([4, 5] as const) };
    const to = { qos: pick([0, 1, 2] as const), version: pick([4, 5] as const) };
    const packet = generate(
      { cmd: 'publish', topic, payload, qos: from.qos, messageId: 7, dup: false, retain: false },
      { protocolVersion: from.version },
    );
    // Not at the beginning of what was read, and not at its end.
    const bytes = Buffer.concat([Buffer.from('before'), packet, Buffer.from('after')]);
    const isPacket = random() < 0.7;
    publication.topic = topic;
    publication.topicBytes = Buffer.from(topic);
    publication.qos = from.qos;
    publication.bytes = bytes;
    publication.start = 6;
    publication.end = 6 + packet.length;
    publication.payloadStart = publication.end - payload.length;
    const between = (from.qos > 0 ? 2 : 0) + (from.version === 5 ? 1 : 0);
    publication.topicEnd = publication.payloadStart - between;
    publication.isFive = from.version === 5;
    publication.begin();
    if (!isPacket) publication.setMessage(publication.message, Buffer.from(topic));
    const retain = random() < 0.5;
    const messageId = 1 + Math.floor(random() * 65_535);
    const qos: Qos = to.qos;
    publication.write(output, 0x30 | (qos << 1) | (retain ? 1 : 0), messageId, to.version === 5);
    expected.push(
      generate(
        { cmd: 'publish', topic, payload, qos, messageId, dup: false, retain },
        { protocolVersion: to.version },
      ),
    );
    if (round % 20 === 0) await nextTurn();
  }
  await expect.poll(() => written().length).toBe(Buffer.concat(expected).length);
  expect(written().equals(Buffer.concat(expected))).toBe(true);
});

it('keeps nothing of the bytes it came in when it has to be kept', () => {
  const publication = new Publication();
  publication.bytes = Buffer.from('xxpayloadxx');
  publication.payloadStart = 2;
  publication.end = 9;
  publication.begin();
  const { payload } = publication.message;
  expect(payload.toString()).toBe('payload');
  expect(payload.buffer).not.toBe(publication.bytes.buffer);
});
