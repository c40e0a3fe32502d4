// The limits of keyline-broker as keyline.yaml names them. A test holds names and defaults against `keyline-broker serve --help`.

/** What stands in the file: a whole number, or a duration that the program takes as a number of this unit. */
export type BrokerLimitUnit = 'count' | 'bytes' | 'milliseconds' | 'seconds';

export interface BrokerLimit {
  readonly unit: BrokerLimitUnit;
  /** What holds when it is left out, as it is written. */
  readonly usual: number | string;
  readonly what: string;
}

const count = (usual: number, what: string): BrokerLimit => ({ unit: 'count', usual, what });
const bytes = (usual: number, what: string): BrokerLimit => ({ unit: 'bytes', usual, what });

/** By the name of the option without "--" in camel case. */
export const brokerLimits = {
  maxConnections: count(100_000, 'connections at once'),
  maxConnectionsPerIdentity: count(100, 'connections at once per identity'),
  maxConnectionsPerAddress: count(0, 'connections from one address (IPv6: /64); 0: no limit'),
  maxInflightMessages: count(20, 'unacknowledged QoS 1 and 2 messages per client'),
  maxIncomingMessages: count(1000, 'QoS 1 and 2 messages of a client not yet answered'),
  maxQueuedMessages: count(1000, 'messages waiting per client'),
  maxQueuedBytes: bytes(16_777_216, 'of messages waiting, per identity'),
  maxQueuedBytesInAll: bytes(268_435_456, 'of messages waiting, in all'),
  messageSizeLimit: bytes(0, 'payload of one message; 0: no limit'),
  maxPacketSize: bytes(1_048_576, 'one packet; a larger one ends the connection'),
  packetTimeout: { unit: 'milliseconds', usual: '1m', what: 'first to last byte of a packet' },
  maxFiltersPerPacket: count(100, 'topic filters in one SUBSCRIBE'),
  maxUserProperties: count(100, 'user properties of one packet'),
  maxSessions: count(1_000_000, 'sessions in all'),
  maxSessionsPerIdentity: count(100, 'sessions per identity'),
  maxSubscriptions: count(1_000_000, 'topic filters in all'),
  maxSubscriptionsPerIdentity: count(1000, 'topic filters per identity'),
  maxRetainedMessages: count(10_000, 'retained messages per identity'),
  maxRetainedBytes: bytes(16_777_216, 'of retained messages, per identity'),
  maxRetainedBytesInAll: bytes(268_435_456, 'of retained messages, in all'),
  maxMessageRate: count(0, 'messages a second per identity; 0: none but that of its role'),
  maxByteRate: bytes(0, 'of messages a second per identity; 0: none but that of its role'),
  maxUnreadBytes: bytes(1_048_576, 'that a client has not taken; above it, it is not read'),
  maxUnreadBytesInAll: bytes(134_217_728, 'that clients have not taken, in all'),
  maxPartialBytes: bytes(67_108_864, 'of packets that are not whole or wait, in all'),
  maxKeepalive: { unit: 'seconds', usual: '18h12m15s', what: 'longest keep-alive' },
  persistentClientExpiration: {
    unit: 'seconds',
    usual: '7d',
    what: 'longest time the session of an absent client is kept',
  },
  handshakeTimeout: {
    unit: 'milliseconds',
    usual: '10s',
    what: 'TCP connection to the end of the TLS handshake',
  },
  connectTimeout: { unit: 'milliseconds', usual: '10s', what: 'TLS handshake to CONNECT' },
  maxHandshakes: count(2000, 'TLS handshakes at once'),
  maxWaitingConnections: count(2000, 'connections between handshake and CONNECT at once'),
  maxGuessesPerAddress: count(30, 'wrong passwords a minute from one address'),
  maxGuessesPerName: count(10, 'wrong passwords a minute at one user name'),
} as const satisfies Readonly<Record<string, BrokerLimit>>;

export type BrokerLimitName = keyof typeof brokerLimits;
