// docs/production.md, typed as it stands: a machine with the root, a service and a device on two hosts with real names, ports below 1024 by
// capability, and a move to another name.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createDeviceKey } from '../support/device-key.ts';
import { projectFolder } from '../support/keyline.ts';
import { has } from '../support/needs.ts';
import { mayMakeHosts, PlantHosts, type Host, type Ran } from '../support/plant-hosts.ts';

const page = readFileSync(join(projectFolder, 'docs/production.md'), 'utf8');

interface Step {
  readonly title: string;
  readonly host: Host;
  readonly line: string;
}

/** Every line of every block that names its host. */
function readSteps(): Step[] {
  const steps: Step[] = [];
  for (const section of page.split(/^## /m).slice(1)) {
    const title = section.split('\n')[0] ?? '';
    for (const [, host, block = ''] of section.matchAll(
      /^```sh (root|service|device)\n([^]*?)^```/gm,
    )) {
      for (const line of block.split('\n').filter((each) => each !== '')) {
        steps.push({ title, host: host as Host, line });
      }
    }
  }
  return steps;
}

const expectedCode = (line: string): number => Number(/# exit code (\d)$/.exec(line)?.[1] ?? 0);

const steps = readSteps();
const upTo = (title: string): Step[] => steps.filter((step) => step.title.startsWith(title));

describe.skipIf(!has('ip', 'setpriv', 'openssl', 'curl', 'mosquitto_pub') || !mayMakeHosts())(
  'the ten steps of production.md',
  () => {
    let hosts: PlantHosts;
    const ran: (Step & Ran)[] = [];
    beforeAll(() => {
      hosts = new PlantHosts();
    });
    afterAll(() => hosts.close());
    afterEach(({ task }) => {
      if (task.result?.state === 'fail') console.error(hosts.journal());
    });

    async function type(...typed: readonly Step[]): Promise<void> {
      expect(typed.length).toBeGreaterThan(0);
      for (const step of typed) {
        const result = await hosts.run(step.host, step.line);
        ran.push({ ...step, ...result });
        expect(result.code, `${step.host}$ ${step.line}\n${result.out}${result.err}`).toBe(
          expectedCode(step.line),
        );
      }
    }
    const said = (host: Host, part: string): string => {
      const found = ran.findLast((one) => one.host === host && one.line.includes(part));
      return `${found?.out ?? ''}${found?.err ?? ''}`;
    };
    const inDevice = (line: string): Promise<Ran> => hosts.run('device', line);
    const certificate = async (): Promise<string> =>
      (await inDevice('openssl x509 -in pump-1/pump-1.crt -noout -text')).out;

    it('make a root, a user and names (steps 1 to 3)', async () => {
      await type(...upTo('1. '), ...upTo('2. '), ...upTo('3. '));
      expect(said('service', 'config check')).toContain('The configuration is valid.');
      const init = said('service', 'keyline init');
      expect(init).toContain('http://ca.plant.example\n');
      // What it prints to do next is what the page does next.
      for (const [, command = ''] of init.matchAll(/^ {2}(keyline .*)$/gm))
        expect(page).toContain(command);
    });

    it('say what to carry to the root and back, and compare the key (step 4)', async () => {
      await type(...upTo('4. '));
      const waiting = said('service', 'keyline up');
      const key = /key SHA-256 +([0-9a-f]{64})/;
      expect(key.exec(waiting)?.[1]).toBeDefined();
      expect(key.exec(said('root', 'inspect'))?.[1]).toBe(key.exec(waiting)?.[1]);
      const printed = /--crl-url .*$/m.exec(waiting)?.[0] ?? 'none';
      expect(page).toContain(printed);
    });

    it('refuse ports below 1024 to who has no permission, with what to do', async () => {
      const { code, err } = await hosts.run(
        'service',
        'sudo -u keyline keyline up --data /srv/keyline',
      );
      expect(code).toBe(2);
      expect(err).toMatch(/0\.0\.0\.0:443 .*AmbientCapabilities=CAP_NET_BIND_SERVICE/);
    });

    it('serve on the usual ports as an ordinary user with one capability (step 5)', async () => {
      await type(...upTo('5. '));
      expect(said('service', 'doctor')).toContain('Nothing failed, 1 to look at.');
      // What it says to try next, as it says it: in its folder, as its user.
      const printed = [...hosts.journal().matchAll(/^ {2}(keyline .*)$/gm)];
      expect(printed.length).toBeGreaterThan(3);
      for (const [, line = ''] of printed) {
        const { code, out, err } = await hosts.run(
          'service',
          `cd /srv/keyline && sudo -u keyline ${line}`,
        );
        expect(code, `${line}\n${out}${err}`).toBe(0);
      }
      const status = readFileSync(`/proc/${String(hosts.mainPid())}/status`, 'utf8');
      expect(status).toMatch(/^Uid:\t61234\t61234\t61234\t61234$/m);
      // CAP_NET_BIND_SERVICE is number 10.
      expect(status).toMatch(/^CapEff:\t0000000000000400$/m);
    });

    it('let an operator, a station and a device on another host work by name (step 7)', async () => {
      mkdirSync(hosts.path('device', 'home/csrs'));
      for (const id of ['unit-1', 'unit-2']) {
        writeFileSync(
          hosts.path('device', 'home/csrs', `${id}.csr`),
          await createDeviceKey().csr(id),
        );
      }
      await inDevice('true');
      execFileSync('chmod', ['-R', 'a+rX', hosts.path('device', 'home/csrs')]);
      await type(...upTo('7. '));
      expect(said('device', 'batch sign')).toContain('2 signed');
      expect(said('device', 'device enroll')).toContain('mqtts://ca.plant.example:8883');
      const text = await certificate();
      expect(text).toContain('URI:http://ca.plant.example/crl/issuing-1.crl');
      expect(text).toContain('OCSP - URI:http://ca.plant.example/ocsp');
    });

    it('are backed up, and prove it (step 8)', async () => {
      const typed = upTo('8. ');
      await type(...typed.slice(0, -2));
      // What the page says to write into the file.
      const section = /^```yaml\n(backup:\n[^]*?)^```/m.exec(page)?.[1] ?? '';
      const file = hosts.path('service', 'srv/keyline/keyline.yaml');
      const text = readFileSync(file, 'utf8');
      writeFileSync(file, text.replace(/^backup:\n[^]*$/m, section));
      await type(...typed.slice(-2));
      expect(readdirSync(hosts.path('service', 'srv/keyline/backups')).length).toBe(2);
    });

    it('can be watched (step 9)', async () => {
      await type(...upTo('9. '));
      expect(said('device', 'readyz')).toContain('"status":"ok"');
      expect(readFileSync(hosts.path('device', 'home/metrics.txt'), 'utf8')).toContain(
        'keyline_target_healthy',
      );
    });

    it('survive an upgrade (step 10)', async () => {
      await type(...upTo('10. '));
      expect(said('service', 'migrate')).toMatch(/version/);
    });

    it('move to another name, and go on answering under the one of before', async () => {
      const ask = async (name: string): Promise<string> => {
        const { out, err } = await inDevice(
          `openssl ocsp -no_nonce -CAfile trust.pem -issuer issuing.pem -cert ${name} -url $(openssl x509 -in ${name} -noout -ocsp_uri) 2>&1`,
        );
        return out + err;
      };
      const leaf = 'sed -n "/BEGIN/,/END/p;/END/q"';
      await inDevice(`${leaf} pump-1/pump-1.crt > leaf-before.crt`);
      await inDevice(
        'curl -sS http://ca.plant.example/aia/issuing-1.cer | openssl x509 -inform DER -out issuing.pem',
      );
      await type(...upTo('Other names later'));
      expect(said('service', 'doctor')).toMatch(
        /ok +earlier address +http:\/\/ca\.plant\.example is answered; named by certificates until \d{4}-\d\d-\d\d and the authority issuing-1 until/,
      );
      expect(said('service', 'doctor')).toContain('All is well.');
      expect(await certificate()).toContain('URI:http://mqtt.plant.example/crl/issuing-1.crl');
      await inDevice(`${leaf} pump-1/pump-1.crt > leaf-after.crt`);
      expect(await ask('leaf-after.crt')).toContain('leaf-after.crt: good');
      expect(await ask('leaf-before.crt')).toContain('leaf-before.crt: good');
    });

    it('leave out nothing of the page', () => {
      expect(steps.length - ran.length).toBe(0);
    });
  },
);

it.skipIf(!has('systemd-analyze'))('keyline.service is understood by systemd', () => {
  // The program is not installed where the tests run; everything else is checked.
  const file = join(projectFolder, 'docs/keyline.service');
  let said = '';
  try {
    execFileSync('systemd-analyze', ['verify', file], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  } catch (error) {
    said = (error as { stderr: string }).stderr;
  }
  const lines = said.split('\n').filter((line) => line !== '' && !/is not executable/.test(line));
  expect(lines).toEqual([]);
});
