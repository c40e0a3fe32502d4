// Mosquitto's own administration tool against our broker: whoever knows it needs nothing new.
import { describe, expect, it } from 'vitest';
import type { MqttIdentity } from '../support/mqtt-device.ts';
import { has } from '../support/needs.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

describe.skipIf(!has('mosquitto_ctrl'))('mosquitto_ctrl dynsec', () => {
  const suite = useKeyline();
  let app: MqttIdentity;

  async function dynsec(...command: string[]) {
    const { broker, ca, admin } = suite.keyline.endpoints;
    const { hostname, port } = new URL(broker);
    return runProgram('mosquitto_ctrl', [
      ...['-h', hostname, '-p', port, '--cafile', ca],
      ...['--cert', admin.certificate, '--key', admin.key, 'dynsec', ...command],
    ]);
  }

  async function succeed(...command: string[]): Promise<string> {
    const { code, out, err } = await dynsec(...command);
    expect({ code, err }, `dynsec ${command.join(' ')}`).toEqual({ code: 0, err: '' });
    return out;
  }

  it('creates a client and a role, and what they say is what the client may do', async () => {
    const { fleet } = suite;
    app = await fleet.issueIdentity({ profile: 'service-client', name: 'app@test' });
    expect(await fleet.whyRefused(app)).toMatch(/not authorized/i);
    await succeed('createRole', 'reader');
    await succeed('addRoleACL', 'reader', 'subscribePattern', 'devices/+/telemetry', 'allow', '5');
    await succeed('addRoleACL', 'reader', 'publishClientReceive', 'devices/#', 'allow', '5');
    // It asks for a password; a certificate client has none.
    await succeed('createClient', 'app@test', '-p', 'unused');
    await succeed('addClientRole', 'app@test', 'reader', '5');

    const device = await fleet.enroll('ctrl-1');
    const listener = await fleet.connect(app);
    expect(await listener.subscribe('devices/+/telemetry')).toBe('accepted');
    const session = await fleet.connect(device);
    await session.publish('devices/ctrl-1/telemetry', '21.5');
    expect(await listener.take('devices/ctrl-1/telemetry')).toBe('21.5');
    await Promise.all([session.close(), listener.close()]);
    const intruder = await fleet.connect(app);
    expect(await intruder.publish('devices/ctrl-1/commands', 'reboot')).toBe('refused');
    await intruder.close();
  });

  it('shows what is there: its own clients and roles, and those that Keyline made', async () => {
    const clients = (await succeed('listClients')).trim().split('\n');
    expect(clients).toEqual(expect.arrayContaining(['app@test', 'ctrl-1']));
    const roles = (await succeed('listRoles')).trim().split('\n');
    expect(roles).toEqual(expect.arrayContaining(['device', 'gateway', 'reader']));
    const role = await succeed('getRole', 'device');
    expect(role).toContain('devices/%u/telemetry');
    expect(await succeed('getClient', 'ctrl-1')).toMatch(/Roles:\s*device/);
    expect(await succeed('getDefaultACLAccess')).toMatch(/publishClientSend\s*:\s*deny/);
  });

  it('takes a right away at once', async () => {
    const { fleet } = suite;
    const listener = await fleet.connect(app);
    expect(await listener.subscribe('devices/+/telemetry')).toBe('accepted');
    await succeed('removeClientRole', 'app@test', 'reader');
    await listener.untilEnded();
    const again = await fleet.connect(app);
    expect(await again.subscribe('devices/+/telemetry')).toBe('refused');
    await again.close();
  });

  it('disables a client: cut, and refused until it is enabled', async () => {
    const { fleet } = suite;
    const session = await fleet.connect(app);
    await succeed('disableClient', 'app@test');
    expect(await session.untilEnded()).toContain('152');
    expect(await fleet.whyRefused(app)).toMatch(/not authorized/i);
    await succeed('enableClient', 'app@test');
    expect(await fleet.whyRefused(app)).toBeUndefined();
  });

  it('deletes client and role', async () => {
    await succeed('deleteClient', 'app@test');
    await succeed('deleteRole', 'reader');
    expect(await suite.fleet.whyRefused(app)).toMatch(/not authorized/i);
  });

  it('is of no use to a device', async () => {
    const { fleet } = suite;
    const device = await fleet.enroll('ctrl-2');
    const session = await fleet.connect(device);
    expect(await session.publish('$CONTROL/dynamic-security/v1', '{"commands":[]}')).toBe(
      'refused',
    );
    await session.close();
    const again = await fleet.connect(device);
    expect(await again.subscribe('$CONTROL/dynamic-security/v1/response')).toBe('refused');
    await again.close();
  });
});
