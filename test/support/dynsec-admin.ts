// The broker's administration as a person with the admin's certificate does it: dynamic-security commands over MQTT.
import { randomUUID } from 'node:crypto';
import type { IClientOptions } from 'mqtt';
import { MqttDevice, type BrokerAddress, type MqttIdentity } from './mqtt-device.ts';

const control = '$CONTROL/dynamic-security/v1';

interface DynsecAnswer {
  readonly command: string;
  readonly error?: string;
  readonly data?: unknown;
}

/** Answers of the broker, in the order of the commands. @throws {Error} with the first refusal */
export async function administer(
  broker: BrokerAddress,
  admin: MqttIdentity,
  commands: readonly Readonly<Record<string, unknown>>[],
  options: IClientOptions = {},
): Promise<readonly DynsecAnswer[]> {
  const clientId = `${admin.id}:${randomUUID().slice(0, 8)}`;
  const session = await MqttDevice.connect(broker, admin, { ...options, clientId });
  try {
    await session.subscribe(`${control}/response`);
    const correlationData = randomUUID();
    const payload = { commands: commands.map((command) => ({ ...command, correlationData })) };
    await session.publish(control, JSON.stringify(payload));
    for (;;) {
      // On Mosquitto every admin sees every answer, those to the issuing CA too.
      const { responses } = JSON.parse(await session.take(`${control}/response`)) as {
        responses: (DynsecAnswer & { correlationData?: string })[];
      };
      const own = responses.filter((answer) => answer.correlationData === correlationData);
      if (own.length === 0) continue;
      const refused = own.find(({ error }) => error !== undefined);
      if (refused !== undefined) throw new Error(`${refused.command}: ${refused.error ?? ''}`);
      return own;
    }
  } finally {
    await session.close();
  }
}
