import { chmodSync, cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { defaultConfig } from '../src/up/programs.ts';
import { openWorkshop, type Ran, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
beforeEach(async () => {
  workshop = openWorkshop();
  await workshop.run(
    ...['init', '--data', 'plant', '--host', 'ca.example.org', '--yes', '--port-api', '21443'],
    ...['--port-http', '21080', '--port-broker', '21883'],
  );
});
afterEach(() => {
  workshop.remove();
});

function change(file: string, from: string | RegExp, to: string): void {
  const path = workshop.path('plant', file);
  const before = readFileSync(path, 'utf8');
  const after = before.replace(from, to);
  expect(after).not.toBe(before);
  writeFileSync(path, after);
}

const check = (...args: string[]): Promise<Ran> =>
  workshop.run('config', 'check', '--data', 'plant', ...args);
const lastLine = ({ err }: Ran): string => err.trimEnd().split('\n').at(-1) ?? '';

describe('keyline config check', () => {
  it('says what there is when all is well', async () => {
    const { code, out, err } = await check();
    expect([code, err]).toEqual([0, '']);
    expect(out).toMatch(/device types +default, sensor, /);
    expect(out).toContain('The configuration is valid.');
    const { types, channels } = JSON.parse((await check('--json')).out);
    expect([types.slice(0, 2), channels]).toEqual([['default', 'sensor'], ['log']]);
  });

  it.each([
    [
      'an unknown key',
      'listen:',
      'lisen:',
      /keyline\.yaml:\d+:1: unknown key "lisen"; did you mean "listen"\?/,
    ],
    [
      'an unknown limit',
      '#maxConnections:',
      'maxConections:',
      /:\d+:5: unknown key "maxConections"; did you mean "maxConnections"\?/,
    ],
    [
      'a port that is none',
      'api: 21443',
      'api: 70000',
      /keyline\.yaml:\d+:\d+: "ports\.api" is 70000 and must be <= 65535/,
    ],
    [
      'a port that is taken',
      'api: 21443',
      'api: 21080',
      /"ports\.http": port 21080 is that of ports\.api already/,
    ],
    [
      'a port as a text',
      'api: 21443',
      'api: https',
      /"ports\.api" must be a whole number, not "https"/,
    ],
    [
      'one name instead of a list',
      /hosts:\n.*\n/,
      'hosts: ca.example.org\n',
      /"hosts" must be a list, not "ca\.example\.org"/,
    ],
    [
      'a name that is none',
      '- ca.example.org',
      '- https://ca.example.org',
      /"hosts\.0": "https:\/\/ca\.example\.org" is neither a name nor an address/,
    ],
    [
      'a name to listen on',
      "listen: '0.0.0.0'",
      'listen: ca.example.org',
      /"listen": "ca\.example\.org" is no IP address/,
    ],
    ['an old TLS', '#minVersion: 1.2', 'minVersion: 1.1', /"api\.tls\.minVersion" can't be 1\.1/],
    [
      'groups that OpenSSL does not know',
      '#groups: [X25519MLKEM768',
      'groups: [X25519KYBER',
      /"broker\.tls\.groups": OpenSSL knows no such list/,
    ],
    [
      'ciphers that OpenSSL does not know',
      '#ciphers: [ECDHE-ECDSA-AES128-GCM-SHA256, TLS_AES_128_GCM_SHA256]',
      'ciphers: [NONE-SUCH]',
      /"broker\.tls\.ciphers": OpenSSL knows no such list/,
    ],
    [
      'a duration that is none',
      '#packetTimeout: 1m',
      'packetTimeout: soon',
      /"broker\.limits\.packetTimeout" is "soon", which is no/,
    ],
    [
      'a broker that can do without',
      'engine: embedded',
      'engine: mosquitto\n  passwordPort: 8885',
      /"broker\.passwordPort": it goes with engine: embedded/,
    ],
    [
      'a backup without a passphrase',
      'backup:\n',
      'backup: { folder: b, every: 1d, keep: 3 }\n#',
      /"backup": give passphraseFile or recipients/,
    ],
    ['a tab', 'listen:', '\tlisten:', /tabs can't indent|not valid YAML/],
    ['two of a key', 'listen:', 'listen: 1\nlisten:', /the key "listen" is there twice/],
  ])(
    'finds %s, and its last line is the reason, with line, column, nearest key and code',
    async (_title, from, to, expected) => {
      change('keyline.yaml', from, to);
      const ran = await check();
      expect(ran.code).toBe(6);
      expect(lastLine(ran)).toMatch(expected);
      expect(lastLine(ran)).toMatch(/ \[CONFIG_INVALID\]$/);
      const { error } = JSON.parse((await check('--json')).out);
      expect(error.code).toBe('CONFIG_INVALID');
      // Nor is anything started with it.
      const up = await workshop.run('up', '--data', 'plant');
      expect([up.code, lastLine(up)]).toEqual([6, lastLine(ran)]);
    },
  );

  it('finds what a target and a channel name that is not there, which would stop nothing else', async () => {
    change(
      'ca-config/targets.yaml',
      'targets:',
      'targets:\n  - { name: hall, description: x, url: "mqtts://h:1", exclusive: false, ca: nowhere.pem }',
    );
    change(
      'ca-config/alerts.yaml',
      'webhooks:',
      'webhooks: [{ name: oncall, url: "https://h/", timeout: PT5S, attempts: 1, caFile: no-ca.pem }]',
    );
    const { code, err } = await check();
    expect(code).toBe(6);
    expect(err).toContain('nowhere.pem of the target "hall" (targets.yaml) can\'t be read');
    expect(err).toMatch(
      /no-ca\.pem of a webhook \(alerts\.yaml\) is missing\. \[CONFIG_INVALID\]\n$/,
    );
  });

  it('finds that the passphrase of the backups is not there, or can be read by others', async () => {
    const backup = 'backup: { folder: b, every: 1d, keep: 3, passphraseFile: secrets/b.pass }';
    change('keyline.yaml', 'backup:', backup);
    const missing = await check();
    expect([missing.code, /There is no .*secrets\/b\.pass/.test(missing.err)]).toEqual([6, true]);
    mkdirSync(workshop.path('plant', 'secrets'));
    writeFileSync(workshop.path('plant', 'secrets/b.pass'), 'x\n', { mode: 0o644 });
    expect((await check()).err).toMatch(/b\.pass.*chmod 600/);
    chmodSync(workshop.path('plant', 'secrets/b.pass'), 0o600);
    expect((await check()).code).toBe(0);
  });

  it('finds a mistake in one target, at its line', async () => {
    change('ca-config/targets.yaml', 'targets:', 'targets:\n  - { name: hall, roll: x }');
    const ran = await check();
    expect(ran.code).toBe(6);
    expect(ran.err).toMatch(/targets\.yaml:\d+:\d+: unknown key "roll"/);
  });

  it('looks at a folder alone, and says when there is nothing to look at', async () => {
    cpSync(defaultConfig, workshop.path('mine'), { recursive: true });
    expect((await workshop.run('config', 'check', '--config', 'mine')).code).toBe(0);
    writeFileSync(workshop.path('mine', 'service.yaml'), 'crl: 7\n');
    const ran = await workshop.run('config', 'check', '--config', 'mine');
    expect([ran.code, /service\.yaml:1:6: "crl" must be a mapping, not 7/.test(ran.err)]).toEqual([
      6,
      true,
    ]);
    const nothing = await workshop.run('config', 'check', '--data', 'nowhere');
    expect([nothing.code, nothing.err.includes('keyline init --data nowhere')]).toEqual([6, true]);
  });
});
