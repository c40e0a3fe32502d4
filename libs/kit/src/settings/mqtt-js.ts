import { quote, quoteList, type ClientSettings } from '../client-settings.ts';

export const mqttJs: ClientSettings = {
  name: 'MQTT.js (npm install mqtt)',
  run: () => ['node settings/mqtt-js.mjs'],
  files: ({ url, clientId, certificate, key, trust, topics, example }) => ({
    'mqtt-js.mjs': `// MQTT.js: "npm install mqtt", then in the folder of the kit "node settings/mqtt-js.mjs".
import { readFileSync } from 'node:fs';
import mqtt from 'mqtt';

const client = mqtt.connect(${quote(url)}, {
  protocolVersion: 5,
  clientId: ${quote(clientId)},
  ca: readFileSync(${quote(trust)}),
  cert: readFileSync(${quote(certificate)}),
  key: readFileSync(${quote(key)}),
});
client.on('connect', async () => {
  console.log('connected');
${
  topics.subscribe.length === 0
    ? ''
    : `  await client.subscribeAsync([${quoteList(topics.subscribe)}], { qos: 1 });
  console.log('subscribed');
`
}${
      example === undefined
        ? ''
        : `  await client.publishAsync(${quote(example)}, 'hello', { qos: 1 });
  console.log('published');
`
    }});
client.on('message', (topic, payload) => console.log(topic, payload.toString()));
client.on('error', (error) => console.error(error.message));
`,
  }),
};
