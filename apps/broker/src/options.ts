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
  /**
   * TLS handshakes at once. When there is no room, the address that holds most of them gives way (IPv6: its /64), so that one alone
   * can't keep the others out.
   */
  readonly maxHandshakes: number;
  /** Connections at once whose handshake is done and whose CONNECT was not accepted yet; shared in the same way. */
  readonly maxWaitingConnections: number;
  /** Connections at once from one address (IPv6: one /64), whatever they are. 0: no limit, for a plant may be behind one address. */
  readonly maxConnectionsPerAddress: number;
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
  maxWaitingConnections: 2000,
  maxConnectionsPerAddress: 0,
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
