// Steps 3 and 4: devices enroll over REST, connect with what they got, and stay in their own corner of the topic tree.
import { administer } from '../../test/support/dynsec-admin.ts';
import { MqttDevice } from '../../test/support/mqtt-device.ts';
import {
  adminIdentity,
  createToken,
  deviceOf,
  enrollDevice,
  expectRefusal,
  issueIdentity,
  must,
  type World,
} from './world.ts';
import { createDeviceKey } from '../../test/support/device-key.ts';

const ids = ['pump-1', 'pump-2', 'pump-3'] as const;

export async function showEnrollment(world: World): Promise<void> {
  const { screen } = world;
  screen.step('Three devices enroll over REST');
  let token = '';
  await screen.verify('an operator made a token for three devices called pump-*', async () => {
    token = await createToken(world, { maxUses: 3, idPattern: 'pump-*', expiresIn: 'PT1H' });
  });
  for (const id of ids) {
    await screen.verify(`${id} made its key, sent a CSR, got its certificate`, async () => {
      const { serial } = await enrollDevice(world, { id, token });
      return `${serial.slice(0, 8)}…, the broker knows it`;
    });
  }
  await screen.verify('a fourth device can not use that token', async () => {
    const stranger = world.keyline.as('anyone');
    const csr = await createDeviceKey().csr('pump-4');
    const answer = await stranger.post('/v1/enroll', { id: 'pump-4', csr, token });
    stranger.close();
    return expectRefusal(answer, 'TOKEN_EXHAUSTED');
  });
}

export async function showMessages(world: World): Promise<void> {
  const { screen } = world;
  screen.step('They connect over mTLS and talk');
  for (const id of ids) {
    // One of them speaks the older MQTT.
    const protocolVersion = id === 'pump-3' ? 4 : 5;
    await screen.verify(`${id} is connected`, async () => {
      const device = world.devices.get(id);
      must(device !== undefined, `${id} did not enroll.`);
      device.session = await MqttDevice.connect(world.broker, device, { protocolVersion });
      return `MQTT ${protocolVersion === 4 ? '3.1.1' : '5'}`;
    });
  }
  await screen.verify('so is an application, with rights on the whole fleet', async () => {
    world.application = await connectApplication(world);
  });
  const application = world.application;
  must(application !== undefined, 'There is no application.');

  await screen.verify('telemetry of all three reaches the application', async () => {
    for (const id of ids) {
      const topic = `devices/${id}/telemetry`;
      must(
        (await deviceOf(world, id).session.publish(topic, '{"bar":2.4}')) === 'accepted',
        `${id} may not publish to ${topic}.`,
      );
      must((await application.take(topic)) === '{"bar":2.4}', 'The message was another one.');
    }
  });
  await screen.verify('commands reach the device they are for, and no other', async () => {
    for (const id of ids) {
      const commands = `devices/${id}/commands`;
      must(
        (await deviceOf(world, id).session.subscribe(commands)) === 'accepted',
        `${id} may not subscribe to ${commands}.`,
      );
      await application.publish(commands, `blink ${id}`);
      must(
        (await deviceOf(world, id).session.take(commands)) === `blink ${id}`,
        'The command was another one.',
      );
    }
    for (const id of ids) {
      must(deviceOf(world, id).session.messages.length === 0, `${id} heard more than its own.`);
    }
  });
  // In a session of its own: a broker may end the connection of who tries this.
  await screen.verify('pump-1 may not publish as pump-2', async () => {
    const verdict = await trySomething(world, (session) =>
      session.publish('devices/pump-2/telemetry', '{"bar":99}'),
    );
    must(verdict === 'refused', 'The broker took it.');
    await application.publish('devices/pump-2/commands', 'marker');
    await deviceOf(world, 'pump-2').session.take('devices/pump-2/commands');
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
  const session = await MqttDevice.connect(world.broker, device, { clientId: 'pump-1:try' });
  try {
    return await attempt(session);
  } finally {
    await session.close();
  }
}

/** A certificate from Keyline, and rights given the way any dynamic-security broker takes them (mosquitto_ctrl does the same). */
async function connectApplication(world: World): Promise<MqttDevice> {
  const identity = await issueIdentity(world, {
    profile: 'service-client',
    name: 'dashboard@demo',
  });
  const allow = (acltype: string, topic: string): object => ({ acltype, topic, allow: true });
  await administer(world.broker, adminIdentity(world), [
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
  const application = await MqttDevice.connect(world.broker, identity);
  must(
    (await application.subscribe('devices/+/telemetry')) === 'accepted',
    'The application may not listen to the fleet.',
  );
  return application;
}
