// mosquitto_pub and mosquitto_sub read their options from files of their names in the folder XDG_CONFIG_HOME, one option a line.
import type { ClientSettings } from '../client-settings.ts';
import type { ClientFacts } from '../kit-facts.ts';

const start = 'XDG_CONFIG_HOME=settings/mosquitto';

export const mosquittoClients: ClientSettings = {
  name: 'mosquitto_pub and mosquitto_sub',
  run: ({ example, topics }) => [
    ...(example === undefined ? [] : [`${start} mosquitto_pub -t ${shell(example)} -m hello`]),
    ...(topics.subscribe.length === 0 ? [] : [`${start} mosquitto_sub`]),
  ],
  files: (facts) => ({
    'mosquitto/mosquitto_pub': options(facts),
    'mosquitto/mosquitto_sub': `${options(facts)}-v\n${facts.topics.subscribe.map((filter) => `-t ${filter}\n`).join('')}`,
  }),
};

function options({ host, port, clientId, certificate, key, trust }: ClientFacts): string {
  return `-h ${host}
-p ${String(port)}
-i ${clientId}
-V 5
-q 1
--cafile ${trust}
--cert ${certificate}
--key ${key}
`;
}

function shell(text: string): string {
  return /^[\w./:@%+,-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
