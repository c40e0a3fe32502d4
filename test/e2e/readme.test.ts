// The README's five minutes, run as they stand on the page: what a newcomer types first must work as it is written.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { describeReady } from '../../apps/cli/src/up/welcome.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import { has } from '../support/needs.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();

/** Shell blocks of the section, in order, but the one that starts what runs here already. */
function readTour(): string[] {
  const page = readFileSync(join(projectFolder, 'README.md'), 'utf8');
  const section = /^## Five minutes\n([^]*?)^## /m.exec(page)?.[1] ?? '';
  const blocks = [...section.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = '']) => block);
  return blocks.filter((block) => !block.startsWith('make up'));
}

describe.skipIf(!has('curl', 'openssl', 'mosquitto_pub'))('the tour of the README', () => {
  it('can be typed as it is printed, and leaves what it says', { timeout: 60_000 }, async () => {
    const { folder, fleet } = suite;
    const at = (...names: string[]): string => join(folder, ...names);
    // npx finds the command in the project's folder; here it is found by this.
    mkdirSync(at('bin'));
    writeFileSync(at('bin', 'npx'), `#!/bin/sh\nshift\nexec "${keylineCommand}" "$@"\n`);
    chmodSync(at('bin', 'npx'), 0o755);
    mkdirSync(at('csrs'));
    for (const id of ['unit-1', 'unit-2']) {
      writeFileSync(at('csrs', `${id}.csr`), await createDeviceKey().csr(id));
    }
    const tour = readTour();
    expect(tour.length).toBeGreaterThan(4);

    const { code, out, err } = await runProgram('bash', ['-euo', 'pipefail', '-c', tour.join('')], {
      cwd: folder,
      env: { ...process.env, PATH: `${at('bin')}:${process.env['PATH'] ?? ''}` },
    });
    expect(code, `${out}${err}`).toBe(0);
    expect(out).toContain('pump-1 is enrolled.');
    expect(out).toContain('Client pump-1 received CONNACK (0)');
    expect(out).toContain('devices/pump-1/state {"valve":"open"}');
    expect(out).toContain('Client pump-2 received PUBACK');
    expect(out).toContain('2 signed, 0 the same as before, 0 refused');
    expect(out).toContain('pump-1 is revoked.');
    expect(out).toContain('All is well');
    for (const file of ['pump-1/pump-1.crt', 'pump-2.crt', 'certs/unit-2.crt']) {
      expect(existsSync(at(file)), file).toBe(true);
    }
    const { body } = await fleet.admin.get('/v1/devices');
    const states = body.items.map(({ id, state }: { id: string; state: string }) => [id, state]);
    expect(Object.fromEntries(states)).toEqual({
      'pump-1': 'revoked',
      'pump-2': 'active',
      'unit-1': 'active',
      'unit-2': 'active',
    });
  });
});

it('what keyline up says to try next can be typed as it is printed', async () => {
  const { folder, keyline } = suite;
  const text = describeReady(keyline.endpoints, { data: keyline.data, logs: '', cwd: folder });
  const lines = [...text.matchAll(/^ {2}keyline (.*)$/gm)].map(([, line = '']) => line);
  expect(lines.length).toBeGreaterThan(3);
  const script = lines.map((line) => `"$KEYLINE" ${line}\n`).join('');
  mkdirSync(join(folder, 'welcome'));
  // As a shell of Debian's makes files: readable by others, unless the program sees to it.
  const { code, out, err } = await runProgram('bash', ['-euc', `umask 022\n${script}`], {
    cwd: join(folder, 'welcome'),
    env: { ...process.env, KEYLINE: keylineCommand },
  });
  expect(code, `${out}${err}`).toBe(0);
  expect(existsSync(join(folder, 'welcome', 'pump-17', 'pump-17.crt'))).toBe(true);
});
