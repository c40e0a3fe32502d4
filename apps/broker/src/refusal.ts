// Why a connection is turned away: one table for the log line, the MQTT answer and the metric's label.

interface Kind {
  /** MQTT 5 CONNACK reason code (MQTT 5.0 §3.2.2.2). */
  readonly reasonCode: number;
  /** MQTT 3.1.1 CONNACK return code (§3.2.2.3). */
  readonly returnCode: number;
  /** What the person who sees it should do. */
  readonly remedy: string;
}

const notAuthorized = { reasonCode: 0x87, returnCode: 5 };
const badClientId = { reasonCode: 0x85, returnCode: 2 };
const busy = { reasonCode: 0x97, returnCode: 3 };

const kinds = {
  'no-certificate': {
    ...notAuthorized,
    remedy: 'Give the client its certificate and key: this broker takes nothing else as a login.',
  },
  'unknown-ca': {
    ...notAuthorized,
    remedy:
      'Use a certificate that was issued by this Keyline, or add the authority that signed it to the broker’s --client-authorities file, and its root to the --ca file.',
  },
  'certificate-expired': {
    ...notAuthorized,
    remedy: 'Renew the certificate (POST /v1/renew, keyline device renew), and check both clocks.',
  },
  'certificate-not-yet-valid': {
    ...notAuthorized,
    remedy: 'Compare the clocks of the broker and of the machine that issued the certificate.',
  },
  'certificate-purpose': {
    ...notAuthorized,
    remedy: 'Use a client certificate: its extended key usage must name clientAuth.',
  },
  'certificate-invalid': {
    ...notAuthorized,
    remedy: 'Check it with: openssl verify -x509_strict -purpose sslclient -CAfile CA CERT.',
  },
  'certificate-unreadable': {
    ...notAuthorized,
    remedy:
      'Look at it with: openssl x509 -in CERT -text. Its serial must be positive and of 20 octets at most (RFC 5280 §4.1.2.2), its dates valid.',
  },
  'certificate-revoked': {
    ...notAuthorized,
    remedy: 'The certificate was revoked for good: enroll the device anew with a new key.',
  },
  'certificate-unlisted': {
    ...notAuthorized,
    remedy:
      'Use the newest certificate of this device; if its successor was lost, fetch it again (POST /v1/renew). If nobody issued this one, look for who has the key of the authority.',
  },
  'certificate-name': {
    ...notAuthorized,
    remedy:
      'The subject must hold exactly one CN, without "/", "+", "#" and control characters: it is the identity.',
  },
  'admin-key': {
    ...notAuthorized,
    remedy:
      'Only the certificates in the broker’s --admin-certificate files administer: add this one there, or look who has made it.',
  },
  'identity-unknown': {
    ...notAuthorized,
    remedy:
      'Enroll the device, or look whether its registration reached this broker (keyline device show ID).',
  },
  'identity-disabled': {
    ...notAuthorized,
    remedy: 'It was suspended by an operator: resume it (keyline device resume ID).',
  },
  'no-login': {
    reasonCode: 0x86,
    returnCode: 4,
    remedy:
      'On this port a client logs in with user name and password; certificates go to the other.',
  },
  'bad-login': {
    reasonCode: 0x86,
    returnCode: 4,
    remedy: 'Set its password with: mosquitto_ctrl dynsec setClientPassword NAME.',
  },
  'login-limit': {
    reasonCode: 0x9f,
    returnCode: 3,
    remedy: 'Wait a minute, and look who guesses.',
  },
  'client-id': {
    ...badClientId,
    remedy: 'Use the certificate’s CN as client id, or CN:suffix for several connections at once.',
  },
  'will-topic': {
    ...notAuthorized,
    remedy: 'Choose a will topic the identity may publish to, or extend its role.',
  },
  'will-size': {
    reasonCode: 0x95,
    returnCode: 5,
    remedy: 'Give it a smaller will, or raise --message-size-limit.',
  },
  'will-quota': {
    ...busy,
    remedy:
      'Let its sessions take what waits for them, give it smaller wills, or raise --max-queued-bytes: a will counts as a message that waits.',
  },
  connections: {
    ...busy,
    remedy: 'All connections are in use: close some, or raise --max-connections.',
  },
  'identity-connections': {
    ...busy,
    remedy:
      'Close connections of this identity that are not needed, or raise --max-connections-per-identity.',
  },
  'identity-sessions': {
    ...busy,
    remedy:
      'Connect once to each session that is not needed with a clean start, or raise --max-sessions-per-identity.',
  },
  sessions: {
    ...busy,
    remedy: 'Shorten --persistent-client-expiration, or raise --max-sessions.',
  },
  'authentication-method': {
    reasonCode: 0x8c,
    returnCode: 5,
    remedy: 'Leave Authentication Method out of CONNECT: the certificate is the login here.',
  },
  'shutting-down': {
    reasonCode: 0x8b,
    returnCode: 3,
    remedy: 'Connect again in a few seconds.',
  },
} as const satisfies Record<string, Kind>;

export type RefusalReason = keyof typeof kinds;

export interface Refusal extends Kind {
  readonly reason: RefusalReason;
  /** What happened, with the input it happened with: a sentence. */
  readonly happened: string;
}

export function refuse(reason: RefusalReason, happened: string): Refusal {
  return { reason, happened, ...kinds[reason] };
}

/** For CONNACK and DISCONNECT: what happened and what to do. */
export function reasonStringOf(refusal: Refusal): string {
  return `${refusal.happened} ${refusal.remedy}`;
}
