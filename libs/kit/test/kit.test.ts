// Kits as text: what is in every one, and that no name or topic breaks out of the language it is written in.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { createKit, createZip, type KitFacts } from '../src/index.ts';

const files = {
  key: 'pump-1.key',
  certificate: 'pump-1.crt',
  trust: 'trust.pem',
  brokerTrust: 'trust.pem',
};
const addresses = {
  api: 'https://ca.example:8443',
  renew: 'https://ca.example:8443/v1/renew',
  crl: ['http://ca.example/crl/issuing-1.crl'],
  ocsp: ['http://ca.example/ocsp'],
};

function factsOf(broker: Partial<NonNullable<KitFacts['broker']>> = {}): KitFacts {
  return {
    ...{ id: 'pump-1', kind: 'device', files, addresses },
    broker: {
      ...{ name: 'broker', url: 'mqtts://mqtt.example:8883', clientId: 'pump-1' },
      userName: 'pump-1',
      topics: { publish: ['devices/pump-1/telemetry'], subscribe: ['devices/pump-1/commands/#'] },
      ...broker,
    },
  };
}

function kitOf(facts: KitFacts): Record<string, string> {
  return Object.fromEntries(createKit(facts).map(({ path, content }) => [path, content]));
}

describe('a connect kit', () => {
  it('says host, port, TLS, client id, user name, topics and the addresses of the service in broker.json', () => {
    const content = JSON.parse(
      kitOf(factsOf({ websocketUrl: 'wss://mqtt.example:8884' }))['broker.json']!,
    );
    expect(content).toEqual({
      ...{ broker: 'broker', url: 'mqtts://mqtt.example:8883', host: 'mqtt.example', port: 8883 },
      ...{ tls: true, websocketUrl: 'wss://mqtt.example:8884' },
      ...{ clientId: 'pump-1', userName: 'pump-1' },
      topics: { publish: ['devices/pump-1/telemetry'], subscribe: ['devices/pump-1/commands/#'] },
      ...{ certificate: 'pump-1.crt', key: 'pump-1.key', ca: 'trust.pem', addresses },
    });
  });

  it('has no settings, and says so, where no broker is configured', () => {
    const kit = kitOf({ ...factsOf(), broker: undefined });
    expect(Object.keys(kit)).toEqual(['broker.json', 'README.txt']);
    expect(kit['README.txt']).toContain('No broker is configured yet');
  });

  it('writes an IPv6 address in brackets where a URL is wanted, and without them where a host is', () => {
    const kit = kitOf(factsOf({ url: 'mqtts://[2001:db8::1]:8883' }));
    expect(kit['settings/mosquitto/mosquitto_pub']).toContain('-h 2001:db8::1\n');
    expect(kit['settings/paho_python.py']).toContain('client.connect("2001:db8::1", 8883)');
    expect(kit['settings/paho_c.c']).toContain('"ssl://[2001:db8::1]:8883"');
    expect(kit['settings/telegraf.conf']).toContain('"ssl://[2001:db8::1]:8883"');
  });

  it('fills wildcards in for the topic that is tried, and tries none where nothing may be written', () => {
    const wild = kitOf(factsOf({ topics: { publish: ['a/+/b/#'], subscribe: [] } }));
    expect(wild['README.txt']).toContain('mosquitto_pub -t a/example/b/example -m hello');
    const reader = kitOf(factsOf({ topics: { publish: [], subscribe: ['a/#'] } }));
    expect(reader['README.txt']).not.toContain('mosquitto_pub -t');
    expect(reader['settings/paho_python.py']).toContain('EXAMPLE = None');
  });

  it('lets no topic of a role break out of a text in any language', () => {
    const evil = String.raw`x"); system("id"); //\u0022 $(id) 'y' {{z}} %s ??/`;
    const kit = kitOf(factsOf({ topics: { publish: [evil], subscribe: [evil] } }));
    const quoted = JSON.stringify(evil);
    for (const file of ['mqtt-js.mjs', 'paho_python.py', 'paho_c.c', 'PahoJava.java']) {
      const rest = kit[`settings/${file}`]!.replaceAll(quoted, '');
      expect(rest, file).not.toContain('system(');
    }
    expect(kit['README.txt']).toContain(
      String.raw`-t 'x"); system("id"); //\u0022 $(id) '\''y'\'' {{z}} %s ??/' -m`,
    );
    const flow = JSON.parse(kit['settings/node-red.json']!) as { topic?: string }[];
    expect(flow.filter(({ topic }) => topic === evil)).toHaveLength(2);
  });
});

describe('a zip file', () => {
  it('is unpacked by a program that is not ours, with the modes that it was given', () => {
    const folder = mkdtempSync(join(tmpdir(), 'keyline-zip-'));
    try {
      const zip = createZip(
        [{ path: 'pump-1/settings/a.txt', content: 'schön', mode: 0o600 }],
        Date.UTC(2026, 10, 24, 12),
      );
      writeFileSync(join(folder, 'kit.zip'), zip);
      expect(Object.keys(unzipSync(zip))).toEqual(['pump-1/settings/a.txt']);
      // Python's is on every Debian, and tells the mode.
      const script =
        'import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); z.testzip(); z.extractall(sys.argv[2]); print(oct(z.infolist()[0].external_attr >> 16))';
      const said = execFileSync('python3', ['-c', script, join(folder, 'kit.zip'), folder]);
      expect(said.toString().trim()).toBe('0o100600');
      const file = join(folder, 'pump-1/settings/a.txt');
      expect(readFileSync(file, 'utf8')).toBe('schön');
      expect(statSync(file).isFile()).toBe(true);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
