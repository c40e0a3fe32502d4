// The text of a new keyline.yaml: what was chosen, and everything else as a line to take the "#" from.
import { brokerLimits, type BrokerLimit } from '@keyline/config';

export interface PlantChoices {
  readonly hosts: readonly string[];
  readonly listen: string;
  readonly ports: { readonly api: number; readonly http: number; readonly broker: number };
  readonly root: 'here' | 'offline';
  readonly engine: 'embedded' | 'mosquitto';
  /** As it is written: relative to the file, or absolute. */
  readonly config: string;
}

export function createPlantFile(choices: PlantChoices): string {
  const { hosts, listen, ports, root, engine, config } = choices;
  return `# Keyline on this machine: how it is called, what it listens on, its broker, its backups. "keyline up --data FOLDER" reads it at its start.
# After a change: "keyline config check --data FOLDER", then start it again. A line that begins with "#" and no space after it is a
# setting with its usual value, or an example: take the "#" away, and nothing else. Durations: 7d, 12h, 10m, 30s.

# Names and addresses by which devices reach this machine. The first stands in the addresses that certificates carry (CRL, OCSP) and
# devices are given; all of them stand in the certificates of the API and the broker. Change them with "keyline move --host NAME[,NAME]":
# what certificates name already goes on being answered.
hosts:
${hosts.map((host) => `  - ${quote(host)}\n`).join('')}
# IP address to listen on. 0.0.0.0 is every IPv4 address of this machine, "::" every address.
listen: ${quote(listen)}

# The HTTP port stands in certificates; when it changes, the one before goes on being answered. Ports below 1024 need a permission
# (docs/production.md).
ports:
  # HTTPS: enrollment, renewal, administration.
  api: ${String(ports.api)}
  # Plain HTTP: CRL, OCSP and the certificates of authorities; what checks TLS can't need TLS for it.
  http: ${String(ports.http)}
  # MQTT over TLS.
  broker: ${String(ports.broker)}
  # The broker's /metrics and /healthz, on 127.0.0.1. Left out: one that is free, and kept.
  #metrics: 9883

# Profiles, roles, device types, alert rules, settings of the service, brokers of your own: a folder. Relative to this file.
config: ${quote(config)}

# Where the key of the root is. here: "keyline up" makes it in this folder, for a trial. offline: on another machine (docs/key-ceremony.md);
# the first "keyline up" says what to carry there and back.
root: ${root}

api:
  tls:
    # Oldest TLS that is spoken: 1.2 or 1.3.
    #minVersion: 1.2

broker:
  # embedded: Keyline's own. mosquitto: the Eclipse Mosquitto of this machine, supervised.
  engine: ${engine}
${enginePorts[engine]}  tls:
    #minVersion: 1.2
    # Key exchange, the first one preferred.
    #groups: [X25519MLKEM768, X25519, P-256]
    # Of both sides' keys; left out: ECDSA, EdDSA, RSA and ML-DSA without SHA-1.
    #signatureAlgorithms: [ecdsa_secp256r1_sha256, ed25519, rsa_pss_rsae_sha256]
    # Suites of TLS 1.2 and 1.3.
    #ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256, TLS_AES_128_GCM_SHA256]
  limits:
${Object.entries(brokerLimits)
  .map(([name, limit]) => `    # ${describe(limit)}\n    #${name}: ${String(limit.usual)}\n`)
  .join('')}
logs:
  # Bytes at which a log file is renamed and a new one begun, and how many of each kind are kept.
  #fileBytes: 10485760
  #files: 5

# Backups that "keyline up" makes by itself: database, encrypted keys, configuration, state of the broker, in one encrypted file.
backup:
  # Best where another disk or a share is mounted. Relative to this file.
  #folder: backups
  #every: 1d
  # The oldest is deleted.
  #keep: 14
  # Age of the last good one from which on an alert is open.
  #alertAfter: 2d
  # One line, mode 600. Keep a copy elsewhere: without it a backup opens for nobody.
  #passphraseFile: secrets/backup.pass
  # Whether the folder of the root goes in, when it is on this machine.
  #root: false
`;
}

/** What goes with one engine alone. */
const enginePorts = {
  embedded: `  # MQTT over WebSocket over TLS as well, for pages in browsers.
  #websocketPort: 8884
  # MQTT over TLS for clients with user name and password instead of a certificate.
  #passwordPort: 8885
`,
  mosquitto: `  # The program, when it is not where it is looked for.
  #mosquitto: /usr/sbin/mosquitto
`,
} as const;

function describe({ unit, what }: BrokerLimit): string {
  const words = unit === 'bytes' ? `bytes: ${what}` : what;
  return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
}

/** A plain word where YAML reads it as a text, else in quotes. */
function quote(text: string): string {
  return /^[A-Za-z/][A-Za-z0-9/._-]*$/.test(text) ? text : `'${text.replaceAll("'", "''")}'`;
}
