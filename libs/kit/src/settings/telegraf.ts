import { quote, quoteList, type ClientSettings } from '../client-settings.ts';
import type { ClientFacts } from '../kit-facts.ts';

export const telegraf: ClientSettings = {
  name: 'Telegraf',
  run: () => ['telegraf --config settings/telegraf.conf'],
  files: (facts) => ({
    'telegraf.conf': `# Telegraf: in the folder of the kit "telegraf --config settings/telegraf.conf".
[agent]
  omit_hostname = true
  flush_interval = "1s"

${facts.topics.subscribe.length > 0 && (facts.isReader || facts.example === undefined) ? reader(facts) : writer(facts)}`,
  }),
};

/** One connection a client id: a part that reads and one that writes would end each other's. */
function reader(facts: ClientFacts): string {
  return `[[inputs.mqtt_consumer]]
${connection(facts)}  topics = [${quoteList(facts.topics.subscribe)}]
  # Payloads as they are; "json_v2", "xpath_json" … take them apart.
  data_format = "value"
  data_type = "string"

[[outputs.file]]
  files = ["stdout"]
`;
}

function writer(facts: ClientFacts): string {
  return `[[inputs.mem]]

[[outputs.mqtt]]
${connection(facts)}  topic = ${quote(facts.example ?? facts.clientId)}
  data_format = "json"
`;
}

function connection({ host, port, clientId, certificate, key, trust }: ClientFacts): string {
  const place = `ssl://${host.includes(':') ? `[${host}]` : host}:${String(port)}`;
  return `  servers = [${quote(place)}]
  client_id = ${quote(clientId)}
  qos = 1
  tls_ca = ${quote(trust)}
  tls_cert = ${quote(certificate)}
  tls_key = ${quote(key)}
`;
}
