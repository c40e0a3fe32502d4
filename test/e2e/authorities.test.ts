// A second issuing authority by command, from its CSR to a device that connects with its certificate; and a broker that somebody edited.
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { administer } from '../support/dynsec-admin.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import { runProgram } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
const rootCommand = join(projectFolder, 'apps/root-ca/bin/keyline-root');

async function run(...args: string[]): Promise<{ out: string; err: string }> {
  const { code, out, err } = await runProgram(keylineCommand, args, {
    cwd: suite.folder,
    env: { ...process.env, KEYLINE_ENDPOINTS: suite.keyline.endpointsFile },
  });
  expect(code, `keyline ${args.join(' ')}: ${err}`).toBe(0);
  return { out, err };
}

const keyline = async (...args: string[]): Promise<string> => (await run(...args)).out;

const administrate = (commands: Parameters<typeof administer>[2]) =>
  administer(suite.fleet.broker, suite.fleet.adminIdentity, commands);

const inFolder = (...names: string[]): string => join(suite.folder, ...names);

describe('a second issuing authority', () => {
  it('is added, signed offline, installed and activated; what it issues is accepted by the broker', async () => {
    const { data } = suite.keyline;
    const added = await run('ca', 'add', 'issuing-2');
    writeFileSync(join(data, 'root', 'issuing-2.csr'), added.out);
    const [hash] = /^key SHA-256  [0-9a-f]{64}$/m.exec(added.err) ?? [];
    const seen = await runProgram(rootCommand, [
      ...['inspect', '--dir', join(data, 'root'), 'issuing-2.csr'],
    ]);
    // Read aloud on both machines: a stick that was exchanged on the way shows.
    expect(seen.out).toContain(`  ${hash ?? 'no hash'}\n`);
    const signed = await runProgram(
      rootCommand,
      [
        'sign-intermediate',
        ...['--dir', join(data, 'root')],
        ...['--csr', 'issuing-2.csr', '--out', 'issuing-2.crt'],
        ...['--passphrase-file', '-', '--yes'],
      ],
      { input: readFileSync(join(data, 'secrets', 'root.pass'), 'utf8') },
    );
    expect(signed.code, signed.err).toBe(0);
    copyFileSync(join(data, 'root', 'issuing-2.crt'), inFolder('issuing-2.crt'));
    await keyline(
      ...['ca', 'install', 'issuing-2', '--certificate', 'issuing-2.crt'],
      ...['--root', join(data, 'root', 'root.crt')],
    );
    await keyline('ca', 'activate', 'issuing-2', '--profile', 'device-client');
    await keyline('token', 'create', '--out', 'token.txt');
    await keyline(
      ...['device', 'enroll', '--id', 'second-1', '--token-file', 'token.txt', '--out', 'second-1'],
    );
    const device = {
      id: 'second-1',
      certificate: readFileSync(inFolder('second-1', 'second-1.crt'), 'utf8'),
      key: readFileSync(inFolder('second-1', 'second-1.key'), 'utf8'),
    };
    const session = await suite.fleet.connect(device);
    expect(await session.publish('devices/second-1/telemetry', '1')).toBe('accepted');
    await session.close();
    const list = JSON.parse(await keyline('ca', 'list', '--json'));
    expect(list.items.find(({ id }: { id: string }) => id === 'issuing-2').profiles).toEqual([
      'device-client',
    ]);
  });

  it('is learnt by the broker of keyline up, also for devices that send their leaf alone', async () => {
    const bundle = join(suite.keyline.data, 'broker', 'ca.pem');
    const issuing = readFileSync(inFolder('issuing-2.crt'), 'utf8').trim();
    // Looked for every ten seconds.
    await expect
      .poll(() => readFileSync(bundle, 'utf8'), { timeout: 60_000, interval: 250 })
      .toContain(issuing);
  });
});

describe('keyline target compare', () => {
  it('brings back what somebody deleted and takes away what somebody made', async () => {
    await administrate([
      { command: 'deleteClient', username: 'second-1' },
      { command: 'createClient', username: 'stranger' },
    ]);
    const said = await keyline('target', 'compare', 'broker');
    expect(said).toContain('1 were missing');
    expect(said).toContain('1 unknown to the fleet');
    await administrate([{ command: 'getClient', username: 'second-1' }]);
    await expect(administrate([{ command: 'getClient', username: 'stranger' }])).rejects.toThrow(
      'Client not found',
    );
    expect(await keyline('target', 'compare', 'broker')).toContain('nothing');
  });
});
