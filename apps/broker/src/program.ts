// The command line: `keyline-broker serve …`, its options into BrokerOptions.
import { Command, InvalidArgumentError, Option, type OutputConfiguration } from 'commander';
import type { MosquittoOptions } from './mosquitto/options.ts';
import {
  describeExitCodes,
  encodeDuration,
  isKeylineError,
  KeylineError,
  logLevels,
  messageOf,
  parseDuration,
  version,
} from '@keyline/kernel';
import {
  defaultLimits,
  defaultTlsPolicy,
  type BrokerOptions,
  type Limits,
  type TlsPolicy,
} from './options.ts';

export interface ServeCommand {
  readonly options: BrokerOptions;
  /** Given: real Mosquitto serves instead of the embedded engine, with these and the options. */
  readonly mosquitto: Omit<MosquittoOptions, keyof BrokerOptions> | undefined;
  /** Written when the broker serves: JSON with pid and ports. */
  readonly readyFile: string | undefined;
  readonly logLevel: string;
}

const limitOptions: Record<keyof Limits, readonly [flag: string, help: string]> = {
  maxConnections: ['--max-connections <n>', 'connections at once'],
  maxInflightMessages: [
    '--max-inflight-messages <n>',
    'unacknowledged QoS 1 and 2 messages per client',
  ],
  maxQueuedMessages: ['--max-queued-messages <n>', 'messages waiting per client'],
  maxQueuedBytes: ['--max-queued-bytes <bytes>', 'of messages waiting, per identity'],
  maxQueuedBytesInAll: ['--max-queued-bytes-in-all <bytes>', 'of messages waiting, in all'],
  maxIncomingMessages: [
    '--max-incoming-messages <n>',
    'QoS 1 and 2 messages of a client not yet answered',
  ],
  maxFiltersPerPacket: ['--max-filters-per-packet <n>', 'topic filters in one SUBSCRIBE'],
  maxUserProperties: ['--max-user-properties <n>', 'user properties of one packet'],
  maxConnectionsPerIdentity: [
    '--max-connections-per-identity <n>',
    'connections at once per identity',
  ],
  maxSessionsPerIdentity: ['--max-sessions-per-identity <n>', 'sessions per identity'],
  maxSessions: ['--max-sessions <n>', 'sessions in all'],
  maxSubscriptionsPerIdentity: [
    '--max-subscriptions-per-identity <n>',
    'topic filters per identity; long and deep ones count as several',
  ],
  maxSubscriptions: ['--max-subscriptions <n>', 'topic filters in all'],
  maxRetainedMessages: ['--max-retained-messages <n>', 'retained messages per identity'],
  maxRetainedBytes: ['--max-retained-bytes <bytes>', 'of retained messages, per identity'],
  maxRetainedBytesInAll: ['--max-retained-bytes-in-all <bytes>', 'of retained messages, in all'],
  maxMessageRate: [
    '--max-message-rate <n>',
    'messages a second per identity, 0 for none but its role’s',
  ],
  maxByteRate: [
    '--max-byte-rate <bytes>',
    'of messages a second per identity, 0 for none but its role’s',
  ],
  maxUnreadBytes: [
    '--max-unread-bytes <bytes>',
    'that a client has not taken; above it, it is not read',
  ],
  maxUnreadBytesInAll: [
    '--max-unread-bytes-in-all <bytes>',
    'that clients have not taken; above it, those with the most are cut',
  ],
  maxPartialBytes: [
    '--max-partial-bytes <bytes>',
    'of packets that are not whole or wait; above it, those with the most are cut',
  ],
  packetTimeout: ['--packet-timeout <duration>', 'first to last byte of a packet'],
  messageSizeLimit: ['--message-size-limit <bytes>', 'payload of one message, 0 for no limit'],
  maxPacketSize: ['--max-packet-size <bytes>', 'one packet; a larger one ends the connection'],
  maxKeepalive: ['--max-keepalive <duration>', 'longest keep-alive a client gets'],
  persistentClientExpiration: [
    '--persistent-client-expiration <duration>',
    'longest time the session of an absent client is kept',
  ],
  handshakeTimeout: ['--handshake-timeout <duration>', 'TCP connection to end of TLS handshake'],
  connectTimeout: ['--connect-timeout <duration>', 'TLS handshake to CONNECT packet'],
  maxHandshakes: [
    '--max-handshakes <n>',
    'TLS handshakes at once, shared between addresses when there is no room',
  ],
  maxWaitingConnections: [
    '--max-waiting-connections <n>',
    'connections between handshake and CONNECT at once, shared likewise',
  ],
  maxConnectionsPerAddress: [
    '--max-connections-per-address <n>',
    'connections from one address (IPv6: /64), 0 for no limit',
  ],
  maxGuessesPerAddress: [
    '--max-guesses-per-address <n>',
    'wrong passwords a minute from one address',
  ],
  maxGuessesPerName: ['--max-guesses-per-name <n>', 'wrong passwords a minute at one user name'],
};

/** Those that are durations: milliseconds in one of what the limit counts. A plain number on the command line is of these, too. */
const durationUnits: Partial<Record<keyof Limits, number>> = {
  packetTimeout: 1,
  maxKeepalive: 1000,
  persistentClientExpiration: 1000,
  handshakeTimeout: 1,
  connectTimeout: 1,
};

interface Flags extends Limits {
  readonly data: string;
  readonly host: string;
  readonly port: number;
  readonly passwordPort?: number;
  readonly websocketPort?: number;
  readonly metricsPort: number;
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly clientAuthorities?: string;
  readonly tlsVersion: TlsPolicy['minVersion'];
  readonly tlsGroups?: string;
  readonly tlsSignatureAlgorithms?: string;
  readonly ciphers?: string;
  readonly admin: string[];
  readonly adminCertificate: string[];
  readonly readyFile?: string;
  readonly logLevel: string;
  readonly engine: 'embedded' | 'mosquitto';
  readonly mosquitto?: string;
  readonly config?: string;
  readonly crlUrl: string[];
  readonly crlUrls?: string;
}

/**
 * @param serve called with what the line asks for; resolves when the broker has stopped
 * @param output where help and usage errors go
 */
export function createProgram(
  serve: (command: ServeCommand) => Promise<void>,
  output: OutputConfiguration,
): Command {
  const program = new Command('keyline-broker')
    .description('The MQTT broker of Keyline: mTLS only, MQTT 3.1.1 and 5, dynamic-security API.')
    .version(`keyline-broker ${version}`, '--version', 'print the version')
    .configureOutput(output)
    .showHelpAfterError('(--help shows how it is used)')
    .exitOverride();
  const command = program
    .command('serve')
    .description('serve until SIGTERM; SIGHUP looks at the certificate files at once')
    .requiredOption('--data <dir>', 'folder of the broker’s state, created when absent')
    .option('--host <host>', 'address to listen on', '127.0.0.1')
    .option('--port <port>', 'MQTT over TLS; 0: any free port', parseCount, 8883)
    .option(
      '--password-port <port>',
      'MQTT over TLS for clients with user name and password as well, no certificate asked for; 0: any',
      parseCount,
    )
    .option('--websocket-port <port>', 'MQTT over WebSocket over TLS as well; 0: any', parseCount)
    .option('--metrics-port <port>', '/metrics and /healthz on 127.0.0.1; 0: any', parseCount, 0)
    .requiredOption('--cert <file>', 'server certificate with its chain, PEM')
    .requiredOption('--key <file>', 'its private key, PEM')
    .requiredOption('--ca <file>', 'CAs that client certificates are checked against, PEM')
    .option(
      '--client-authorities <file>',
      'authorities that issue the clients, PEM: what they did not sign themselves is not let in (default: those in --ca)',
    )
    .addOption(
      new Option('--tls-version <version>', 'oldest TLS that is spoken')
        .choices(['1.2', '1.3'])
        .default(defaultTlsPolicy.minVersion),
    )
    .option(
      '--tls-groups <list>',
      'key exchange, first preferred, for instance X25519MLKEM768:X25519 (default: OpenSSL’s)',
      parseList,
    )
    .option(
      '--tls-signature-algorithms <list>',
      'of both sides’ keys, for instance mldsa65:ecdsa_secp256r1_sha256 (default: ECDSA, EdDSA, RSA and ML-DSA without SHA-1)',
      parseList,
    )
    .option(
      '--ciphers <list>',
      'suites of TLS 1.2 and 1.3, for instance ECDHE-ECDSA-AES128-CCM8:TLS_AES_128_CCM_8_SHA256:@SECLEVEL=0 for small stacks (default: Node’s)',
      parseList,
    )
    .option(
      '--admin <cn>',
      'certificate CN that may use the dynamic-security API (repeatable)',
      (value: string, all: string[]) => [...all, value],
      [] as string[],
    )
    .option(
      '--admin-certificate <file>',
      'certificates of those admins, PEM: then no other key of their name is let in (repeatable, looked at again and again)',
      (value: string, all: string[]) => [...all, value],
      [] as string[],
    )
    .option('--ready-file <file>', 'written when the broker serves')
    .addOption(
      new Option('--log-level <level>', 'least of what is logged, one JSON line each on stdout')
        .choices(logLevels)
        .env('KEYLINE_LOG_LEVEL')
        .default('info'),
    )
    .addOption(
      new Option(
        '--engine <engine>',
        'Keyline’s own broker, or Eclipse Mosquitto of this machine, supervised',
      )
        .choices(['embedded', 'mosquitto'])
        .default('embedded'),
    )
    .option('--mosquitto <path>', 'with --engine mosquitto: the program (default: looked for)')
    .option('--config <dir>', 'with --engine mosquitto: ca-config, whose roles become its acl_file')
    .option(
      '--crl-url <url>',
      'with --engine mosquitto: complete CRL of an issuing authority, plain HTTP (repeatable)',
      parseUrls,
      [] as string[],
    )
    .option(
      '--crl-urls <file>',
      'with --engine mosquitto: file with more of them, one a line, looked at again and again',
    );
  for (const [name, [flag, help]] of Object.entries(limitOptions)) {
    const value = defaultLimits[name as keyof Limits];
    const unit = durationUnits[name as keyof Limits];
    const option = new Option(flag, help);
    if (unit === undefined) option.argParser(parseCount).default(value);
    else option.argParser(durationIn(unit)).default(value, encodeDuration(value * unit));
    command.addOption(option);
  }
  command
    .addHelpText(
      'after',
      `
A device is who its certificate's CN says. Its client id is the CN, or CN:suffix for several connections at once;
an empty one is filled in. An --admin may use any client id that begins with its CN.

${describeExitCodes(['ok', 'internal', 'usage', 'refused', 'badFile'])}

Example:
  $ keyline-broker serve --data broker --cert broker.crt --key broker.key --ca ca.pem --admin keyline@service`,
    )
    .action(async (flags: Flags) => {
      const { data, host, port, websocketPort, metricsPort, cert, key, ca, admin, readyFile } =
        flags;
      const limits = Object.fromEntries(
        Object.keys(limitOptions).map((name) => [name, flags[name as keyof Limits]]),
      ) as unknown as Limits;
      await serve({
        options: {
          data,
          host,
          port,
          passwordPort: flags.passwordPort,
          webSocketPort: websocketPort,
          metricsPort,
          certificates: { cert, key, ca, clientAuthorities: flags.clientAuthorities },
          tls: {
            minVersion: flags.tlsVersion,
            groups: flags.tlsGroups,
            signatureAlgorithms: flags.tlsSignatureAlgorithms,
            ciphers: flags.ciphers,
          },
          admins: admin,
          adminCertificates: flags.adminCertificate,
          limits,
        },
        mosquitto: mosquittoOf(flags),
        readyFile,
        logLevel: flags.logLevel,
      });
    });
  return program;
}

function mosquittoOf(flags: Flags): ServeCommand['mosquitto'] {
  const { engine, mosquitto, config, crlUrl, crlUrls, adminCertificate, clientAuthorities } = flags;
  if (engine === 'embedded') {
    const given = [mosquitto, config, crlUrls, ...crlUrl];
    if (given.every((value) => value === undefined)) return undefined;
    throw new KeylineError(
      'USAGE',
      '--mosquitto, --config, --crl-url and --crl-urls go with --engine mosquitto: the embedded broker is told roles and revocations by the issuing CA.',
    );
  }
  if (adminCertificate.length > 0 || clientAuthorities !== undefined) {
    throw new KeylineError(
      'USAGE',
      '--admin-certificate and --client-authorities go with the embedded broker: Mosquitto checks chains against --ca, and knows an administrator by the name in its certificate.',
    );
  }
  if (flags.passwordPort !== undefined) {
    throw new KeylineError(
      'USAGE',
      '--password-port goes with the embedded broker: the supervised Mosquitto asks everybody for a certificate.',
    );
  }
  if (config === undefined) {
    throw new KeylineError(
      'USAGE',
      '--engine mosquitto needs --config DIR: the roles in ca-config become its acl_file.',
    );
  }
  return { mosquitto, config, crlUrls: crlUrl, crlUrlsFile: crlUrls };
}

function parseUrls(text: string, all: readonly string[]): string[] {
  if (URL.parse(text)?.protocol !== 'http:') {
    throw new InvalidArgumentError(
      'It must be an http:// URL: a CRL is signed, and who checks TLS can’t need TLS for it.',
    );
  }
  return [...all, text];
}

/** OpenSSL takes an empty one for its own defaults: a variable that is not set would open what it was meant to close. */
function parseList(text: string): string {
  if (text.trim() === '') throw new InvalidArgumentError('It must name something.');
  return text;
}

/** commander argument parser: `10s`, or a number of units. */
function durationIn(unit: number): (text: string) => number {
  return (text) => {
    if (/^\d+$/.test(text)) return parseCount(text);
    try {
      return Math.round(parseDuration(text) / unit);
    } catch (error) {
      throw new InvalidArgumentError(isKeylineError(error) ? error.detail : messageOf(error));
    }
  };
}

function parseCount(text: string): number {
  const count = Number(text);
  if (!/^\d{1,10}$/.test(text) || !Number.isSafeInteger(count)) {
    throw new InvalidArgumentError('It must be a whole number, 0 or more.');
  }
  return count;
}
