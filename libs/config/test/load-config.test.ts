import { isKeylineError, parseDuration } from '@keyline/kernel';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createSchemaDocuments, loadConfig } from '../src/index.ts';

const shipped = join(import.meta.dirname, '..', '..', '..', 'ca-config');
let dir: string;

beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'keyline-config-')), 'ca-config');
  await cp(shipped, dir, { recursive: true });
});
afterEach(async () => {
  await rm(join(dir, '..'), { recursive: true });
});

async function change(file: string, edit: (text: string) => string): Promise<void> {
  const path = join(dir, file);
  const before = await readFile(path, 'utf8');
  const after = edit(before);
  expect(after).not.toBe(before);
  await writeFile(path, after);
}

async function errorOf(work: Promise<unknown>): Promise<{ code: string; detail: string }> {
  try {
    await work;
  } catch (error) {
    if (isKeylineError(error)) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

/** The lines below the first, without their indentation. */
async function problems(): Promise<string[]> {
  const { code, detail } = await errorOf(loadConfig(dir, { strict: true }));
  expect(code).toBe('CONFIG_INVALID');
  return detail
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
}

describe('the configuration that ships', () => {
  it('loads, with what the programs build on', async () => {
    const { profiles, roles, types, alerts, service } = await loadConfig(shipped);
    expect([...profiles.keys()].toSorted()).toEqual([
      'admin',
      'broker-server',
      'device-client',
      'ocsp-responder',
      'operator',
      'service-client',
      'service-server',
      'station',
    ]);
    expect(profiles.get('device-client')).toMatchObject({
      kind: 'device',
      apiRole: 'device',
      validity: { duration: '90d' },
      ocspNoCheck: false,
      noRevAvail: false,
    });
    expect(roles.get('device')?.subscribe).toEqual(['devices/%u/commands/#', 'config/global/#']);
    expect(types.get('default')).toMatchObject({ profile: 'device-client', role: 'device' });
    expect(alerts.longLived.map(({ within }) => within / parseDuration('P1D'))).toEqual([
      30, 14, 7,
    ]);
    expect(service.crl).toEqual({ validity: parseDuration('P7D'), interval: parseDuration('P1D') });
  });

  it('names its schema in the first line of every file', async () => {
    const files = await readdir(shipped, { recursive: true });
    for (const file of files.filter((name) => name.endsWith('.yaml'))) {
      const text = await readFile(join(shipped, file), 'utf8');
      const schema = /^# yaml-language-server: \$schema=(\S+)\n/.exec(text)?.[1];
      expect(schema, file).toBeDefined();
      await readFile(join(shipped, file, '..', schema ?? ''));
    }
  });

  it('comes with the schemas that the sources make', async () => {
    for (const { file, text } of createSchemaDocuments()) {
      expect(await readFile(join(shipped, 'schemas', file), 'utf8')).toBe(text);
    }
  });
});

describe('loadConfig', () => {
  it('names file, line, column and the nearest known key', async () => {
    await change('profiles/device-client.yaml', (text) => text.replace('keyUsage:', 'keyUsages:'));
    const text = await readFile(join(dir, 'profiles/device-client.yaml'), 'utf8');
    const line = text.split('\n').findIndex((each) => each.startsWith('keyUsages')) + 1;
    expect(await problems()).toEqual([
      'profiles/device-client.yaml:1:1: "keyUsage" is missing'.replace(
        '1:1',
        `${String(text.split('\n').findIndex((each) => each.startsWith('name:')) + 1)}:1`,
      ),
      `profiles/device-client.yaml:${String(line)}:1: unknown key "keyUsages"; did you mean "keyUsage"?`,
    ]);
  });

  it('finds an unknown key in a nested list, at its own place', async () => {
    await change('types.yaml', (text) => text.replace('    role: gateway', '    roll: gateway'));
    expect((await problems()).join('\n')).toMatch(
      /types\.yaml:\d+:5: unknown key "roll"; did you mean "role"\?/,
    );
  });

  it('takes the rates of a role, and none that is no rate', async () => {
    await change(
      'roles/device.yaml',
      (text) => `${text}messagesPerSecond: 0.2\nbytesPerSecond: 65536\n`,
    );
    expect((await loadConfig(dir)).roles.get('device')).toMatchObject({
      messagesPerSecond: 0.2,
      bytesPerSecond: 65_536,
    });
    await change('roles/device.yaml', (text) =>
      text.replace(': 0.2', ': 0').replace(/65536\n$/, 'lots'),
    );
    const found = (await problems()).join('\n');
    expect(found).toMatch(/roles\/device\.yaml:\d+:\d+: "messagesPerSecond"/);
    expect(found).toMatch(/roles\/device\.yaml:\d+:\d+: "bytesPerSecond" must be a number/);
  });

  it('makes one more type of each role for services, which no device type can name', async () => {
    const { types } = await loadConfig(dir);
    expect(types.get('service:telemetry-reader')).toMatchObject({
      profile: 'service-client',
      role: 'telemetry-reader',
    });
    await change('types.yaml', (text) => text.replace('role: gateway', 'role: telemetry-reader'));
    expect((await problems()).join()).toMatch(
      /types\.yaml:\d+:11: "types\.2\.role": the role "telemetry-reader" is for services; a device can't have it/,
    );
  });

  it('rejects a role for services whose profile is none for services, and a profile in a role for devices', async () => {
    await change('roles/bridge.yaml', (text) =>
      text.replace('kind: service', 'kind: service\nprofile: device-client'),
    );
    await change('roles/gateway.yaml', (text) => `${text}profile: service-client\n`);
    await change('roles/telemetry-reader.yaml', (text) =>
      text.replace('kind: service', 'kind: service\nprofile: service-clients'),
    );
    const found = (await problems()).join('\n');
    expect(found).toContain('"device-client" is of kind device; a role for services needs one');
    expect(found).toContain('only a role with "kind: service" names a profile');
    expect(found).toContain('no profile "service-clients"; did you mean "service-client"?');
  });

  it('reports everything there is to fix at once, in reading order', async () => {
    await change('alerts.yaml', (text) =>
      text.replace('30d, severity: info', '30 days, severity: inform'),
    );
    await change('service.yaml', (text) => text.replace('bodyBytes: 65536', 'bodyBytes: lots'));
    await change('roles/device.yaml', (text) =>
      text.replace('devices/%u/state', 'devices/x%u/state'),
    );
    const found = await problems();
    expect(found).toHaveLength(4);
    expect(found[0]).toMatch(/^alerts\.yaml:\d+:\d+: "longLived\.0\.within" is "30 days".*90d/);
    expect(found[1]).toMatch(/^alerts\.yaml.*"inform"; did you mean "info"\?/);
    expect(found[2]).toMatch(/^roles\/device\.yaml:\d+:5: "publish\.2": .*%u/);
    expect(found[3]).toMatch(
      /^service\.yaml.*"limits\.bodyBytes" must be a whole number, not "lots"/,
    );
  });

  it.each([
    ['a duplicate key', 'name: x\nname: y\n', ':2:1: the key "name" is there twice'],
    ['an empty file', '', ':1:1: the file is empty'],
    ['a file of comments', '# nothing\n', ':1:1: the file is empty'],
    ['a root that is a list', '- name: x\n', ':1:1: the file must be a mapping'],
    ['a root that is a text', 'hello\n', ':1:1: the file must be a mapping'],
    ['tabs', 'name: x\nrenewal:\n\twindow: 1\n', ":3:1: tabs can't indent"],
    ['a second document', 'name: x\n---\nname: y\n', ':2:1: the file holds several documents'],
    ['an alias', 'name: &n x\ndescription: *n\n', 'anchors and aliases'],
    ['an unknown tag', 'name: !shell x\n', ':1:7: not valid YAML'],
    ['broken YAML', 'name: "x\n', 'not valid YAML'],
    ['deep nesting', `name: ${'['.repeat(20_000)}`, 'nested too deeply'],
    ['deep nesting by dashes', `name:\n  ${'- '.repeat(5000)}x`, 'nested too deeply'],
    ['bytes that are not UTF-8', Buffer.from([0x6e, 0xff, 0xfe]), 'not UTF-8'],
    ['a huge file', `# ${'x'.repeat(1_100_000)}\n`, 'larger than 1048576 bytes'],
  ])('rejects %s', async (_title, content, expected) => {
    await writeFile(join(dir, 'profiles', 'station.yaml'), content);
    expect((await problems()).join('\n')).toContain(expected);
  });

  it('reads YAML 1.2: "no" and "on" are texts, not booleans', async () => {
    await change('alerts.yaml', (text) => text.replace('log: true', 'log: on'));
    expect((await problems()).join()).toContain('must be true or false, not "on"');
  });

  it.each([
    ['profile', 'device-clint', 'did you mean "device-client"?'],
    ['profile', 'operator', 'is of kind operator'],
    ['role', 'gatway', 'did you mean "gateway"?'],
  ])('rejects a type whose %s is %s', async (key, value, expected) => {
    await change('types.yaml', (text) =>
      text.replace(new RegExp(`${key}: .*`), `${key}: ${value}`),
    );
    expect((await problems()).join()).toContain(expected);
  });

  it('does not blame types.yaml for a profile whose own file is broken', async () => {
    await change('profiles/device-client.yaml', (text) =>
      text.replace('kind: device', 'kind: devise'),
    );
    expect(await problems()).toEqual([
      expect.stringMatching(/^profiles\/device-client\.yaml:\d+:7: .*did you mean "device"\?/),
    ]);
  });

  it('rejects a type that is there twice, and a profile that is not called like its file', async () => {
    await change('types.yaml', (text) => text.replace('name: sensor', 'name: default'));
    await change('roles/gateway.yaml', (text) => text.replace('name: gateway', 'name: gate'));
    const found = (await problems()).join('\n');
    expect(found).toContain('a type "default" is there already');
    expect(found).toContain('the file is gateway.yaml');
  });

  it.each([
    [
      'a device that would be an admin',
      'device-client',
      ['apiRole: device', 'apiRole: admin'],
      "can't be admin",
    ],
    [
      'a device that could be a server',
      'device-client',
      ['[clientAuth]', '[clientAuth, serverAuth]'],
      'exactly [clientAuth]',
    ],
    ['a device with another CN', 'device-client', ["value: '{id}'", "value: 'x-{id}'"], 'CN {id}'],
    [
      'keyCertSign on a leaf (RFC 5280 §4.2.1.3)',
      'station',
      ['[digitalSignature]', '[digitalSignature, keyCertSign]'],
      'keyCertSign',
    ],
    [
      'a server without names',
      'broker-server',
      [/san:\n.*\n.*\n/, 'san: []\n'],
      'a server needs its names',
    ],
    [
      'an OCSP signer that can be asked about (RFC 6960 §4.2.2.2.1)',
      'ocsp-responder',
      ['ocspNoCheck: true\n', ''],
      'ocspNoCheck',
    ],
    [
      'an unknown placeholder',
      'operator',
      ['operator:{id}', 'operator:{name}'],
      '"{name}" is no placeholder',
    ],
    ['a long backdate', 'operator', ['backdate: 5m', 'backdate: 2d'], '1h'],
    [
      'two ways to end',
      'operator',
      ['duration: 90d', 'duration: 90d\n  until: 2030-01-01T00:00:00Z'],
      'exactly one of duration, until',
    ],
    [
      'an unknown placeholder in a hardware module name (RFC 4108)',
      'device-client',
      [
        "  - uri: 'urn:keyline:device:{id}'",
        "  - hardwareModule: { type: 1.3.6.1.4.1.99999.1, serialNumber: '{serial}' }",
      ],
      '"{serial}" is no placeholder',
    ],
    [
      'a hardware module type that is no object identifier',
      'device-client',
      [
        "  - uri: 'urn:keyline:device:{id}'",
        "  - hardwareModule: { type: pump, serialNumber: '{id}' }",
      ],
      'hardwareModule.type',
    ],
    [
      'noRevAvail with a CRL pointer (RFC 9608)',
      'operator',
      ['backdate:', 'noRevAvail: true\nbackdate:'],
      'RFC 9608',
    ],
  ] as const)('rejects %s', async (_title, name, [from, to], expected) => {
    await change(`profiles/${name}.yaml`, (text) => text.replace(from, to));
    expect((await problems()).join('\n')).toContain(expected);
  });

  it.each([
    [
      'a CRL interval that leaves no time for repair',
      'service.yaml',
      ['interval: 1d', 'interval: 6d'],
      'crl.interval',
    ],
    [
      'a threshold above the short-lived limit',
      'alerts.yaml',
      ['Below: 60d', 'Below: 20d'],
      'shortLivedBelow',
    ],
    [
      'thresholds out of order',
      'alerts.yaml',
      ['share: 0.15', 'share: 0.5'],
      'widest to the narrowest',
    ],
    [
      'credentials in a webhook URL',
      'alerts.yaml',
      ['webhooks:', 'webhooks: [{name: a, url: "https://u:p@h/", timeout: PT5S, attempts: 1}]'],
      'url',
    ],
  ] as const)('rejects %s', async (_title, file, [from, to], expected) => {
    await change(file, (text) => text.replace(from, to));
    expect((await problems()).join('\n')).toContain(expected);
  });

  it('loads a hardware module name (RFC 4108 §5)', async () => {
    const hardwareModule = { type: '1.3.6.1.4.1.99999.1', serialNumber: '{id}' };
    await change('profiles/device-client.yaml', (text) =>
      text.replace('san:\n', `san:\n  - hardwareModule: ${JSON.stringify(hardwareModule)}\n`),
    );
    const { profiles } = await loadConfig(dir);
    expect(profiles.get('device-client')?.san[0]).toEqual({ hardwareModule });
  });

  it('takes a target without a kind for dynsec, and says which kinds there are for one that is none', async () => {
    const target = (kind: string): string =>
      `targets: [{name: hall, description: In hall 3., ${kind}url: "mqtts://hall:8883", exclusive: false}]`;
    await change('targets.yaml', (text) => text.replace('targets:', target('')));
    expect((await loadConfig(dir)).targets).toEqual([
      expect.objectContaining({ name: 'hall', kind: 'dynsec' }),
    ]);
    await change('targets.yaml', (text) => text.replace(target(''), target('kind: dynsec, ')));
    expect((await loadConfig(dir)).targets[0]?.kind).toBe('dynsec');
    await change('targets.yaml', (text) => text.replace('kind: dynsec', 'kind: emqx'));
    const [problem] = await problems();
    expect(problem).toMatch(
      /^targets\.yaml:\d+:\d+: "targets\.0\.kind" can't be "emqx"; known: dynsec$/,
    );
  });

  it('takes headersFile relative to the folder', async () => {
    await change('alerts.yaml', (text) =>
      text.replace(
        'webhooks:',
        'webhooks: [{name: oncall, url: "https://h/x", headersFile: secrets/h, timeout: PT5S, attempts: 2}]',
      ),
    );
    const { alerts } = await loadConfig(dir);
    expect(alerts.channels.webhooks).toEqual([
      {
        name: 'oncall',
        url: 'https://h/x',
        headersFile: join(dir, 'secrets/h'),
        timeout: 5000,
        attempts: 2,
      },
    ]);
  });

  it('says which file or folder is missing, and what lies around that is not configuration', async () => {
    await rm(join(dir, 'service.yaml'));
    await rm(join(dir, 'roles'), { recursive: true });
    await writeFile(join(dir, 'profiles', 'device.yml'), 'name: x\n');
    const found = (await problems()).join('\n');
    expect(found).toContain('service.yaml: the file is missing');
    expect(found).toContain('roles/: the folder is missing');
    expect(found).toContain('"device.yml" is no .yaml file');
    const { code, detail } = await errorOf(loadConfig(join(dir, 'nowhere')));
    expect(code).toBe('FILE_NOT_FOUND');
    expect(detail).toContain('nowhere');
  });

  it('is valid with every setting and example of the shipped files uncommented', async () => {
    const examples: string[] = [];
    for (const file of (await readdir(dir, { recursive: true })).filter((name) =>
      name.endsWith('.yaml'),
    )) {
      const before = await readFile(join(dir, file), 'utf8');
      const after = before.replaceAll(/^( *)#(?=\S| {2,}\S)/gm, '$1');
      if (after === before) continue;
      examples.push(file);
      await writeFile(join(dir, file), after);
    }
    expect(examples.toSorted()).toEqual([
      'alerts.yaml',
      'roles/device.yaml',
      'service.yaml',
      'targets.yaml',
    ]);
    const { alerts, service, targets, roles } = await loadConfig(dir, { strict: true });
    expect(alerts.channels.webhooks.map(({ name }) => name)).toEqual(['oncall']);
    expect(targets.map(({ name, exclusive }) => [name, exclusive])).toEqual([
      ['plant-north', false],
    ]);
    expect([service.crl.shards, service.origins]).toEqual([16, ['https://console.example.org']]);
    expect(roles.get('device')?.messagesPerSecond).toBe(20);
    expect(roles.get('device')?.publish).toContain('sites/%{label:site}/devices/%u');
  });
});

describe('a mistake in one target or channel', () => {
  const good = 'name: hall, description: In hall 3., url: "mqtts://hall:8883", exclusive: false';
  const targets = (...items: string[]): Promise<void> =>
    writeFile(
      join(dir, 'targets.yaml'),
      `targets:\n${items.map((one) => `  - ${one}\n`).join('')}`,
    );

  it.each([
    [
      'an unknown key',
      '{ name: yard, roll: x }',
      'yard',
      /^targets\.yaml:3:\d+: .*unknown key "roll"/,
    ],
    ['no name', '{ url: "mqtts://a:1" }', 'target-2', /"targets\.1": "name" is missing/],
    ['a name that is taken', `{ ${good} }`, 'target-2', /a target "hall" is there already/],
    [
      'a name of Keyline’s own',
      `{ ${good.replace('hall,', 'crl,')} }`,
      'crl',
      /name of Keyline's own/,
    ],
    ['a text instead of a mapping', 'hall', 'target-2', /must be a mapping, not "hall"/],
    ['nothing', '', 'target-2', /must be a mapping, not empty/],
    [
      'a certificate without its key',
      `{ ${good.replace('hall,', 'yard,')}, certificate: c.pem }`,
      'yard',
      /given together/,
    ],
  ])('that has %s leaves the others in use', async (_title, item, name, detail) => {
    await targets(`{ ${good} }`, item);
    const { targets: used, mistakes } = await loadConfig(dir);
    expect(used.map((target) => target.name)).toEqual(['hall']);
    expect(mistakes).toEqual([
      { part: 'target', name, detail: expect.stringMatching(detail) as string },
    ]);
    expect((await problems()).join('\n')).toMatch(
      detail.source.startsWith('^') ? /unknown key/ : detail,
    );
  });

  it('is told of each, at its own place, when there are several of different kinds', async () => {
    await targets('hall', `{ ${good} }`, `{ ${good} }`, `{ ${good.replace('hall,', 'broker,')} }`);
    const { targets: used, mistakes } = await loadConfig(dir);
    expect(used).toHaveLength(1);
    expect(mistakes.map(({ detail }) => detail.replace(/:\d+: .*/, '')).toSorted()).toEqual([
      'targets.yaml:2',
      'targets.yaml:4',
      'targets.yaml:5',
    ]);
  });

  it.each([
    ['is no YAML', 'targets: ["\n'],
    ['is a list', '- name: hall\n'],
    ['has another key', 'target: []\n'],
  ])(
    'of a targets.yaml that %s is told as that of one, and nothing else is stopped',
    async (_title, text) => {
      await writeFile(join(dir, 'targets.yaml'), text);
      const { targets: used, mistakes } = await loadConfig(dir);
      expect(used).toEqual([]);
      expect(mistakes).toEqual([expect.objectContaining({ part: 'target', name: 'targets.yaml' })]);
      expect(await problems()).not.toEqual([]);
    },
  );

  it('in a webhook leaves the others in use, and in a threshold still stops the start', async () => {
    const webhooks = `webhooks:
    - { name: a, url: "https://h/x", timeout: PT5S, attempts: 2 }
    - { name: b, url: "ftp://h/x", timeout: PT5S, attempts: 2 }
    - { name: a, url: "https://h/y", timeout: PT5S, attempts: 2 }
    - { name: c, url: "https://h/y", timeout: PT5M, attempts: 2 }
`;
    await change('alerts.yaml', (text) => text.replace('webhooks:\n', webhooks));
    const { alerts, mistakes } = await loadConfig(dir);
    expect(alerts.channels.webhooks.map(({ url }) => url)).toEqual(['https://h/x']);
    expect(mistakes.map(({ part, name }) => [part, name])).toEqual([
      ['channel', 'b'],
      ['channel', 'channel-3'],
      ['channel', 'c'],
    ]);
    expect(await problems()).toHaveLength(1);
    await change('alerts.yaml', (text) => text.replace('30d, severity: info', '30d, severity: x'));
    expect((await errorOf(loadConfig(dir))).code).toBe('CONFIG_INVALID');
  });
});
