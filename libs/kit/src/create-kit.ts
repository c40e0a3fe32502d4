// The files of a kit but key and certificate, which come from whoever enrolled.
import { createBrokerFile, clientFactsOf, type KitFacts } from './kit-facts.ts';
import type { ClientSettings } from './client-settings.ts';
import { espIdf } from './settings/esp-idf.ts';
import { mosquittoClients } from './settings/mosquitto-clients.ts';
import { mqttJs } from './settings/mqtt-js.ts';
import { nodeRed } from './settings/node-red.ts';
import { pahoC } from './settings/paho-c.ts';
import { pahoJava } from './settings/paho-java.ts';
import { pahoPython } from './settings/paho-python.ts';
import { telegraf } from './settings/telegraf.ts';

export interface KitFile {
  /** Relative to the kit, with "/" between folders. */
  readonly path: string;
  /** Text is UTF-8. */
  readonly content: string;
}

const clients: readonly ClientSettings[] = [
  mosquittoClients,
  mqttJs,
  pahoPython,
  pahoC,
  pahoJava,
  espIdf,
  nodeRed,
  telegraf,
];

/** In the order in which they are to be written. */
export function createKit(facts: KitFacts): KitFile[] {
  const { broker } = facts;
  const rows = [
    { path: 'broker.json', content: createBrokerFile(facts) },
    { path: 'README.txt', content: describeKit(facts) },
  ];
  if (broker === undefined) return rows;
  const client = clientFactsOf(broker, facts);
  const settings = clients.flatMap((each) => Object.entries(each.files(client)));
  return [...rows, ...settings.map(([path, content]) => ({ path: `settings/${path}`, content }))];
}

function describeKit(facts: KitFacts): string {
  const { id, kind, broker, files, addresses } = facts;
  const head = `Connect kit of the ${kind} ${id}.

  ${files.key}  the private key. Whoever has it is ${id}: keep it at mode 600, and out of mail and repositories.
  ${files.certificate}  the certificate, and that of its issuer.
  ${files.trust}  what the certificates of broker and service are checked against.
  broker.json  where the broker is, the client id, the topics, and the addresses of the service.

Renew before it ends: keyline ${kind} renew ${kind === 'device' ? `--id ${id}` : id} --dir . --api ${addresses.api} --ca ${files.trust}
`;
  if (broker === undefined) {
    return `${head}
No broker is configured yet: there is nothing to connect to. Once there is one, make the kit again.
`;
  }
  const client = clientFactsOf(broker, facts);
  const rows = clients.map(
    ({ name, run }) =>
      `${name}\n${run(client)
        .map((line) => `  ${line}\n`)
        .join('')}`,
  );
  return `${head}
Connect to ${broker.url}, each of these typed in this folder:

${rows.join('\n')}
One connection at a time has the client id ${broker.clientId}: a second one ends the first.
`;
}
