// Steps 3 and 4: devices enroll over REST, connect with what they got, and stay in their own corner of the topic tree.
import { expectRefusal, must } from '../../test/support/answers.ts';
import { createDeviceKey } from '../../test/support/device-key.ts';
import { administer } from '../../test/support/dynsec-admin.ts';
import type { Fleet } from '../../test/support/fleet.ts';
import { MqttDevice } from '../../test/support/mqtt-device.ts';
import { deviceOf, sessionOf, type World } from './world.ts';

const ids = ['pump-1', 'pump-2', 'pump-3'] as const;

export async function showEnrollment(world: World): Promise<void> {
  const { screen, fleet, devices } = world;
  screen.step('Three devices enroll over REST');
  let token = '';
  await screen.verify('an operator made a token for three devices called pump-*', async () => {
    token = await fleet.createToken({ maxUses: 3, idPattern: 'pump-*', expiresIn: '1h' });
  });
  for (const id of ids) {
    await screen.verify(`${id} made its key, sent a CSR, got its certificate`, async () => {
      const device = await fleet.enroll(id, { token });
      must(device.provisioned, `The broker does not know ${id} after two seconds.`);
      devices.set(id, device);
      return `serial ${device.serial.slice(0, 8)}…`;
    });
  }
  await screen.verify('a fourth device can not use that token', async () => {
    const csr = await createDeviceKey().csr('pump-4');
    const answer = await fleet.anyone.post('/v1/enroll', { id: 'pump-4', csr, token });
    return expectRefusal(answer, 'TOKEN_EXHAUSTED');
  });
}

export async function showMessages(world: World): Promise<void> {
  const { screen, fleet } = world;
  screen.step('They connect over mTLS and talk');
  for (const id of ids) {
    // One of them speaks the older MQTT.
    const protocolVersion = id === 'pump-3' ? 4 : 5;
    await screen.verify(`${id} is connected`, async () => {
      const device = deviceOf(world, id);
      device.session = await MqttDevice.connect(world.fleet.broker, device, { protocolVersion });
      return `MQTT ${protocolVersion === 4 ? '3.1.1' : '5'}`;
    });
  }
  let connected: MqttDevice | undefined;
  await screen.verify('so is an application, with rights on the whole fleet', async () => {
    connected = await connectApplication(fleet);
  });
  must(connected !== undefined, 'There is no application.');
  const application = connected;

  await screen.verify('telemetry of all three reaches the application', async () => {
    for (const id of ids) {
      const topic = `devices/${id}/telemetry`;
      must(
        (await sessionOf(world, id).publish(topic, '{"bar":2.4}')) === 'accepted',
        `${id} may not publish to ${topic}.`,
      );
      must((await application.take(topic)) === '{"bar":2.4}', 'The message was another one.');
    }
  });
  await screen.verify('commands reach the device they are for, and no other', async () => {
    for (const id of ids) {
      const commands = `devices/${id}/commands`;
      must(
        (await sessionOf(world, id).subscribe(commands)) === 'accepted',
        `${id} may not subscribe to ${commands}.`,
      );
      await application.publish(commands, `blink ${id}`);
      must(
        (await sessionOf(world, id).take(commands)) === `blink ${id}`,
        'The command was another one.',
      );
    }
    for (const id of ids) {
      must(sessionOf(world, id).messages.length === 0, `${id} heard more than its own.`);
    }
  });
  // In a session of its own: a broker may end the connection of who tries this.
  await screen.verify('pump-1 may not publish as pump-2', async () => {
    const verdict = await trySomething(world, (session) =>
      session.publish('devices/pump-2/telemetry', '{"bar":99}'),
    );
    must(verdict === 'refused', 'The broker took it.');
    await application.publish('devices/pump-2/commands', 'marker');
    await sessionOf(world, 'pump-2').take('devices/pump-2/commands');
    must(application.messages.length === 0, 'The broker refused it and passed it on all the same.');
    return 'refused, and nobody heard it';
  });
  await screen.verify("pump-1 may not listen to pump-2's commands", async () => {
    for (const filter of ['devices/pump-2/commands', 'devices/+/commands', '#']) {
      const verdict = await trySomething(world, (session) => session.subscribe(filter));
      must(verdict === 'refused', `The broker let it subscribe to ${filter}.`);
    }
    return 'refused, with wildcards too';
  });
}

async function trySomething(
  world: World,
  attempt: (session: MqttDevice) => Promise<'accepted' | 'refused'>,
): Promise<'accepted' | 'refused'> {
  const device = deviceOf(world, 'pump-1');
  const session = await MqttDevice.connect(world.fleet.broker, device, { clientId: 'pump-1:try' });
  try {
    return await attempt(session);
  } finally {
    await session.close();
  }
}

/** A certificate from Keyline, and rights given the way any dynamic-security broker takes them (mosquitto_ctrl does the same). */
async function connectApplication(fleet: Fleet): Promise<MqttDevice> {
  const identity = await fleet.issueIdentity({
    profile: 'service-client',
    name: 'dashboard@demo',
  });
  const allow = (acltype: string, topic: string): object => ({ acltype, topic, allow: true });
  await administer(fleet.broker, fleet.adminIdentity, [
    {
      command: 'createRole',
      rolename: 'dashboard',
      acls: [
        allow('publishClientSend', 'devices/+/commands/#'),
        allow('subscribePattern', 'devices/+/telemetry'),
        allow('publishClientReceive', 'devices/+/telemetry'),
      ],
    },
    { command: 'createClient', username: identity.id },
    { command: 'addClientRole', username: identity.id, rolename: 'dashboard' },
  ]);
  const application = await MqttDevice.connect(fleet.broker, identity);
  must(
    (await application.subscribe('devices/+/telemetry')) === 'accepted',
    'The application may not listen to the fleet.',
  );
  return application;
}
