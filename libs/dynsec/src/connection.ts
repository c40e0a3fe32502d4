// One MQTT 5 connection to a broker's dynamic-security API, from the handshake to its loss.
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { KeylineError, messageOf } from '@keyline/kernel';
import type { ConnackPacket, Packet, PubackPacket, SubackPacket } from '@keyline/mqtt';
import { PacketSocket } from './packet-socket.ts';

const requestTopic = '$CONTROL/dynamic-security/v1';
const responseTopic = `${requestTopic}/response`;
/** Seconds without a word of ours after which a broker may end the connection. */
const keepAlive = 30;
const notAuthorized = 0x87;

/** PEM. Without `cert` and `key` the connection is made without a client certificate. */
export interface TlsCredentials {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
}

export interface ConnectionOptions {
  /** `mqtts://host:port` or `mqtt://host:port`. */
  readonly url: string;
  /** Asked for at each connection, so that a renewed certificate is used from the next one on. */
  readonly credentials?: (() => TlsCredentials) | undefined;
  /** For brokers that ask for a password (beside or instead of a certificate). */
  readonly username?: string;
  readonly password?: string;
  /** Empty: the broker chooses. */
  readonly clientId?: string;
  /** Milliseconds for handshake, CONNECT and SUBSCRIBE. Default 10,000. */
  readonly handshakeTimeout?: number;
  /** Name in the server's certificate, when it is not the URL's host. */
  readonly servername?: string;
}

export interface Connection {
  /** One payload, QoS 1. Rejects when the broker refuses it. @throws {KeylineError} TARGET_REFUSED */
  publish(payload: string): Promise<void>;
  close(): Promise<void>;
}

/** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED */
export async function openConnection(
  options: ConnectionOptions,
  events: {
    readonly signal: AbortSignal;
    readonly onAnswers: (payload: Uint8Array) => void;
    /** Once, after the connection was open. */
    readonly onLost: (reason: string) => void;
  },
): Promise<Connection> {
  const { handshakeTimeout = 10_000, clientId = '', username, password } = options;
  const dialogue = createDialogue(openSocket(options), events.onAnswers);
  try {
    await within(handshakeTimeout, events.signal, async () => {
      const { reasonCode } = await dialogue.connect({
        ...{ type: 'connect', protocolVersion: 5, clean: true, keepAlive, clientId },
        username,
        password: password === undefined ? undefined : Buffer.from(password),
      });
      if (reasonCode !== 0) throw new Error(`it refused the connection (${hexOf(reasonCode)})`);
      const { reasonCodes } = await dialogue.subscribe(responseTopic);
      const refusal = reasonCodes.find((code) => code >= 0x80);
      if (refusal !== undefined) {
        throw notAllowed(options, `its subscription was refused (${hexOf(refusal)})`);
      }
    });
  } catch (cause) {
    await dialogue.end('it was given up');
    if (cause instanceof KeylineError) throw cause;
    throw new KeylineError(
      'TARGET_UNREACHABLE',
      `The broker ${options.url} can't be reached: ${messageOf(cause)}. Check that it runs and that its address and this identity's certificate are right.`,
      { cause, context: { url: options.url } },
    );
  }
  let closing = false;
  void dialogue.ended.then((reason) => {
    if (!closing) events.onLost(reason);
  });
  return {
    publish: async (payload) => {
      const { reasonCode } = await dialogue.publish(requestTopic, Buffer.from(payload));
      if (reasonCode < 0x80) return;
      const what = `its request was refused (${hexOf(reasonCode)})`;
      throw reasonCode === notAuthorized ? notAllowed(options, what) : new Error(what);
    },
    close: async () => {
      closing = true;
      await dialogue.end('it was closed');
    },
  };
}

interface Dialogue {
  connect(packet: Packet): Promise<ConnackPacket>;
  subscribe(filter: string): Promise<SubackPacket>;
  publish(topic: string, payload: Buffer): Promise<PubackPacket>;
  /** Why; it never rejects. */
  readonly ended: Promise<string>;
  end(reason: string): Promise<void>;
}

/** Packets and what answers them. Everything that waits rejects when the connection ends. */
function createDialogue(socket: Socket, onMessage: (payload: Uint8Array) => void): Dialogue {
  interface Waiting {
    readonly resolve: (packet: Packet) => void;
    readonly reject: (error: Error) => void;
  }
  /** By type and packet id of the answer. */
  const waiting = new Map<string, Waiting>();
  let endReason: string | undefined;
  let lastId = 0;
  let settleEnd: (reason: string) => void;
  const ended = new Promise<string>((resolve) => (settleEnd = resolve));
  let pings: NodeJS.Timeout | undefined;

  const packets = new PacketSocket(socket, {
    onPacket(packet) {
      if (packet.type === 'publish') {
        // It was subscribed to at QoS 0 and with no topic alias, so that is all that may come.
        if (packet.topic === responseTopic) onMessage(packet.payload);
        return;
      }
      if (packet.type === 'disconnect') {
        const { reasonCode, properties } = packet;
        const words = properties?.reasonString === undefined ? '' : `: ${properties.reasonString}`;
        void packets.end(`it disconnected with reason ${hexOf(reasonCode)}${words}`);
        return;
      }
      const key = answerKey(packet);
      const answered = waiting.get(key);
      waiting.delete(key);
      answered?.resolve(packet);
    },
    onEnd(reason) {
      clearInterval(pings);
      endReason = reason;
      for (const { reject } of waiting.values()) reject(new Error(reason));
      waiting.clear();
      settleEnd(reason);
    },
  });
  /** @param seconds that the broker waits for a word of ours; 0: for ever */
  function ping(seconds: number): void {
    if (seconds === 0 || endReason !== undefined) return;
    let pingedAt: number | undefined;
    pings = setInterval(
      () => {
        if (pingedAt !== undefined && packets.heardAt < pingedAt) {
          void packets.end('it did not answer a ping');
          return;
        }
        pingedAt = performance.now();
        packets.send({ type: 'pingreq' });
      },
      (seconds * 1000) / 2,
    );
  }

  function ask<Answer extends Packet>(packet: Packet, key: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (endReason !== undefined) {
        reject(new Error(endReason));
        return;
      }
      waiting.set(key, { resolve: resolve as (packet: Packet) => void, reject });
      packets.send(packet);
    });
  }

  /** Some payloads are under way at most, so one of 65,535 is always free. */
  function nextId(): number {
    lastId = (lastId % 0xffff) + 1;
    return waiting.has(`puback ${lastId}`) ? nextId() : lastId;
  }

  return {
    ended,
    end: (reason) => packets.end(reason),
    async connect(packet) {
      const answer = await ask<ConnackPacket>(packet, 'connack 0');
      // MQTT-3.1.2-21: what the broker says of it counts.
      ping(answer.properties?.serverKeepAlive ?? keepAlive);
      return answer;
    },
    subscribe(filter) {
      const packetId = nextId();
      const options = {
        qos: 0,
        noLocal: false,
        retainAsPublished: false,
        retainHandling: 0,
      } as const;
      return ask(
        { type: 'subscribe', packetId, subscriptions: [{ filter, ...options }] },
        `suback ${packetId}`,
      );
    },
    publish(topic, payload) {
      const packetId = nextId();
      const flags = { qos: 1, dup: false, retain: false } as const;
      return ask({ type: 'publish', topic, payload, packetId, ...flags }, `puback ${packetId}`);
    },
  };
}

function answerKey(packet: Packet): string {
  return `${packet.type} ${'packetId' in packet ? packet.packetId : 0}`;
}

function openSocket(options: ConnectionOptions): Socket {
  const { protocol, hostname, port } = new URL(options.url);
  // IPv6 addresses stand in brackets in URLs.
  const host = hostname.replace(/^\[|\]$/g, '');
  const secure = protocol === 'mqtts:';
  const target = { host, port: port === '' ? (secure ? 8883 : 1883) : Number(port) };
  const servername = options.servername ?? (isIP(host) === 0 ? host : undefined);
  return secure
    ? connectTls({
        ...target,
        ...options.credentials?.(),
        ...(servername === undefined ? {} : { servername }),
        minVersion: 'TLSv1.2',
      })
    : connectTcp(target);
}

/** A reason code as MQTT 5 §2.4 writes it. */
function hexOf(reasonCode: number): string {
  return `0x${reasonCode.toString(16).padStart(2, '0')}`;
}

function notAllowed({ url }: ConnectionOptions, what: string, cause?: unknown): KeylineError {
  return new KeylineError(
    'TARGET_REFUSED',
    `The broker ${url} does not let this identity administer it: ${what}. Give it publishClientSend, publishClientReceive and subscribePattern on $CONTROL/dynamic-security/#, or name it among the broker's admins. A Mosquitto that was killed while it wrote dynamic-security.json may have lost it: begin anew with what GET /v1/dynamic-security answers.`,
    { cause, context: { url } },
  );
}

async function within(
  milliseconds: number,
  signal: AbortSignal,
  work: () => Promise<void>,
): Promise<void> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
  await Promise.race([
    work(),
    new Promise<never>((_resolve, reject) => {
      limit.addEventListener('abort', () => {
        reject(new Error(signal.aborted ? 'it was given up' : `no answer in ${milliseconds} ms`));
      });
    }),
  ]);
}
