// The root revokes an issuing authority: by the ceremony's commands, one brought file, and everything stops that stood on it; then
// its successor takes over.
import { readFileSync, writeFileSync } from 'node:fs';
import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDeviceKey } from '../support/device-key.ts';
import type { EnrolledDevice } from '../support/fleet.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import { runProgram } from '../support/openssl.ts';
import { expectRefusal, expectStatus } from '../support/answers.ts';
import { has } from '../support/needs.ts';
import { useKeyline } from '../support/use-keyline.ts';

const rootCommand = join(projectFolder, 'apps/root-ca/bin/keyline-root');

const wait = { timeout: 20_000, interval: 200 };

describe.each([['embedded'], ['mosquitto']] as const)(
  'an issuing authority that the root revokes, on %s',
  (engine) => {
    const isHere = engine === 'embedded' || has('mosquitto');
    if (!isHere) {
      it.skip('Mosquitto is not here');
      return;
    }
    const suite = useKeyline(engine === 'mosquitto' ? { broker: engine } : {});
    const inRoot = (...names: string[]): string => join(suite.keyline.data, 'root', ...names);

    async function keyline(...args: string[]): Promise<string> {
      const { code, out, err } = await runProgram(keylineCommand, args, {
        cwd: suite.folder,
        env: { ...process.env, KEYLINE_ENDPOINTS: suite.keyline.endpointsFile },
      });
      expect(code, `keyline ${args.join(' ')}: ${err}`).toBe(0);
      return out;
    }

    async function atTheRoot(...args: string[]): Promise<void> {
      const passphrase = readFileSync(join(suite.keyline.data, 'secrets', 'root.pass'), 'utf8');
      const { code, err } = await runProgram(
        rootCommand,
        [...args, ...['--dir', inRoot()], '--yes', ...['--passphrase-file', '-']],
        { input: passphrase },
      );
      expect(code, `keyline-root ${args.join(' ')}: ${err}`).toBe(0);
    }

    async function withoutPassphrase(...args: string[]): Promise<void> {
      const { code, err } = await runProgram(rootCommand, [
        ...args,
        ...['--dir', inRoot()],
        '--yes',
      ]);
      expect(code, `keyline-root ${args.join(' ')}: ${err}`).toBe(0);
    }

    let device: EnrolledDevice;
    let token: string;

    it('loses its devices: live sessions are cut, and none comes back', async () => {
      const { fleet } = suite;
      token = await fleet.createToken({ maxUses: 50 });
      device = await fleet.enroll('stands-1', { token });
      const session = await fleet.connect(device);
      expect(await session.publish('devices/stands-1/telemetry', '1')).toBe('accepted');
      // Its successor is ready, as the ceremony asks for.
      writeFileSync(inRoot('issuing-2.csr'), await keyline('ca', 'add', 'issuing-2'));
      await atTheRoot('sign-intermediate', '--csr', 'issuing-2.csr', '--out', 'issuing-2.crt');

      const revoke = ['revoke', '--certificate', 'issuing.crt', '--reason', 'cACompromise'];
      await withoutPassphrase(...revoke);
      await atTheRoot('crl');
      await keyline('ca', 'root-crl', inRoot('root.crl'));

      await expect.poll(() => session.ended, wait).toBeDefined();
      expect(await fleet.whyRefused(device)).toBeDefined();
      expect(await keyline('ca', 'list')).toMatch(/issuing-1 +issuing +revoked/);
    });

    it('issues nothing more, by whichever way it is asked', async () => {
      const { fleet } = suite;
      const key = createDeviceKey();
      const request = { id: 'late-1', csr: await key.csr('late-1'), token };
      const enrolled = await fleet.anyone.post('/v1/enroll', request);
      expectRefusal(enrolled, 'AUTHORITY_STATE_FORBIDS');
      const self = suite.keyline.as(device);
      expectRefusal(await self.post('/v1/renew', {}), 'CERTIFICATE_NOT_ACCEPTED');
      self.close();
      expectStatus(await fleet.admin.post('/v1/batches', { id: 'lot-9', quota: 3 }), 201);
      const signed = await fleet.admin.post('/v1/batches/lot-9/sign', { csr: request.csr });
      expectRefusal(signed, 'AUTHORITY_STATE_FORBIDS');
    });

    it('is a critical alert, and keyline doctor fails on it', async () => {
      const { fleet } = suite;
      await expect
        .poll(async () => (await fleet.admin.get('/v1/alerts')).body.items, wait)
        .toContainEqual(
          expect.objectContaining({
            key: 'state:authority:issuing-1:revoked',
            severity: 'critical',
          }),
        );
      const doctor = await runProgram(keylineCommand, ['doctor'], {
        cwd: suite.folder,
        env: { ...process.env, KEYLINE_ENDPOINTS: suite.keyline.endpointsFile },
      });
      expect(doctor.code).not.toBe(0);
      expect(doctor.out).toMatch(/authority issuing-1[^]*revoked/);
    });

    it('stays so over a restart of everything, which an administrator reaches all the same', async () => {
      await suite.restart();
      expect(await suite.fleet.whyRefused(device)).toBeDefined();
      expect(await keyline('ca', 'list')).toMatch(/issuing-1 +issuing +revoked/);
    });

    it('gives its place to the next: what that issues connects, and Keyline’s own certificates are of it', async () => {
      await keyline(
        ...['ca', 'install', 'issuing-2', '--certificate', inRoot('issuing-2.crt')],
        ...['--root', inRoot('root.crt')],
      );
      await keyline('ca', 'activate', 'issuing-2');
      const { fleet } = suite;
      const fresh = await fleet.enroll('next-1', { token });
      const issuer = new X509Certificate(readFileSync(inRoot('issuing-2.crt')));
      const kept = ['broker/broker.crt', 'admin/admin.crt'].map((file) =>
        join(suite.keyline.data, file),
      );
      for (const file of kept) {
        await expect
          .poll(() => new X509Certificate(readFileSync(file)).checkIssued(issuer), wait)
          .toBe(true);
      }
      // Mosquitto reads the new list of authorities a moment later.
      await expect.poll(() => fleet.whyRefused(fresh), wait).toBeUndefined();
      await expect
        .poll(async () => (await fleet.admin.get('/v1/targets')).body.items[0], wait)
        .toMatchObject({ healthy: true, lag: 0 });
      const session = await fleet.connect(fresh);
      expect(await session.publish('devices/next-1/telemetry', '1')).toBe('accepted');
      // And a revocation bites: the service administers the broker with a certificate of the next, too.
      const { body } = expectStatus(
        await fleet.admin.post('/v1/devices/next-1/revoke', { wait: true }),
        200,
      );
      expect(body.evidence.targets).toMatchObject([{ done: true }]);
      await expect.poll(() => session.ended, wait).toBeDefined();
      expect(await fleet.whyRefused(device)).toBeDefined();
    });
  },
);
