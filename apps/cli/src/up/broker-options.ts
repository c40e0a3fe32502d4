// Options of keyline-broker that `keyline up` passes on: --broker-option max-connections=20000.

/** What `up` decides itself: files, ports and names that the services know each other by. */
const decidedByUp: Readonly<Record<string, string>> = {
  'admin-certificate': '',
  'client-authorities': '',
  'crl-url': '',
  'crl-urls': '',
  'metrics-port': '',
  'ready-file': '',
  admin: '',
  ca: '',
  cert: '',
  config: 'Use --config of keyline up.',
  data: 'Use --data of keyline up.',
  engine: 'Use --broker of keyline up.',
  host: 'Use --listen of keyline up.',
  key: '',
  'log-level': 'Use --log-level of keyline up.',
  port: 'Use --port-broker of keyline up.',
};

/** @returns the two arguments for keyline-broker, or a sentence about what is wrong with it */
export function parseBrokerOption(text: string): readonly [string, string] | string {
  const [, name = '', value = ''] = /^([a-z][a-z-]*)=(.+)$/s.exec(text) ?? [];
  if (name === '') {
    return 'Write it as name=value, with a name as "keyline broker serve --help" has it, without "--".';
  }
  const instead = decidedByUp[name];
  if (instead === undefined) return [`--${name}`, value];
  return `--${name} is decided by keyline up itself. ${instead}`.trim();
}

/** Of MQTT over WebSocket, in the arguments for keyline-broker; the last one counts. 0 is any port, which nobody can be told. */
export function findWebsocketPort(brokerArgs: readonly string[]): number | undefined {
  const at = brokerArgs.lastIndexOf('--websocket-port');
  const port = at < 0 ? 0 : Number(brokerArgs[at + 1]);
  return Number.isInteger(port) && port > 0 && port <= 65_535 ? port : undefined;
}
