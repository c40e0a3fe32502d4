// docs/mosquitto.md, typed as it stands: a Mosquitto of one's own until rights are pushed, the CRL is delivered, and a revoked device is out.
import { chmodSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { choosePort } from '../support/external-mosquitto.ts';
import { keylineCommand, projectFolder } from '../support/keyline.ts';
import { has } from '../support/needs.ts';
import { runProgram, type Ran } from '../support/openssl.ts';
import { useKeyline } from '../support/use-keyline.ts';

const page = readFileSync(join(projectFolder, 'docs/mosquitto.md'), 'utf8');
const patience = { timeout: 60_000, interval: 100 };

/** Blocks in order, each with the word behind "sh": `restarted` wants a new start first, `refused` fails. */
const blocks = [...page.matchAll(/^```sh *(\w*)\n([^]*?)^```/gm)].map(
  ([, tag = '', text = '']) => ({
    tag,
    text,
  }),
);

describe.skipIf(!has('mosquitto', 'mosquitto_pub', 'curl', 'openssl'))('docs/mosquitto.md', () => {
  const suite = useKeyline({
    config(folder) {
      const config = join(folder, 'ca-config');
      // Kept over the restart: the page has changed it.
      if (!existsSync(config))
        cpSync(join(projectFolder, 'ca-config'), config, { recursive: true });
      return config;
    },
  });
  const at = (...names: string[]): string => join(suite.folder, ...names);

  afterAll(() => {
    if (!existsSync(at('hall-3', 'mosquitto.pid'))) return;
    process.kill(Number(readFileSync(at('hall-3', 'mosquitto.pid'), 'utf8')), 'SIGKILL');
  });

  it(
    'leads to rights that are pushed, a CRL that is delivered, and a device that is out',
    { timeout: 180_000 },
    async () => {
      const port = String(await choosePort());
      mkdirSync(at('bin'));
      writeFileSync(at('bin', 'keyline'), `#!/bin/sh\nexec "${keylineCommand}" "$@"\n`);
      chmodSync(at('bin', 'keyline'), 0o755);
      /** What one block sets is there in those that follow it, as on a terminal. */
      let before = '';
      const type = async (text: string): Promise<Ran> => {
        const script = text.replaceAll('8884', port);
        const PATH = `${at('bin')}:${process.env['PATH'] ?? ''}:/usr/sbin`;
        const ran = await runProgram('bash', ['-euo', 'pipefail', '-c', `${before}${script}`], {
          cwd: suite.folder,
          env: { ...process.env, PATH },
        });
        before += (script.match(/^[A-Z]+=\$\(.*$/gm) ?? []).map((line) => `${line}\n`).join('');
        return ran;
      };
      expect(blocks.length).toBeGreaterThan(7);
      let said = '';
      for (const { tag, text } of blocks) {
        if (tag === 'restarted') {
          await suite.restart();
          // The page says "a moment later".
          await expect.poll(async () => (await type(text)).out, patience).toMatch(/hall-3 +ok/);
        } else if (tag === 'refused') {
          // A signal tells Mosquitto to read the CRL, and nothing tells when it has.
          await expect
            .poll(async () => {
              const { code, out, err } = await type(text);
              expect(code, out).not.toBe(0);
              return `${out}${err}`;
            }, patience)
            .toMatch(/certificate revoked|OpenSSL Error|tls error|Protocol error/i);
        } else {
          const { code, out, err } = await type(text);
          expect(code, `${text}\n${out}${err}`).toBe(0);
          said += `${out}${err}`;
        }
      }
      expect(said).toContain(`The broker knows it: mqtts://localhost:${port} (hall-3)`);
      expect(said).toContain('Client press-1 received CONNACK (0)');
      expect(said).toContain('Client press-1 received PUBACK');
      expect(said).toContain('press-1 is revoked.');
      const log = readFileSync(at('hall-3', 'mosquitto.log'), 'utf8');
      expect(log).toMatch(/certificate revoked|ssl.*alert|OpenSSL Error/i);
      // Another device is still let in: it is the certificate that is refused, not everybody.
      const token = await suite.fleet.createToken({ maxUses: 1 });
      writeFileSync(at('other.token'), `${token}\n`, { mode: 0o600 });
      const other = await type(
        "keyline device enroll --id press-2 --token-file other.token --broker hall-3 --kit press-2/ && cd press-2 && XDG_CONFIG_HOME=settings/mosquitto mosquitto_pub -d -t devices/press-2/telemetry -m '{}'",
      );
      expect([other.code, other.out]).toEqual([0, expect.stringContaining('received PUBACK')]);
    },
  );
});
