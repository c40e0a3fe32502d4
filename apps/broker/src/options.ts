// What a broker is started with. Limits carry the names that Mosquitto's users know.

export interface CertificateFiles {
  /** Server certificate with its chain, PEM. */
  readonly cert: string;
  /** Its private key, PEM. */
  readonly key: string;
  /** CA certificates that the chains of client certificates are checked against, PEM. */
  readonly ca: string;
  /** The authorities whose own clients are let in, PEM; absent: those in `ca`. Nobody else below their roots is. */
  readonly clientAuthorities?: string | undefined;
}

export interface Limits {
  /** Connections at once; one more is refused with MQTT 5 reason 0x97. Mosquitto: max_connections. */
  readonly maxConnections: number;
  /** QoS 1 and 2 messages on their way to a client and not yet acknowledged. Mosquitto: max_inflight_messages. */
  readonly maxInflightMessages: number;
  /** Messages that wait for one client; more are dropped and counted. Mosquitto: max_queued_messages. */
  readonly maxQueuedMessages: number;
  /** Bytes that wait for the sessions of one identity, with some 900 for each message; more are dropped. Mosquitto: max_queued_bytes. */
  readonly maxQueuedBytes: number;
  /** The same for all together. None may hold more than an eighth of what is left of it, so that there is always some for the others. */
  readonly maxQueuedBytesInAll: number;
  /** QoS 1 and 2 messages of one client that it was not answered yet: MQTT 5's receive maximum, one more ends the connection (0x93). */
  readonly maxIncomingMessages: number;
  /** Payload bytes of one message; a larger one is not delivered. 0: no limit. Mosquitto: message_size_limit. */
  readonly messageSizeLimit: number;
  /** Bytes of one packet; a larger one ends the connection (MQTT 5 reason 0x95). Mosquitto: max_packet_size. */
  readonly maxPacketSize: number;
  /** Topic filters in one SUBSCRIBE or UNSUBSCRIBE; more end the connection (0x97). */
  readonly maxFiltersPerPacket: number;
  /** User properties of one packet; more end the connection (0x97). */
  readonly maxUserProperties: number;
  /** Connections of one identity at once (`CN` and every `CN:suffix`); administrators have no limit. */
  readonly maxConnectionsPerIdentity: number;
  /** Sessions of one identity, of connected and of absent clients; administrators have no limit. */
  readonly maxSessionsPerIdentity: number;
  /** Sessions in all. */
  readonly maxSessions: number;
  /** Topic filters of one identity; one above 128 bytes or 8 levels counts as several. More are refused in SUBACK (0x97). */
  readonly maxSubscriptionsPerIdentity: number;
  /** The same in all. */
  readonly maxSubscriptions: number;
  /** Retained messages that one identity may leave behind; one more is refused (0x97). */
  readonly maxRetainedMessages: number;
  /** Bytes of them, with some 900 for each. */
  readonly maxRetainedBytes: number;
  /** The same for all together; shared as queued bytes are. */
  readonly maxRetainedBytesInAll: number;
  /** Messages in a second from one identity; above it is not read for a while. 0: no limit but that of its role, which may be lower, too. */
  readonly maxMessageRate: number;
  /** Bytes of messages in a second from one identity, in the same way. */
  readonly maxByteRate: number;
  /**
   * Bytes that a client has not taken yet: above it, it is not read, QoS 0 messages to it are dropped and others wait; above four times
   * as many it is cut.
   */
  readonly maxUnreadBytes: number;
  /** The same of all clients together; those that have the most go first. */
  readonly maxUnreadBytesInAll: number;
  /**
   * Memory for packets that have begun and not ended, and for those that wait because their sender is held back, of all clients together;
   * those that have the most go first.
   */
  readonly maxPartialBytes: number;
  /** Milliseconds from the first to the last byte of a packet. */
  readonly packetTimeout: number;
  /** Seconds; a client that asks for more or for none gets this much. Mosquitto: max_keepalive. */
  readonly maxKeepalive: number;
  /** Seconds that the session of an absent client is kept at most. Mosquitto: persistent_client_expiration. */
  readonly persistentClientExpiration: number;
  /** Milliseconds from the TCP connection to the end of the TLS handshake. */
  readonly handshakeTimeout: number;
  /** Milliseconds from there to the CONNECT packet. */
  readonly connectTimeout: number;
  /**
   * TLS handshakes at once. When there is no room, the address that holds most of them gives way (IPv6: its /64), so that one alone
   * can't keep the others out.
   */
  readonly maxHandshakes: number;
  /** Connections at once whose handshake is done and whose CONNECT was not accepted yet; shared in the same way. */
  readonly maxWaitingConnections: number;
  /** Connections at once from one address (IPv6: one /64), whatever they are. 0: no limit, for a plant may be behind one address. */
  readonly maxConnectionsPerAddress: number;
  /** Wrong passwords a minute from one address (IPv6: one /64); beyond it none of its passwords is looked at. */
  readonly maxGuessesPerAddress: number;
  /** Wrong passwords a minute at one user name, from addresses that did not get in under it last. */
  readonly maxGuessesPerName: number;
}

export const defaultLimits: Limits = {
  maxConnections: 100_000,
  maxInflightMessages: 20,
  maxQueuedMessages: 1000,
  maxQueuedBytes: 16_777_216,
  maxQueuedBytesInAll: 268_435_456,
  maxIncomingMessages: 1000,
  messageSizeLimit: 0,
  maxPacketSize: 1_048_576,
  maxFiltersPerPacket: 100,
  maxUserProperties: 100,
  maxConnectionsPerIdentity: 100,
  maxSessionsPerIdentity: 100,
  maxSessions: 1_000_000,
  maxSubscriptionsPerIdentity: 1000,
  maxSubscriptions: 1_000_000,
  maxRetainedMessages: 10_000,
  maxRetainedBytes: 16_777_216,
  maxRetainedBytesInAll: 268_435_456,
  maxMessageRate: 0,
  maxByteRate: 0,
  maxUnreadBytes: 1_048_576,
  maxUnreadBytesInAll: 134_217_728,
  maxPartialBytes: 67_108_864,
  packetTimeout: 60_000,
  maxKeepalive: 65_535,
  persistentClientExpiration: 7 * 24 * 3600,
  handshakeTimeout: 10_000,
  connectTimeout: 10_000,
  maxHandshakes: 2000,
  maxWaitingConnections: 2000,
  maxConnectionsPerAddress: 0,
  maxGuessesPerAddress: 30,
  maxGuessesPerName: 10,
};

/** What TLS may be spoken. The lists are OpenSSL's, separated by colons; undefined: what it would choose itself. */
export interface TlsPolicy {
  readonly minVersion: '1.2' | '1.3';
  /** For the key exchange, the first one preferred: `X25519MLKEM768:X25519`. */
  readonly groups?: string | undefined;
  /** Of both sides' certificates' keys: `mldsa65:ecdsa_secp256r1_sha256`; undefined: `defaultSignatureAlgorithms`. */
  readonly signatureAlgorithms?: string | undefined;
  /** Suites of TLS 1.2 and 1.3 in one list: `ECDHE-ECDSA-AES128-CCM8:TLS_AES_128_CCM_8_SHA256`. Mosquitto: ciphers, ciphers_tls1.3. */
  readonly ciphers?: string | undefined;
}

export const defaultTlsPolicy: TlsPolicy = { minVersion: '1.2' };

/** What is issued today and tomorrow; nothing with SHA-1, SHA-224 or DSA, which OpenSSL would still verify. */
export const defaultSignatureAlgorithms = [
  'ecdsa_secp256r1_sha256',
  'ecdsa_secp384r1_sha384',
  'ecdsa_secp521r1_sha512',
  'ed25519',
  'ed448',
  'rsa_pss_rsae_sha256',
  'rsa_pss_rsae_sha384',
  'rsa_pss_rsae_sha512',
  'rsa_pss_pss_sha256',
  'rsa_pss_pss_sha384',
  'rsa_pss_pss_sha512',
  'rsa_pkcs1_sha256',
  'rsa_pkcs1_sha384',
  'rsa_pkcs1_sha512',
  'mldsa44',
  'mldsa65',
  'mldsa87',
].join(':');

export interface BrokerOptions {
  /** Folder of the broker's state; created when absent. */
  readonly data: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** MQTT over TLS for clients with user name and password instead of a certificate, when it is asked for. 0: any free port. */
  readonly passwordPort?: number | undefined;
  /** MQTT over WebSocket over TLS, when it is asked for. 0: any free port. */
  readonly webSocketPort?: number | undefined;
  /** Plain HTTP on 127.0.0.1: /metrics, /healthz. 0: any free port. */
  readonly metricsPort: number;
  readonly certificates: CertificateFiles;
  readonly tls: TlsPolicy;
  /** CNs that may use `$CONTROL/dynamic-security/#`. */
  readonly admins: readonly string[];
  /** Files with their certificates, PEM, looked at again and again; when there are any, an admin is let in with such a key alone. */
  readonly adminCertificates: readonly string[];
  readonly limits: Limits;
}
