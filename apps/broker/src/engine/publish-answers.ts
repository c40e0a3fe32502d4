// What a PUBLISH is answered with: PUBACK, PUBREC, or PUBCOMP to its PUBREL, as far as the client's version has words for it.
import { encodePacket, type PublishPacket } from '@keyline/mqtt';
import type { Connection } from './connection.ts';

const nothing = Buffer.alloc(0);

/** PUBACK or PUBREC; before MQTT 5 an answer has no reason, and in MQTT 5 a success need not be said (§3.4.2.1). */
export function answer(
  { version, wantsReasons }: Connection,
  { qos, packetId }: PublishPacket,
  reasonCode: number,
  reasonString?: string,
): Buffer {
  const type = qos === 1 ? 'puback' : 'pubrec';
  if (version !== 5 || reasonCode === 0) return shortAnswer(qos === 1 ? 0x40 : 0x50, packetId);
  // [MQTT-3.1.2-29]
  const properties = reasonString === undefined || !wantsReasons ? undefined : { reasonString };
  return encodePacket({ type, packetId, reasonCode, properties }, 5);
}

export function storedAnswer(
  { version, wantsReasons }: Connection,
  first: number,
  packetId: number,
  error: Error | undefined,
): Buffer {
  if (error === undefined || first === 0x70) return shortAnswer(first, packetId);
  // Before MQTT 5 an acknowledgement can't say that it failed: without one the client sends the message again later.
  if (version !== 5) return nothing;
  const reasonString = 'The message could not be stored: see the broker’s log.';
  return encodePacket(
    {
      type: first === 0x40 ? 'puback' : 'pubrec',
      packetId,
      reasonCode: 0x80,
      properties: wantsReasons ? { reasonString } : undefined,
    },
    5,
  );
}

export function shortAnswer(first: number, packetId: number): Buffer {
  return Buffer.of(first, 2, packetId >> 8, packetId & 0xff);
}
