import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { brokerLimits, loadConfig, loadPlantConfig } from '@keyline/config';
import { parseDuration } from '@keyline/kernel';
import { createPlantFile } from '../src/init/plant-file.ts';
import { loadPlanOf, namesOf, urlsOf } from '../src/up/plan.ts';
import { openWorkshop, type Workshop } from './support/workshop.ts';

let workshop: Workshop;
beforeEach(() => {
  workshop = openWorkshop();
});
afterEach(() => {
  workshop.remove();
});

const free = ['--port-api', '21443', '--port-http', '21080', '--port-broker', '21883'];
const file = (): string => workshop.path('plant', 'keyline.yaml');

/** Takes the "#" from every line that is a setting: those without a single space after it. */
function uncomment(text: string): string {
  return text.replaceAll(/^( *)#(?=\S| {2,}\S)/gm, '$1');
}

describe('keyline init', () => {
  it('writes keyline.yaml and a copy of ca-config without a question, and what it wrote is valid', async () => {
    const { code, out, err } = await workshop.run(
      ...['init', '--data', 'plant', '--host', 'CA.example.org,192.0.2.10', '--yes'],
      ...['--listen', '127.0.0.1', ...free],
    );
    expect([code, err]).toEqual([0, '']);
    expect(out).toContain('https://ca.example.org:21443');
    const plant = await loadPlantConfig(file());
    expect(plant).toMatchObject({
      hosts: ['ca.example.org', '192.0.2.10'],
      listen: '127.0.0.1',
      ports: { api: 21_443, http: 21_080, broker: 21_883 },
      config: workshop.path('plant', 'ca-config'),
      broker: { engine: 'embedded', args: [], ports: [] },
      backup: undefined,
    });
    expect((await loadConfig(plant.config ?? '')).types.has('default')).toBe(true);
    expect(statSync(workshop.path('plant')).mode & 0o777).toBe(0o700);
    expect(readdirSync(workshop.path('plant')).toSorted()).toEqual(['ca-config', 'keyline.yaml']);
  });

  it('listens on every address for a name, and on itself for a loopback address', async () => {
    for (const [host, listen] of [
      ['ca.example.org', '0.0.0.0'],
      ['127.0.0.9', '127.0.0.9'],
    ] as const) {
      await workshop.run('init', '--data', host, '--host', host, '--yes', ...free);
      expect((await loadPlantConfig(workshop.path(host, 'keyline.yaml'))).listen).toBe(listen);
    }
  });

  it('asks on a terminal, again after an answer that will not do, and takes what it suggests for an empty one', async () => {
    const answers = [
      'ca',
      'ca.example.org',
      '127.0.0.1',
      '21443',
      '21443',
      '21080',
      '',
      'nowhere',
      'offline',
      'yes',
    ];
    const { code, out, err } = await workshop.runWith(
      { stdin: `${answers.join('\n')}\n`, canAsk: true },
      ...['init', '--data', 'plant'],
    );
    expect(err).toContain('"ca" is a single word');
    expect(err).toContain('the port of another');
    expect(err).toContain('Answer here or offline.');
    expect([code, out.includes('ca.example.org')]).toEqual([0, true]);
    const { ports, root } = await loadPlantConfig(file());
    expect(root).toBe('offline');
    expect(ports).toMatchObject({ api: 21_443, http: 21_080 });
    expect(ports.broker).toBeGreaterThan(1023);
  });

  it.each([
    ['the answer is no', 'ca.example.org\n127.0.0.1\n21443\n21080\n21883\nhere\nno\n'],
    ['the input ends', 'ca.example.org\n127.0.0.1\n'],
  ])('writes nothing when %s', async (_title, stdin) => {
    const { code } = await workshop.runWith({ stdin, canAsk: true }, 'init', '--data', 'plant');
    expect([code, existsSync(workshop.path('plant'))]).toEqual([2, false]);
  });

  it.each([
    [['--yes'], 'There is nobody to ask'],
    [['--host', 'ca.example.org'], 'There is nobody to ask'],
    [['--host', 'ca', '--yes'], 'single word'],
    [['--host', '0.0.0.0', '--yes'], 'not be called'],
    [['--host', 'https://ca.example.org', '--yes'], 'without scheme'],
    [['--host', 'bücher.example.org', '--yes'], 'xn--bcher-kva.example.org'],
    [['--host', 'a.example.org,A.example.org', '--yes'], 'there twice'],
    [['--host', '10.0.0.300', '--yes'], 'looks like an address'],
    [['--host', '*.example.org', '--yes'], 'neither a name nor an address'],
    [['--host', 'fe80::1%eth0', '--yes'], 'neither a name nor an address'],
    [['--host', 'a.example.org,', '--yes'], 'neither a name nor an address'],
    [['--host', 'a.example.org', '--listen', 'a.example.org', '--yes'], 'no IP address'],
  ])('refuses %j, and says what to do', async (args, words) => {
    const { code, err } = await workshop.run('init', '--data', 'plant', ...args);
    expect([code, existsSync(workshop.path('plant'))]).toEqual([2, false]);
    expect(err).toContain(words);
  });

  it('leaves a keyline.yaml that is there alone', async () => {
    const args = ['init', '--data', 'plant', '--host', 'ca.example.org', '--yes', ...free];
    await workshop.run(...args);
    writeFileSync(file(), '# mine\n');
    const { code, err } = await workshop.run(...args);
    expect([code, readFileSync(file(), 'utf8')]).toEqual([6, '# mine\n']);
    expect(err).toContain('keyline move');
  });

  it('leaves nothing in the way of its correction, and takes no folder without a name', async () => {
    const args = ['init', '--data', 'plant', '--host', 'ca.example.org', '--yes'];
    const twice = await workshop.run(...args, '--port-api', '21443', '--port-http', '21443');
    expect(twice.err).toContain('21443 is the port of another of them');
    expect([twice.code, existsSync(workshop.path('plant'))]).toEqual([2, false]);
    expect((await workshop.run(...args, ...free)).code).toBe(0);
    for (const command of ['init', 'up', 'move', 'backup', 'restore']) {
      const { code, err } = await workshop.run(command, '--data', '', '--host', 'ca.example.org');
      expect([code, err]).toEqual([2, expect.stringContaining('Name a folder.')]);
    }
  });

  it('takes a file instead, and none that is not valid', async () => {
    const from = workshop.write('mine.yaml', 'hosts: [ca.example.org]\nlisten: 0.0.0.0\n');
    const first = await workshop.run('init', '--data', 'plant', '--from', from);
    expect(first.err).toContain('"ports" is missing [CONFIG_INVALID]');
    expect([first.code, existsSync(workshop.path('plant'))]).toEqual([6, false]);
    writeFileSync(
      from,
      'hosts: [ca.example.org]\nlisten: 0.0.0.0\nports: { api: 1443, http: 1080, broker: 1883 }\n',
    );
    expect((await workshop.run('init', '--data', 'plant', '--from', from)).code).toBe(0);
    expect(readFileSync(file(), 'utf8')).toBe(readFileSync(from, 'utf8'));
  });

  it('chooses another port where another program has the usual one, and says so', async () => {
    const server = await listenOn('127.0.0.1', 8883);
    try {
      const { err } = await workshop.run(
        ...['init', '--data', 'plant', '--host', 'ca.example.org', '--listen', '127.0.0.1'],
        '--yes',
      );
      expect(err).toMatch(/another program listens on port 8883; \d+ is suggested instead/);
      expect((await loadPlantConfig(file())).ports.broker).not.toBe(8883);
    } finally {
      server?.close();
    }
  });
});

/** Undefined where another program has it already, which does as well. */
function listenOn(host: string, port: number): Promise<Server | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(undefined));
    server.listen(port, host, () => resolve(server));
  });
}

describe('the keyline.yaml that init writes', () => {
  const choices = {
    hosts: ['ca.example.org', '2001:db8::1'],
    listen: '0.0.0.0',
    ports: { api: 8443, http: 8080, broker: 8883 },
    config: 'ca-config',
    root: 'here' as const,
  };

  it.each(['embedded', 'mosquitto'] as const)(
    'is valid with every setting and example uncommented (engine %s)',
    async (engine) => {
      const text = createPlantFile({ ...choices, engine });
      const path = workshop.write('keyline.yaml', uncomment(text));
      const plant = await loadPlantConfig(path);
      // What has no "#" any more is there: a line that was missed would leave a section empty.
      expect(plant.ports.metrics).toBe(9883);
      expect(plant.backup).toMatchObject({ keep: 14, every: 24 * 3600 * 1000 });
      expect(plant.broker.args.length).toBeGreaterThan(70);
      expect(readFileSync(path, 'utf8')).not.toMatch(/^ *#\S/m);
    },
  );

  it('names the limits of keyline-broker with the values that hold there, and all of its other options', async () => {
    const help = execFileSync(
      join(import.meta.dirname, '../../broker/bin/keyline-broker'),
      ['serve', '--help'],
      { encoding: 'utf8', env: { ...process.env, COLUMNS: '500' } },
    ).replaceAll(/\n {20,}/g, ' ');
    const path = workshop.write(
      'keyline.yaml',
      uncomment(createPlantFile({ ...choices, engine: 'embedded' })),
    );
    const { args } = (await loadPlantConfig(path)).broker;
    const said = new Map<string, string>();
    for (let index = 0; index < args.length; index += 2) {
      said.set(args[index] ?? '', args[index + 1] ?? '');
    }
    const limits = [...help.matchAll(/^ {2}(--[a-z-]+) <.*\(default: (\d+)\)$/gm)]
      .map(([, option = '', value = '']) => [option, value] as const)
      .filter(([option]) => !['--port', '--metrics-port'].includes(option));
    expect(limits.length).toBeGreaterThan(25);
    expect(limits.filter(([option, value]) => said.get(option) !== value)).toEqual([]);
    const durations = [...help.matchAll(/^ {2}--([a-z-]+) <duration>.*\(default: (\w+)\)$/gm)].map(
      ([, name = '', value = '']) => [name, parseDuration(value)] as const,
    );
    expect(durations.length).toBe(5);
    const usual = new Map(
      Object.entries(brokerLimits).map(([name, limit]) => [
        name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
        typeof limit.usual === 'string' ? parseDuration(limit.usual) : limit.usual,
      ]),
    );
    expect(durations.filter(([name, value]) => usual.get(name) !== value)).toEqual([]);
    const decidedByUp =
      /^--(data|host|port|metrics-port|cert|key|ca|client-authorities|admin|admin-certificate|ready-file|log-level|engine|mosquitto|config|crl-url|crl-urls)$/;
    const options = [...help.matchAll(/^ {2}(--[a-z-]+) </gm)].map(([, option = '']) => option);
    expect(options.filter((one) => !said.has(one) && !decidedByUp.test(one))).toEqual([]);
  });
});

describe('a machine that moves', () => {
  const plant = (host: string, http = 8080) => ({
    hosts: [host],
    listen: '0.0.0.0',
    ports: { api: 8443, http, broker: 8883 },
    broker: { engine: 'embedded' as const, ports: [] },
  });
  const load = (host: string, http?: number, now = 0) =>
    loadPlanOf(plant(host, http), {
      file: workshop.path('keyline.json'),
      options: { ports: {} },
      now,
    });

  it('keeps its old names in server certificates and its old port for CRL and OCSP', async () => {
    await load('127.0.0.1', 23_456);
    const moved = await load('ca.example.org', 80, Date.UTC(2030, 0, 1));
    expect(urlsOf(moved)).toEqual({
      api: 'https://ca.example.org:8443',
      http: 'http://ca.example.org',
      broker: 'mqtts://ca.example.org:8883',
    });
    expect(moved.earlier).toEqual([
      {
        hosts: ['127.0.0.1'],
        http: 'http://127.0.0.1:23456',
        listen: '0.0.0.0',
        leftAt: '2030-01-01T00:00:00Z',
      },
    ]);
    const again = await load('b.example.org', 80);
    expect(again.earlier).toHaveLength(2);
    expect(namesOf(again).dnsNames).toEqual(['localhost', 'b.example.org', 'ca.example.org']);
    // Back again: what is in use is nothing earlier.
    const back = await load('ca.example.org', 80);
    expect(back.earlier?.map(({ http }) => http)).toEqual([
      'http://127.0.0.1:23456',
      'http://b.example.org',
    ]);
    expect(await load('ca.example.org', 80)).toEqual(back);
  });

  it('gives no port to the API that certificates name for their CRL', async () => {
    await load('127.0.0.1', 8443 - 1);
    await expect(
      loadPlanOf(
        { ...plant('ca.example.org'), ports: { api: 8442, http: 8080, broker: 8883 } },
        { file: workshop.path('keyline.json'), options: { ports: {} }, now: 0 },
      ),
    ).rejects.toThrow(/certificates name it/);
    const websocket = [{ what: 'MQTT over WebSocket', port: 8442 }];
    await expect(
      loadPlanOf(
        { ...plant('ca.example.org'), broker: { engine: 'embedded', ports: websocket } },
        { file: workshop.path('keyline.json'), options: { ports: {} }, now: 0 },
      ),
    ).rejects.toThrow(/8442 can't be that of MQTT over WebSocket/);
  });

  it('takes no option that says otherwise than keyline.yaml', async () => {
    const options = { host: 'other.example.org', ports: {} };
    await expect(
      loadPlanOf(plant('ca.example.org'), { file: workshop.path('p'), options, now: 0 }),
    ).rejects.toThrow(/keyline move --host/);
  });
});

describe('keyline move', () => {
  beforeEach(() =>
    workshop.run('init', '--data', 'plant', '--host', 'a.example.org', '--yes', ...free),
  );
  const move = (host: string) => workshop.run('move', '--data', 'plant', '--host', host);

  it('changes the names in keyline.yaml and nothing else, and says what the old ones are still needed for', async () => {
    const before = readFileSync(file(), 'utf8');
    const { code, out } = await move('b.example.org, 2001:DB8:0::1');
    expect(code).toBe(0);
    expect(out).toContain('let a.example.org go on leading to this machine');
    expect(readFileSync(file(), 'utf8')).toBe(
      before.replace('  - a.example.org\n', "  - 'b.example.org'\n  - '2001:db8::1'\n"),
    );
    expect((await loadPlantConfig(file())).hosts).toEqual(['b.example.org', '2001:db8::1']);
    expect((await move('b.example.org,2001:db8::1')).out).toContain('already');
  });

  it.each([
    ['hosts: [a.example.org]', "hosts: ['b.example.org']"],
    ['hosts: [ "a.example.org", c.example.org ] # mine', "hosts: ['b.example.org'] # mine"],
    ["hosts:\n- 'a.example.org' # old\n- c.example.org", "hosts:\n- 'b.example.org'"],
  ])('finds the list however it is written: %j', async (written, expected) => {
    const rest = 'listen: 0.0.0.0 # all\nports: { api: 1443, http: 1080, broker: 1883 }\n';
    for (const [head, tail] of [
      ['# mine\n', `\n${rest}`],
      [rest, ''],
      [rest, '\n'],
    ] as const) {
      writeFileSync(file(), head + written + tail);
      expect((await move('b.example.org')).err).toBe('');
      expect(readFileSync(file(), 'utf8')).toBe(head + expected + tail);
    }
  });

  it('says that there is nothing to move, and refuses names that are none', async () => {
    const nowhere = await workshop.run('move', '--data', 'nowhere', '--host', 'b.example.org');
    expect([nowhere.code, nowhere.err.includes('keyline init --data nowhere')]).toEqual([6, true]);
    const unnamed = await workshop.run('move', '--host', 'b.example.org');
    expect([unnamed.code, unnamed.err.includes('--data .keyline')]).toEqual([6, true]);
    const before = readFileSync(file(), 'utf8');
    for (const host of ['b', '', 'b.example.org,b.example.org']) {
      expect((await move(host)).code).toBe(2);
    }
    writeFileSync(file(), before.replace('listen:', 'lisen:'));
    const broken = await move('b.example.org');
    expect([broken.code, /did you mean "listen"/.test(broken.err)]).toEqual([6, true]);
  });
});
