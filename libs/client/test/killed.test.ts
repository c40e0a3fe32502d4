// A device's program that is killed at any moment while it renews: real process, real HTTPS, real files.
import { spawn } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { systemClock } from '@keyline/kernel';
import { enrollDevice, renewDevice } from '../src/index.ts';
import { enrolled } from './support/documents.ts';
import { startFakeService } from './support/fake-service.ts';
import { createTestAuthority } from './support/test-authority.ts';

const rounds = 8;
const room = join(import.meta.dirname, '..');

it('has a key and a certificate that fit whenever it is killed, and its next renewal succeeds', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'keyline-killed-'));
  const authority = createTestAuthority();
  const ca = join(folder, 'test-ca.pem');
  writeFileSync(ca, authority.certificatePem);
  const fake = await startFakeService({
    caPem: authority.certificatePem,
    caKeyPem: authority.keyPem,
    path: (name) => join(folder, name),
  });
  const sign = ({ body }: { body: unknown }): unknown =>
    enrolled('d1', authority.sign((body as { csr: string }).csr));
  fake.answers = { enroll: sign, renew: sign, getDevice: () => enrolled('d1', '').device };
  const given = {
    service: { api: fake.url, caPem: authority.certificatePem },
    ...{ id: 'd1', folder: join(folder, 'd1'), clock: systemClock },
  };
  const read = (name: string): string => readFileSync(join(folder, 'd1', name), 'utf8');
  const program = `
    import { readFileSync } from 'node:fs';
    import { renewDevice } from ${JSON.stringify(join(room, 'src/index.ts'))};
    const service = { api: ${JSON.stringify(fake.url)}, caPem: readFileSync(${JSON.stringify(ca)}, 'utf8') };
    for (;;) {
      await renewDevice({
        service, id: 'd1', folder: ${JSON.stringify(given.folder)}, withNewKey: true, clock: Date,
      });
      process.stdout.write('.');
    }`;
  try {
    await enrollDevice({ ...given, token: 'secret', algorithm: 'ec-p256' });
    const left = new Set<string>();
    for (let round = 0; round < rounds; round += 1) {
      const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', program], {
        cwd: room,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let errors = '';
      child.stderr.setEncoding('utf8').on('data', (part: string) => (errors += part));
      await Promise.race([once(child.stdout, 'data'), once(child, 'exit')]);
      expect(errors).toBe('');
      await sleep(Math.random() * 40);
      const ended = once(child, 'exit');
      child.kill('SIGKILL');
      await ended;
      const names = readdirSync(given.folder);
      for (const name of names) left.add(name.replace(/\.[0-9a-f]{12}\.tmp$/, '.tmp'));
      // What is in force fits, or a renewal that was on its way between two renames is finished by the next.
      await renewDevice({ ...given, withNewKey: true }).catch((error: unknown) => {
        throw new Error(`round ${String(round)}, left ${names.join(' ')}`, { cause: error });
      });
      const leaf = new X509Certificate(read('d1.crt'));
      expect(leaf.checkPrivateKey(createPrivateKey(read('d1.key'))), names.join(' ')).toBe(true);
    }
    // The kills did meet it on its way.
    expect([...left].some((name) => name.endsWith('.new') || name.endsWith('.tmp'))).toBe(true);
  } finally {
    await fake.close();
    rmSync(folder, { recursive: true, force: true });
  }
});
