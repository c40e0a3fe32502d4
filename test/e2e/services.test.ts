// An application from its making to its end, by the command line, on both brokers; and topics by a label, which no label can widen.
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { expectStatus } from '../support/answers.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import type { MqttIdentity } from '../support/mqtt-device.ts';
import { has } from '../support/needs.ts';
import { runProgram, type Ran } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const engines = [undefined, 'mosquitto'] as const;
for (const engine of engines) {
  describe.skipIf(!has('mosquitto'))(`on ${engine ?? 'the embedded broker'}`, () => {
    const suite = useKeyline({
      ...(engine === undefined ? {} : { broker: engine }),
      config(folder) {
        const config = join(folder, 'config');
        cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
        return config;
      },
    });
    const keyline = (...args: string[]): Promise<Ran> =>
      runProgram(keylineCommand, args, {
        cwd: suite.folder,
        env: { ...process.env, KEYLINE_ENDPOINTS: suite.keyline.endpointsFile },
      });
    async function succeed(...args: string[]): Promise<string> {
      const { code, out, err } = await keyline(...args);
      expect(err.replaceAll(/^.*clock.*$/gm, '').trim() + String(code)).toMatch(/0$/);
      return out;
    }
    function identity(name: string): MqttIdentity {
      const file = (ending: string): string =>
        readFileSync(join(suite.folder, name, `${name}.${ending}`), 'utf8');
      return { id: name, certificate: file('crt'), key: file('key') };
    }

    it('a dashboard reads what devices say, sends nothing, renews with a new key, and is out once revoked', async () => {
      const { fleet } = suite;
      await succeed('service', 'create', 'dashboard', '--role', 'telemetry-reader');
      await succeed('service', 'create', 'operations', '--role', 'commander');
      const device = await fleet.connect(await fleet.enroll('pump-1'));
      await device.subscribe('devices/pump-1/commands/#');
      const dashboard = await fleet.connect(identity('dashboard'));
      expect(await dashboard.subscribe('devices/+/telemetry')).toBe('accepted');
      expect(await device.publish('devices/pump-1/telemetry', '21.5')).toBe('accepted');
      expect(await dashboard.take('devices/pump-1/telemetry')).toBe('21.5');
      expect(await dashboard.publish('devices/pump-1/commands/reboot', 'x')).toBe('refused');

      const operations = await fleet.connect(identity('operations'));
      expect(await operations.publish('devices/pump-1/commands/reboot', 'now')).toBe('accepted');
      expect(await device.take('devices/pump-1/commands/reboot')).toBe('now');
      expect(await operations.publish('devices/pump-1/commands/wipe', 'now')).toBe('refused');

      // A comparison takes nothing of it back.
      await succeed('target', 'compare', 'broker');
      expect(dashboard.ended).toBeUndefined();
      await dashboard.close();
      await succeed('service', 'renew', 'dashboard', '--new-key');
      const renewed = await fleet.connect(identity('dashboard'));
      expect(await renewed.subscribe('devices/+/telemetry')).toBe('accepted');
      await succeed('service', 'revoke', 'dashboard', '--wait');
      await renewed.untilEnded();
      expect(await fleet.whyRefused(identity('dashboard'))).toBeDefined();
      expect(await succeed('service', 'list')).toMatch(/dashboard +revoked .*telemetry-reader/);
    });

    it('a role is changed while everything runs, and a label gives its own part of the topics and no other', async () => {
      const { fleet, folder } = suite;
      const file = join(folder, 'config', 'roles', 'device.yaml');
      const before = readFileSync(file, 'utf8');
      const north = await fleet.enroll('north-1', {
        token: await fleet.createToken({ labels: { site: 'north' } }),
      });
      const wild = await fleet.enroll('wild-1', {
        token: await fleet.createToken({ labels: { site: '+' } }),
      });
      const own = 'sites/north/devices/north-1';
      const denied = await keyline('role', 'check', 'north-1', own);
      expect(denied.code).toBe(3);
      expect(denied.out).toContain(file);

      writeFileSync(file, before.replace('publish:', 'publishs:'));
      const broken = await keyline('role', 'apply');
      expect(broken.code).toBe(6);
      expect(broken.err).toMatch(/roles\/device\.yaml:\d+:1: .*did you mean "publish"/);

      writeFileSync(file, before.replaceAll(/^# {2}(?=- )/gm, '  '));
      expect(await succeed('role', 'apply')).toContain('everybody has the rights of now');
      expect(await succeed('role', 'check', 'north-1', own)).toContain('%{label:site}');
      const session = await fleet.connect(north);
      expect(await session.publish(own, 'x')).toBe('accepted');
      expect(await session.publish('sites/north/devices/other', 'x')).toBe('refused');
      expect(await session.publish('sites/south/devices/north-1', 'x')).toBe('refused');
      const other = await fleet.connect(wild);
      expect(await other.publish('sites/north/devices/wild-1', 'x')).toBe('refused');
      expect(await other.publish('sites/+/devices/wild-1', 'x').catch(() => 'refused')).toBe(
        'refused',
      );

      // Whoever changes the label changes the right.
      const changed = await fleet.admin.post('/v1/devices/north-1/labels', {
        set: { site: 'south' },
      });
      expectStatus(changed, 200);
      await session.untilEnded();
      const moved = await fleet.connect(north);
      expect(await moved.publish('sites/south/devices/north-1', 'x')).toBe('accepted');
      expect(await moved.publish(own, 'x')).toBe('refused');
    });
  });
}
