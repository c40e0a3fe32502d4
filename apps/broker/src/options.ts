// What a broker is started with. Limits carry the names that Mosquitto's users know.

export interface CertificateFiles {
  /** Server certificate with its chain, PEM. */
  readonly cert: string;
  /** Its private key, PEM. */
  readonly key: string;
  /** CA certificates that device certificates are checked against, PEM. */
  readonly ca: string;
}

export interface Limits {
  /** Connections at once; one more is refused with MQTT 5 reason 0x97. Mosquitto: max_connections. */
  readonly maxConnections: number;
  /** QoS 1 and 2 messages on their way to a client and not yet acknowledged. Mosquitto: max_inflight_messages. */
  readonly maxInflightMessages: number;
  /** Messages that wait for one client; more are dropped and counted. Mosquitto: max_queued_messages. */
  readonly maxQueuedMessages: number;
  /** Payload bytes of one message; a larger one is not delivered. 0: no limit. Mosquitto: message_size_limit. */
  readonly messageSizeLimit: number;
  /** Bytes of one packet; a larger one ends the connection (MQTT 5 reason 0x95). Mosquitto: max_packet_size. */
  readonly maxPacketSize: number;
  /** Seconds; a client that asks for more or for none gets this much. Mosquitto: max_keepalive. */
  readonly maxKeepalive: number;
  /** Seconds that the session of an absent client is kept at most. Mosquitto: persistent_client_expiration. */
  readonly persistentClientExpiration: number;
  /** Milliseconds from the TCP connection to the end of the TLS handshake. */
  readonly handshakeTimeout: number;
  /** Milliseconds from there to the CONNECT packet. */
  readonly connectTimeout: number;
  /** TLS handshakes at once; further connections are dropped until one ends. */
  readonly maxHandshakes: number;
}

export const defaultLimits: Limits = {
  maxConnections: 100_000,
  maxInflightMessages: 20,
  maxQueuedMessages: 1000,
  messageSizeLimit: 0,
  maxPacketSize: 1_048_576,
  maxKeepalive: 65_535,
  persistentClientExpiration: 7 * 24 * 3600,
  handshakeTimeout: 10_000,
  connectTimeout: 10_000,
  maxHandshakes: 2000,
};

/** What TLS may be spoken. The lists are OpenSSL's, separated by colons; undefined: what it would choose itself. */
export interface TlsPolicy {
  readonly minVersion: '1.2' | '1.3';
  /** For the key exchange, the first one preferred: `X25519MLKEM768:X25519`. */
  readonly groups?: string | undefined;
  /** Of both sides' certificates' keys: `mldsa65:ecdsa_secp256r1_sha256`. */
  readonly signatureAlgorithms?: string | undefined;
}

export const defaultTlsPolicy: TlsPolicy = { minVersion: '1.2' };

export interface BrokerOptions {
  /** Folder of the broker's state; created when absent. */
  readonly data: string;
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
  /** MQTT over WebSocket over TLS, when it is asked for. 0: any free port. */
  readonly webSocketPort?: number | undefined;
  /** Plain HTTP on 127.0.0.1: /metrics, /healthz. 0: any free port. */
  readonly metricsPort: number;
  readonly certificates: CertificateFiles;
  readonly tls: TlsPolicy;
  /** CNs that may use `$CONTROL/dynamic-security/#`. */
  readonly admins: readonly string[];
  readonly limits: Limits;
}
