// Packets that the broker writes itself, where aedes has no word for what is to be said.
import type { Client, PublishPacket } from 'aedes';
import { writeToStream } from 'mqtt-packet';
import { reasonStringOf, type Refusal } from '../refusal.ts';

/** CONNACK with a refusal; aedes' own carries no reason string. */
export function answerConnect({ conn }: Client, version: number, refusal: Refusal): void {
  const { reasonCode, returnCode } = refusal;
  writeToStream(
    version === 5
      ? {
          cmd: 'connack',
          sessionPresent: false,
          reasonCode,
          properties: { reasonString: reasonStringOf(refusal) },
        }
      : { cmd: 'connack', sessionPresent: false, returnCode },
    conn,
    { protocolVersion: version },
  );
}

/** PUBACK or PUBREC in aedes' place; QoS 0 has no answer, and before MQTT 5 an answer has no reason. */
export function acknowledge(
  client: Client,
  { qos, messageId }: PublishPacket,
  reasonCode: number,
  reasonString?: string,
): void {
  if (qos === 0 || messageId === undefined || client.closed || client.conn.destroyed) return;
  const { version } = client;
  const cmd = qos === 1 ? 'puback' : 'pubrec';
  if (version !== 5) {
    writeToStream({ cmd, messageId }, client.conn, { protocolVersion: version });
    return;
  }
  writeToStream(
    {
      cmd,
      messageId,
      reasonCode,
      ...(reasonString === undefined ? {} : { properties: { reasonString } }),
    },
    client.conn,
    { protocolVersion: 5 },
  );
}

/** DISCONNECT from the server, which only MQTT 5 knows. */
export function sayGoodbye({ conn, version }: Client, reasonCode: number, text: string): void {
  if (version !== 5 || conn.destroyed) return;
  writeToStream({ cmd: 'disconnect', reasonCode, properties: { reasonString: text } }, conn, {
    protocolVersion: 5,
  });
}
