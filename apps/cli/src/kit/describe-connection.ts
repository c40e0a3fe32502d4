// Where an identity connects, in words.
import type { BrokerAccessView } from '@keyline/api';
import { isZip } from '@keyline/client';
import { quoteForShell } from '@keyline/kernel';

/** Lines without their ends. */
export function describeConnection(
  broker: BrokerAccessView,
  { provisioned }: { provisioned: boolean },
): string[] {
  const { name, url, websocketUrl, topics } = broker;
  if (url === null) {
    return [
      'It has no broker to connect to: none is configured. Name one in ca-config/targets.yaml, or run the bundled one with "keyline up".',
    ];
  }
  const known = provisioned ? 'The broker knows it' : 'The broker will know it in a moment';
  return [
    `${known}: ${url}${name === null || name === 'broker' ? '' : ` (${name})`}`,
    ...(websocketUrl === null ? [] : [`  over WebSocket    ${websocketUrl}`]),
    ...topics.publish.map((topic) => `  may publish to    ${topic}`),
    ...topics.subscribe.map((topic) => `  may subscribe to  ${topic}`),
  ];
}

/** Lines without their ends. @param kit as it was typed */
export function describeKitUse(id: string, kit: string): string[] {
  return isZip(kit)
    ? [
        `Kit in ${kit}, with its private key: unpack it where the program runs ("unzip"), and delete it here.`,
        `${id}/README.txt in it has a command line for each client.`,
      ]
    : [
        `Kit in ${kit}: ${id}.key, ${id}.crt, trust.pem, broker.json, and settings/ for clients.`,
        `Next: cd ${quoteForShell(kit)}, and README.txt there has a command line for each client.`,
      ];
}
