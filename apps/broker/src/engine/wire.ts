// Packets that the broker writes itself, where aedes has no word for what is to be said.
import type { Client, Connection, PublishPacket } from 'aedes';
import { writeToStream } from 'mqtt-packet';
import type { Limits } from '../options.ts';
import { reasonStringOf, type Refusal } from '../refusal.ts';
import type { EngineClient } from './aedes-client.ts';
import { holdTurn } from './write-batch.ts';

/** How many topic aliases a client may set [MQTT-3.2.2-18]. */
export const topicAliasMaximum = 10;

/** CONNACK with a refusal; aedes' own carries no reason string. */
export function answerRefused({ conn }: Client, version: number, refusal: Refusal): void {
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

interface Welcome {
  readonly sessionPresent: boolean;
  readonly assignedClientId: string | undefined;
  readonly limits: Limits;
}

/**
 * CONNACK in our words. aedes' says that there are no shared subscriptions, and calls a session present only when it holds a
 * subscription.
 */
export function answerWelcome(client: EngineClient, welcome: Welcome): void {
  const { sessionPresent, assignedClientId, limits } = welcome;
  if (client.version !== 5) {
    writeToStream({ cmd: 'connack', sessionPresent, returnCode: 0 }, client.conn, {
      protocolVersion: client.version,
    });
    return;
  }
  const {
    _serverKeepAlive: serverKeepAlive,
    _sessionExpiryClamped,
    sessionExpiryInterval,
  } = client;
  writeToStream(
    {
      cmd: 'connack',
      sessionPresent,
      reasonCode: 0,
      properties: {
        topicAliasMaximum,
        ...(limits.maxPacketSize > 0 ? { maximumPacketSize: limits.maxPacketSize } : {}),
        ...(assignedClientId === undefined ? {} : { assignedClientIdentifier: assignedClientId }),
        ...(serverKeepAlive === undefined ? {} : { serverKeepAlive }),
        ...(_sessionExpiryClamped ? { sessionExpiryInterval } : {}),
      },
    },
    client.conn,
    { protocolVersion: 5 },
  );
}

const swallow = (): boolean => true;

/** What is written to the connection from here on is not sent: for aedes' CONNACK, the only thing it can write now. */
export function holdBack(conn: Connection): void {
  conn.write = swallow;
}

/** The stream's own method again. What hides it is not deleted: an object that lost a property takes more memory, and more time. */
export function letGo(conn: Connection): void {
  const { write } = Object.getPrototypeOf(conn) as { readonly write: unknown };
  Object.assign(conn, { write });
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
  holdTurn(client.conn);
  if (version !== 5 || reasonCode === 0) {
    // In MQTT 5 too: a success need not be said [MQTT 5 §3.4.2.1].
    writeToStream({ cmd, messageId }, client.conn, { protocolVersion: 4 });
    return;
  }
  // [MQTT-3.1.2-29]
  const mayExplain =
    reasonString !== undefined &&
    (client as unknown as EngineClient)._requestProblemInformation !== false;
  writeToStream(
    {
      cmd,
      messageId,
      reasonCode,
      ...(mayExplain ? { properties: { reasonString } } : {}),
    },
    client.conn,
    { protocolVersion: 5 },
  );
}

/** DISCONNECT from the server, which only MQTT 5 knows. */
export function sayGoodbye(
  { conn, version }: Pick<Client, 'conn' | 'version'>,
  reasonCode: number,
  text: string,
): void {
  if (version !== 5 || conn.destroyed) return;
  // Behind what is held already, and out before whoever ends the connection in the next turn.
  holdTurn(conn);
  writeToStream({ cmd: 'disconnect', reasonCode, properties: { reasonString: text } }, conn, {
    protocolVersion: 5,
  });
}
