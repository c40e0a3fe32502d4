// Connections that the broker ends: what they are told, in their protocol, and what the log says: who it was, why, and what to set.
import { encodePacket, type MalformedPacket } from '@keyline/mqtt';
import { messageOf } from '@keyline/kernel';
import type { Logger } from 'pino';
import { httpAnswer, notHttp, type ForeignProtocol } from '../foreign-protocol.ts';
import type { Metrics } from '../metrics.ts';
import type { RefusalLine, RefusalLog } from '../refusal-log.ts';
import type { Connection } from './connection.ts';

interface EndingsOptions {
  readonly metrics: Metrics;
  readonly refusals: RefusalLog;
  readonly log: Logger;
}

export class Endings {
  readonly #options: EndingsOptions;

  constructor(options: EndingsOptions) {
    this.#options = options;
  }

  /** What MQTT does not allow, or more than a limit of ours. */
  refuse(connection: Connection, { reasonCode, clause, message, version }: MalformedPacket): void {
    const { metrics, refusals } = this.#options;
    const tooLarge = reasonCode === 0x95 ? tooLargeFor(connection, message) : undefined;
    const text = `${message} (${clause})${tooLarge === undefined ? '' : ` ${tooLarge.remedy}`}`;
    metrics.refusedPackets.inc({ reason: reasonCode.toString(16) });
    if (tooLarge === undefined) this.#reportEnd(connection, text);
    else refusals.write(tooLarge);
    if (connection.state !== 'arriving') {
      // A second CONNECT that is wrong in itself: DISCONNECT has no word for its version.
      connection.end(reasonCode === 0x84 ? 0x82 : reasonCode, text);
      return;
    }
    const properties = { reasonString: text };
    const connack = { type: 'connack', sessionPresent: false } as const;
    if (version === 5) connection.close(encodePacket({ ...connack, reasonCode, properties }, 5));
    // MQTT 3.1.1 has a word for this alone.
    else if (reasonCode === 0x84) connection.close(encodePacket({ ...connack, reasonCode: 1 }, 4));
    else connection.close();
  }

  /** Whoever comes with another protocol is told in its words, where it has some. */
  sendAway(connection: Connection, protocol: ForeignProtocol): void {
    const { metrics, refusals } = this.#options;
    metrics.refusedPackets.inc({ reason: protocol });
    refusals.write({
      ...whoIs(connection),
      event: 'wrong protocol',
      reason: protocol,
      happened: `${nameOf(connection)} speaks ${protocol === 'http' ? 'HTTP' : 'MQTT over WebSocket'} to the port of MQTT over TLS.`,
      remedy:
        protocol === 'http'
          ? 'Connect an MQTT client with mqtts://; the API has another port.'
          : 'Connect with mqtts:// instead of wss://, or to the port of --websocket-port.',
    });
    connection.close(httpAnswer(notHttp));
  }

  limit(connection: Connection, reasonCode: number, text: string): void {
    this.#options.metrics.limited.inc({ reason: reasonCode.toString(16) });
    this.#reportEnd(connection, text);
    connection.end(reasonCode, text);
  }

  fail(connection: Connection, error: unknown): void {
    const { log, metrics } = this.#options;
    metrics.failures.inc();
    log.error(
      {
        event: 'connection failed',
        certificate: connection.peerIdentity.names,
        clientId: connection.admission?.clientId,
        peer: connection.address,
        error: messageOf(error),
        stack: error instanceof Error ? error.stack : undefined,
      },
      `something went wrong in the broker while it served this connection, which was ended: ${messageOf(error)}`,
    );
    connection.end(0x83, 'Something went wrong in the broker; its log says what.');
  }

  #reportEnd(connection: Connection, error: string): void {
    this.#options.log.info(
      {
        event: 'connection ended',
        certificate: connection.peerIdentity.names,
        clientId: connection.admission?.clientId,
        peer: connection.address,
        error,
      },
      `connection ended: ${nameOf(connection)}: ${error}`,
    );
  }
}

/** By the client id where it has one; a name that was not proven is said to be so. */
function nameOf({ admission, peerIdentity, address }: Connection): string {
  const { cn } = peerIdentity.names;
  const name = cn === undefined ? 'A client' : JSON.stringify(cn);
  const clientId =
    admission === undefined ? '' : `, client id ${JSON.stringify(admission.clientId)}`;
  return `${name} (from ${address}${clientId})`;
}

function whoIs({ admission, peerIdentity, address }: Connection) {
  return {
    certificate: peerIdentity.names,
    clientId: admission?.clientId,
    peer: address,
    isProven: 'identity' in peerIdentity.verdict,
  };
}

/** @returns undefined for a stranger, who may send less than anybody can set */
function tooLargeFor(connection: Connection, message: string): RefusalLine | undefined {
  if (!('identity' in connection.peerIdentity.verdict)) return undefined;
  return {
    ...whoIs(connection),
    event: 'packet too large',
    reason: 'packet-size',
    happened: `${nameOf(connection)} was cut: ${message}`,
    remedy: 'Send smaller messages, or raise --max-packet-size of the broker.',
  };
}
