// Connect kits, used as they are by the clients that they have settings for.
import { spawn, type ChildProcess } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { endChild } from '../support/end-child.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import { has } from '../support/needs.ts';
import { runProgram, type Ran } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
const parts = join(projectFolder, 'build/client-parts');
const jar = 'org.eclipse.paho.client.mqttv3-1.2.5.jar';

function keyline(...args: string[]): Promise<Ran> {
  return runProgram(keylineCommand, args, {
    cwd: suite.folder,
    env: { ...process.env, KEYLINE_ENDPOINTS: suite.keyline.endpointsFile },
  });
}

async function succeed(...args: string[]): Promise<string> {
  const { code, out, err } = await keyline(...args);
  expect(code, `keyline ${args.join(' ')}: ${err}`).toBe(0);
  return out;
}

const at = (...names: string[]): string => join(suite.folder, ...names);
const kit = (...names: string[]): string => at('pump-1', ...names);

/** Runs in the folder of a kit until it has said all that is wanted, in this order. */
async function untilSaid(
  command: string,
  args: readonly string[],
  wanted: readonly (string | RegExp)[],
  folder = kit(),
): Promise<void> {
  const child: ChildProcess = spawn(command, args, {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => (said += part));
  }
  try {
    for (const text of wanted) {
      await expect
        .poll(
          () => {
            if (child.exitCode !== null && child.exitCode !== 0)
              throw new Error(`It ended:\n${said}`);
            return said;
          },
          { timeout: 40_000, interval: 20 },
        )
        .toMatch(text);
    }
  } finally {
    await endChild(child);
  }
}

const everything = ['connected', 'subscribed', 'published'];

beforeAll(async () => {
  await succeed('token', 'create', '--max-uses', '9', '--out', 'token.txt');
  const said = await succeed(
    ...['device', 'enroll', '--id', 'pump-1', '--token-file', 'token.txt', '--kit', 'pump-1'],
  );
  expect(said).toContain('Kit in pump-1: pump-1.key, pump-1.crt, trust.pem, broker.json');
  await succeed('service', 'create', 'dash', '--role', 'telemetry-reader', '--kit', 'dash');
});

describe('the folder of a connect kit', () => {
  it('has key, certificate with its chain, trust anchors and broker.json, for its owner only', () => {
    const modes = readdirSync(kit(), { recursive: true, encoding: 'utf8' })
      .filter((name) => statSync(kit(name)).isFile())
      .map((name) => statSync(kit(name)).mode & 0o777);
    expect(new Set(modes)).toEqual(new Set([0o600]));
    expect(readFileSync(kit('pump-1.crt'), 'utf8').match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
    const { api, broker } = suite.keyline.endpoints;
    expect(JSON.parse(readFileSync(kit('broker.json'), 'utf8'))).toMatchObject({
      ...{ url: broker, clientId: 'pump-1', userName: 'pump-1', tls: true, ca: 'trust.pem' },
      addresses: {
        renew: `${api}/v1/renew`,
        crl: [expect.stringMatching(/^http:.*\.crl$/)],
        ocsp: [expect.stringMatching(/^http:.*\/ocsp$/)],
      },
    });
  });

  it('is made once: a second enrollment says so before a use of the token is gone', async () => {
    const args = ['device', 'enroll', '--id', 'pump-1', '--token-file', 'token.txt', '--kit'];
    const again = await keyline(...args, 'pump-1');
    expect(again.code).toBe(6);
    writeFileSync(at('taken.zip'), 'mine');
    const taken = await keyline(...args, 'taken.zip');
    expect([taken.code, taken.err]).toEqual([
      6,
      expect.stringContaining('taken.zip exists already'),
    ]);
    expect(readFileSync(at('taken.zip'), 'utf8')).toBe('mine');
    expect(existsSync(at('taken.zip.part'))).toBe(false);
  });

  it('is left by a refused enrollment neither as a folder nor as half a zip file', async () => {
    writeFileSync(at('wrong.txt'), 'ket_wrong\n', { mode: 0o600 });
    for (const place of ['refused', 'refused.zip']) {
      const args = ['device', 'enroll', '--id', 'pump-9', '--token-file', 'wrong.txt'];
      const refused = await keyline(...args, '--kit', place);
      expect(refused.err).toContain('TOKEN_INVALID');
    }
    expect(readdirSync(suite.folder).filter((name) => name.includes('refused'))).toEqual([]);
  });

  it('can be asked for later, as a folder or a zip file, and refuses to take the place of anything', async () => {
    await succeed('kit', 'pump-1', '--dir', 'pump-1', '--out', 'later');
    for (const name of ['pump-1.key', 'pump-1.crt', 'broker.json', 'settings/telegraf.conf']) {
      expect(readFileSync(at('later', name), 'utf8'), name).toBe(readFileSync(kit(name), 'utf8'));
    }
    expect((await keyline('kit', 'pump-1', '--dir', 'pump-1', '--out', 'later')).code).toBe(6);
    await succeed('kit', 'dash', '--dir', 'dash', '--out', 'dash.zip');
    expect(statSync(at('dash.zip')).mode & 0o777).toBe(0o600);
    const none = await keyline('kit', 'pump-2', '--dir', 'pump-1', '--out', 'none');
    expect([none.code, existsSync(at('none'))]).toEqual([6, false]);
  });

  it('names no broker that there is not', async () => {
    const args = ['--dir', 'pump-1', '--out', 'elsewhere', '--broker', 'plant-north'];
    const refused = await keyline('kit', 'pump-1', ...args);
    expect(refused.err).toContain('There is no broker "plant-north" here. Known: broker.');
    expect(existsSync(at('elsewhere'))).toBe(false);
  });
});

describe('the settings of a connect kit connect as they are', () => {
  it.skipIf(!has('mosquitto_pub', 'mosquitto_sub'))(
    'with mosquitto_pub and mosquitto_sub, by the command lines of README.txt',
    async () => {
      const pub = / {2}(XDG_CONFIG_HOME=\S+ mosquitto_pub .*)/.exec(
        readFileSync(kit('README.txt'), 'utf8'),
      )?.[1];
      const listener = untilSaid(
        'sh',
        ['-c', 'XDG_CONFIG_HOME=settings/mosquitto exec mosquitto_sub'],
        ['devices/pump-1/telemetry hello'],
        at('dash'),
      );
      const seen: string[] = [];
      const heard = listener.then(() => seen.push('heard'));
      // Nobody tells when mosquitto_sub has subscribed.
      const publish = async (): Promise<readonly string[]> => {
        const { code, err } = await runProgram('sh', ['-c', pub ?? ''], { cwd: kit() });
        expect([code, err]).toEqual([0, '']);
        return seen;
      };
      await expect.poll(publish, { timeout: 40_000, interval: 20 }).toEqual(['heard']);
      await heard;
    },
  );

  it('with MQTT.js', async () => {
    symlinkSync(join(projectFolder, 'node_modules'), kit('node_modules'));
    await untilSaid(process.execPath, ['settings/mqtt-js.mjs'], everything);
  });

  it.skipIf(!has('/usr/bin/python3', '/usr/lib/python3/dist-packages/paho/mqtt/client.py'))(
    'with paho for Python',
    async () => {
      await untilSaid('/usr/bin/python3', ['settings/paho_python.py'], everything);
    },
  );

  it.skipIf(!has('cc', '/usr/include/stdio.h', '/usr/include/MQTTClient.h'))(
    'with paho for C',
    async () => {
      const args = ['settings/paho_c.c', '-o', 'paho_c', '-lpaho-mqtt3cs'];
      expect(await runProgram('cc', args, { cwd: kit() })).toMatchObject({ code: 0 });
      await untilSaid(kit('paho_c'), [], everything);
    },
  );

  it.skipIf(!has('java', `build/client-parts/${jar}`))(
    'with paho for Java',
    { timeout: 60_000 },
    async () => {
      await untilSaid('java', ['-cp', join(parts, jar), 'settings/PahoJava.java'], everything);
    },
  );

  it.skipIf(!has('build/client-parts/node_modules/node-red/red.js'))(
    'with Node-RED, started with the flow',
    { timeout: 60_000 },
    async () => {
      mkdirSync(at('node-red'));
      // Loopback only, and no page of its own.
      writeFileSync(
        at('node-red', 'settings.js'),
        `module.exports = { uiHost: '127.0.0.1', uiPort: 0, httpAdminRoot: false, flowFile: ${JSON.stringify(kit('settings/node-red.json'))} };`,
      );
      const args = [join(parts, 'node_modules/node-red/red.js'), '--userDir', at('node-red')];
      await untilSaid(process.execPath, args, [/Connected to broker: pump-1@/]);
    },
  );

  it.skipIf(!has('cc', '/usr/include/stdio.h', '/usr/include/mbedtls/ssl.h'))(
    'with mbedTLS and its defaults, which ESP-IDF has',
    async () => {
      const source = join(projectFolder, 'test/support/mbedtls-connect.c');
      const libraries = ['-lmbedtls', '-lmbedx509', '-lmbedcrypto'];
      const built = await runProgram('cc', [source, '-o', at('mbedtls'), ...libraries]);
      expect(built.code, built.err).toBe(0);
      const { port } = JSON.parse(readFileSync(kit('broker.json'), 'utf8')) as { port: number };
      // mbedTLS before 3.5 compares no IP addresses.
      const args = ['localhost', String(port), 'trust.pem', 'pump-1.crt', 'pump-1.key', 'pump-1'];
      const { code, out, err } = await runProgram(at('mbedtls'), args, { cwd: kit() });
      expect(code, err).toBe(0);
      expect(out).toContain('connected');
      const main = readFileSync(kit('settings/esp-idf/main/main.c'), 'utf8');
      expect(main).toContain('asm("_binary_pump_1_key_start")');
    },
  );

  it.skipIf(!has('/usr/bin/python3'))(
    'with Telegraf, as far as its file can be read without it: TOML with the address, the topics and the files of the kit',
    async () => {
      const script =
        'import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], "rb"))))';
      const read = async (folder: string) => {
        const args = ['-c', script, at(folder, 'settings/telegraf.conf')];
        return JSON.parse((await runProgram('/usr/bin/python3', args)).out);
      };
      const { host, port } = JSON.parse(readFileSync(kit('broker.json'), 'utf8'));
      const connection = (id: string): object => ({
        ...{ servers: [`ssl://${host}:${port}`], client_id: id, tls_ca: 'trust.pem' },
        ...{ tls_cert: `${id}.crt`, tls_key: `${id}.key` },
      });
      expect((await read('pump-1')).outputs.mqtt).toMatchObject([
        { ...connection('pump-1'), topic: 'devices/pump-1/telemetry' },
      ]);
      const { inputs } = await read('dash');
      expect(inputs.mqtt_consumer).toMatchObject([connection('dash')]);
      expect(inputs.mqtt_consumer[0].topics).toContain('devices/+/telemetry');
    },
  );
});
