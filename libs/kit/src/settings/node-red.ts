import type { ClientSettings } from '../client-settings.ts';
import type { ClientFacts } from '../kit-facts.ts';

export const nodeRed: ClientSettings = {
  name: 'Node-RED (import the file, or start with it)',
  run: () => ['node-red --userDir node-red "$PWD/settings/node-red.json"'],
  files: (facts) => ({ 'node-red.json': `${JSON.stringify(flow(facts), null, 2)}\n` }),
};

/** File names in the TLS node are relative to the folder where Node-RED was started. */
function flow(facts: ClientFacts): object[] {
  const { clientId, host, port, certificate, key, trust, topics, example } = facts;
  const [tab, tls, broker, debug] = ['tab', 'tls', 'broker', 'debug'].map((id) => `keyline-${id}`);
  const qos = '1';
  return [
    { id: tab, type: 'tab', label: `Keyline: ${clientId}` },
    {
      ...{ id: tls, type: 'tls-config', name: clientId },
      ...{ cert: certificate, key, ca: trust, certname: '', keyname: '', caname: '' },
      ...{ servername: '', verifyservercert: true, alpnprotocol: '' },
    },
    {
      ...{ id: broker, type: 'mqtt-broker', name: `Keyline: ${host}` },
      ...{ broker: host, port: String(port), tls, usetls: true, clientid: clientId },
      ...{ autoConnect: true, protocolVersion: '5', keepalive: '60', cleansession: true },
    },
    {
      id: debug,
      type: 'debug',
      z: tab,
      name: 'messages',
      complete: 'true',
      x: 520,
      y: 80,
      wires: [],
    },
    ...topics.subscribe.map((topic, index) => ({
      ...{ id: `keyline-in-${String(index)}`, type: 'mqtt in', z: tab, name: '', topic, qos },
      ...{ datatype: 'auto-detect', broker, inputs: 0, x: 240, y: 80 + 60 * index },
      wires: [[debug]],
    })),
    ...(example === undefined
      ? []
      : [
          {
            ...{ id: 'keyline-inject', type: 'inject', z: tab, name: 'hello', payload: 'hello' },
            ...{ payloadType: 'str', once: true, onceDelay: 1, repeat: '' },
            ...{ x: 200, y: 20, wires: [['keyline-out']] },
          },
          {
            ...{ id: 'keyline-out', type: 'mqtt out', z: tab, name: '', topic: example, qos },
            ...{ retain: 'false', broker, x: 520, y: 20, wires: [] },
          },
        ]),
  ];
}
