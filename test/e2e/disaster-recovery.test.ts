// docs/disaster-recovery.md, typed as it is printed: each disaster happens to one plant after the other, and is recovered from.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drawServicePort } from '@keyline/kernel';
import { parseCrl } from '@keyline/x509';
import { projectFolder } from '../support/keyline.ts';

const page = readFileSync(join(projectFolder, 'docs/disaster-recovery.md'), 'utf8');
let folder: string;
const at = (...names: string[]): string => join(folder, ...names);

/** The shell blocks below a heading, as they stand. */
function blocksOf(heading: string): string {
  const section = page.split(/^##+ /m).find((one) => one.startsWith(`${heading}\n`)) ?? '';
  const blocks = [...section.matchAll(/^```sh\n([^]*?)^```/gm)].map(([, block = '']) => block);
  expect(blocks.length, heading).toBeGreaterThan(0);
  return blocks.join('');
}

async function shell(script: string): Promise<string> {
  const child = spawn('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    env: {
      ...process.env,
      PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`,
      KEYLINE_ENDPOINTS: 'plant/endpoints.json',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => (out += part));
  child.stderr.setEncoding('utf8').on('data', (part: string) => (err += part));
  const [code] = (await once(child, 'close')) as [number];
  expect(
    code,
    `${script}\n${out}${err}${existsSync(at('up.log')) ? readFileSync(at('up.log'), 'utf8').slice(-2000) : ''}`,
  ).toBe(0);
  return out;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'keyline-disaster-'));
  mkdirSync(at('bin'));
  const program = (name: string, text: string): void => {
    writeFileSync(at('bin', name), text);
    chmodSync(at('bin', name), 0o755);
  };
  for (const [name, app] of [
    ['keyline', 'cli'],
    ['keyline-root', 'root-ca'],
  ] as const) {
    program(name, `#!/bin/sh\nexec "${join(projectFolder, 'apps', app, 'bin', name)}" "$@"\n`);
  }
  // The service as systemd has it: started when it serves, stopped when it is gone.
  program(
    'systemctl',
    `#!/bin/bash
case $1 in
start)
  "${join(projectFolder, 'apps/cli/bin/keyline')}" up --data plant > up.log 2>&1 < /dev/null &
  echo $! > up.pid
  until [ -e plant/endpoints.json ]; do kill -0 "$(cat up.pid)" || exit 1; sleep 0.05; done ;;
stop)
  kill "$(cat up.pid)"
  while kill -0 "$(cat up.pid)" 2> /dev/null; do sleep 0.05; done
  rm up.pid ;;
esac
`,
  );
  const [api, http, broker] = [drawServicePort(), drawServicePort(), drawServicePort()].map(String);
  await shell(
    `keyline init --data plant --host 127.0.0.1 --listen 127.0.0.1 --port-api ${api ?? ''} --port-http ${http ?? ''} --port-broker ${broker ?? ''} --yes
systemctl start keyline
keyline token create --max-uses 9 --out token
keyline device enroll --id pump-1 --token-file token --out pump-1
keyline device enroll --id thief --token-file token --out thief`,
  );
}, 240_000);

afterAll(async () => {
  if (existsSync(at('up.pid'))) await shell('systemctl stop keyline');
  rmSync(folder, { recursive: true, force: true });
});

/** Serials that the CRL lists, which this plant publishes now. */
function listed(authority: string): string[] {
  const der = readFileSync(at('plant', 'ca', 'published', `${authority}.crl`));
  return parseCrl(der).entries.map(({ serial }) => serial as string);
}

const wait = { timeout: 60_000, interval: 50 };
let thief: string;

it('is prepared by a backup with everything in it, proved while the plant serves', async () => {
  const out = await shell(blocksOf('What to keep, and where'));
  expect(out).toMatch(/root +in it/);
  expect(out).toContain('It is whole:');
}, 240_000);

it('has the database back, and takes no revocation back that came after the backup', async () => {
  const shown = JSON.parse(await shell('keyline device show thief --json')) as {
    certificates: { serial: string }[];
  };
  thief = shown.certificates[0]?.serial ?? '';
  await shell('keyline device revoke thief --wait');
  await expect.poll(() => listed('issuing-1'), wait).toContain(thief);
  await shell(blocksOf('The database is gone, or damaged'));
  await expect.poll(() => listed('issuing-1'), wait).toContain(thief);
  expect(await shell('keyline device list')).toMatch(/pump-1 .*active/);
}, 240_000);

it('has the broker filled again', async () => {
  const out = await shell(blocksOf("The broker's state is gone"));
  expect(out).toContain('broker');
  expect(await shell('keyline doctor || true')).toMatch(/ok +target broker/);
}, 240_000);

it('has the issuing key and its passphrase back', async () => {
  writeFileSync(at('plant', 'ca', 'authorities', 'issuing-1.key'), 'damaged');
  writeFileSync(at('plant', 'secrets', 'ca.pass'), 'forgotten\n');
  expect(await shell(blocksOf('The issuing key is lost'))).toMatch(/issuing-1 +issuing +ready/);
  await shell('keyline token create --max-uses 9 --out token-2');
  await shell('keyline device enroll --id pump-2 --token-file token-2 --out pump-2');
}, 240_000);

it('has the root back, and it signs', async () => {
  rmSync(at('plant', 'root'), { recursive: true });
  await shell(blocksOf('The root is lost'));
}, 240_000);

it('has another authority in place of one whose key was stolen', async () => {
  const out = await shell(blocksOf('The issuing key is stolen'));
  expect(out).toMatch(/issuing-1 +issuing +revoked/);
  expect(out).toMatch(/issuing-2 +issuing +ready/);
  await shell('keyline device enroll --id pump-3 --token-file token-2 --out pump-3');
}, 240_000);

it('has the whole site back from what was in the safe', async () => {
  await shell(blocksOf('The site is gone'));
  expect(await shell('keyline ca list')).toMatch(/issuing-2 +issuing +ready/);
  expect(listed('issuing-1')).toContain(thief);
}, 240_000);

it('begins anew under another root, with its names', async () => {
  const before = readFileSync(at('plant', 'trust.pem'), 'utf8');
  await shell(blocksOf('The root is stolen'));
  expect(readFileSync(at('plant', 'trust.pem'), 'utf8')).not.toBe(before);
}, 240_000);
