// mosquitto.conf, from the options that the embedded broker takes too.
import type { Limits, TlsPolicy } from '../options.ts';
import { runtimeFiles } from './runtime-folder.ts';

export interface ConfigurationGiven {
  readonly host: string;
  readonly port: number;
  readonly plugin: string;
  readonly tls: Pick<TlsPolicy, 'minVersion' | 'ciphers'>;
  readonly limits: Limits;
  readonly hasCrl: boolean;
}

const hour = 3600;

/** Node takes the suites of both versions in one list, OpenSSL and Mosquitto in two. */
function cipherLines(ciphers: string | undefined): string[] {
  const all = (ciphers ?? '').split(':').filter((name) => name !== '');
  const suites = all.filter((name) => name.startsWith('TLS_'));
  const older = all.filter((name) => !suites.includes(name));
  return [
    ...(older.length > 0 ? [`ciphers ${older.join(':')}`] : []),
    ...(suites.length > 0 ? [`ciphers_tls1.3 ${suites.join(':')}`] : []),
  ];
}

/** All file names are relative to the folder it runs in. */
export function writeConfiguration(given: ConfigurationGiven): string {
  const { host, port, plugin, tls, limits, hasCrl } = given;
  const files = runtimeFiles;
  const lines = [
    '# Written by keyline-broker at each start: changes made here do not last.',
    'per_listener_settings false',
    'allow_anonymous false',
    `plugin ${plugin}`,
    `plugin_opt_config_file ${files.state}`,
    // Dynamic security is asked first; what it has no answer to, it leaves to this file.
    `acl_file ${files.acl}`,
    '',
    'persistence true',
    'persistence_location ./',
    `persistence_file ${files.sessions}`,
    // What a crash may cost: messages that were acknowledged since.
    'autosave_interval 60',
    `persistent_client_expiration ${Math.max(1, Math.ceil(limits.persistentClientExpiration / hour))}h`,
    `max_inflight_messages ${limits.maxInflightMessages}`,
    `max_queued_messages ${limits.maxQueuedMessages}`,
    ...(limits.messageSizeLimit > 0 ? [`message_size_limit ${limits.messageSizeLimit}`] : []),
    `max_packet_size ${Math.max(20, limits.maxPacketSize)}`,
    `max_keepalive ${Math.min(65_535, Math.max(10, limits.maxKeepalive))}`,
    // Else each small answer waits for the acknowledgement of the one before.
    'set_tcp_nodelay true',
    // The supervisor decides by these figures whether a reload is safe.
    'sys_interval 1',
    '',
    // stdout would be buffered in blocks.
    'log_dest stderr',
    'log_timestamp false',
    'connection_messages true',
    ...['error', 'warning', 'notice', 'information'].map((type) => `log_type ${type}`),
    '',
    `listener ${port} ${host}`,
    `max_connections ${limits.maxConnections}`,
    `cafile ${files.ca}`,
    `certfile ${files.certificate}`,
    `keyfile ${files.key}`,
    ...(hasCrl ? [`crlfile ${files.crl}`] : []),
    `tls_version tlsv${tls.minVersion}`,
    ...cipherLines(tls.ciphers),
    'require_certificate true',
    'use_identity_as_username true',
    // Else a device could end another's session and take its queue by using its client id.
    'use_username_as_clientid true',
    '',
    // The supervisor's own way in: only who may enter this folder reaches it, and it asks for a password that changes at each start.
    `listener 0 ${files.control}`,
    '',
  ];
  return lines.join('\n');
}
