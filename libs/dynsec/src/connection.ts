// One MQTT 5 connection to a broker's dynamic-security API, from the handshake to its loss.
import { connect as connectTcp, isIP } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { KeylineError, messageOf } from '@keyline/kernel';
import { ErrorWithSubackPacket, MqttClient } from 'mqtt';

const requestTopic = '$CONTROL/dynamic-security/v1';
const responseTopic = `${requestTopic}/response`;

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
  const { handshakeTimeout = 10_000 } = options;
  const client = createClient(options, handshakeTimeout);
  let problem = 'it closed the connection';
  client.on('error', (error) => {
    problem = messageOf(error);
  });
  client.on('disconnect', ({ reasonCode, properties }) => {
    problem = `it disconnected with reason ${reasonCode ?? 0}${properties?.reasonString === undefined ? '' : `: ${properties.reasonString}`}`;
  });
  client.on('message', (topic, payload) => {
    if (topic === responseTopic) events.onAnswers(payload);
  });
  const end = (): Promise<void> =>
    new Promise((resolve) => {
      client.end(true, () => resolve());
    });
  try {
    await within(handshakeTimeout, events.signal, async () => {
      await connected(client, () => problem);
      await subscribe(client, options);
    });
  } catch (cause) {
    await end();
    if (cause instanceof KeylineError) throw cause;
    throw new KeylineError(
      'TARGET_UNREACHABLE',
      `The broker ${options.url} can't be reached: ${messageOf(cause)}. Check that it runs and that its address and this identity's certificate are right.`,
      { cause, context: { url: options.url } },
    );
  }
  let closing = false;
  client.once('close', () => {
    if (!closing) events.onLost(problem);
    client.end(true);
  });
  return {
    publish: async (payload) => {
      try {
        await client.publishAsync(requestTopic, payload, { qos: 1 });
      } catch (cause) {
        if (!isNotAuthorized(cause)) throw cause;
        throw notAllowed(options, `its request was refused (${messageOf(cause)})`, cause);
      }
    },
    close: async () => {
      closing = true;
      await end();
    },
  };
}

function createClient(options: ConnectionOptions, handshakeTimeout: number): MqttClient {
  const { protocol, hostname, port } = new URL(options.url);
  // IPv6 addresses stand in brackets in URLs.
  const host = hostname.replace(/^\[|\]$/g, '');
  const secure = protocol === 'mqtts:';
  return new MqttClient(
    () => {
      const target = { host, port: port === '' ? (secure ? 8883 : 1883) : Number(port) };
      const servername = options.servername ?? (isIP(host) === 0 ? host : undefined);
      const socket = secure
        ? connectTls({
            ...target,
            ...options.credentials?.(),
            ...(servername === undefined ? {} : { servername }),
            minVersion: 'TLSv1.2',
          })
        : connectTcp(target);
      // Without it each request waits for the acknowledgement of the one before: 44 ms on Linux.
      socket.setNoDelay(true);
      return socket;
    },
    {
      protocolVersion: 5,
      clientId: options.clientId ?? '',
      clean: true,
      keepalive: 30,
      reconnectPeriod: 0,
      connectTimeout: handshakeTimeout,
      resubscribe: false,
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
    },
  );
}

function connected(client: MqttClient, problem: () => string): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('connect', () => resolve());
    client.once('close', () => reject(new Error(problem())));
  });
}

async function subscribe(client: MqttClient, options: ConnectionOptions): Promise<void> {
  let granted;
  try {
    granted = await client.subscribeAsync(responseTopic, { qos: 0 });
  } catch (cause) {
    if (!(cause instanceof ErrorWithSubackPacket)) throw cause;
    throw notAllowed(options, `its subscription was refused (${messageOf(cause)})`, cause);
  }
  const [grant] = granted;
  if (grant === undefined || grant.qos >= 128) {
    throw notAllowed(options, `its subscription was refused (reason ${grant?.qos ?? 'unknown'})`);
  }
}

/** MQTT 5 reason code 0x87. */
function isNotAuthorized(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 0x87;
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
