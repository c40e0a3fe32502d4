// Every example of every --help, typed as it stands into a shell, in a folder with a running plant. It does what it says, or is refused on
// purpose, for the reason that stands here. An example that no step below knows must at least be a command line that is understood.
import { execFile } from 'node:child_process';
import { copyFileSync, cpSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { exitCodes, systemClock } from '@keyline/kernel';
import { createProgram as createBrokerProgram } from '../../apps/broker/src/program.ts';
import { runProgram as runCa } from '../../apps/ca/src/program.ts';
import { runCli } from '../../apps/cli/src/program.ts';
import { runRoot } from '../../apps/root-ca/src/program.ts';
import { createDeviceKey } from '../support/device-key.ts';
import { projectFolder } from '../support/keyline.ts';
import { useKeyline } from '../support/use-keyline.ts';

const suite = useKeyline();
const programs = {
  keyline: 'apps/cli/bin/keyline',
  'keyline-ca': 'apps/ca/bin/keyline-ca',
  'keyline-broker': 'apps/broker/bin/keyline-broker',
  'keyline-root': 'apps/root-ca/bin/keyline-root',
} as const;
type Program = keyof typeof programs;

interface Ran {
  readonly code: number;
  readonly said: string;
}

interface Step {
  /** The example, as --help has it. */
  readonly line: string;
  /** What must be there for it; the folder of the plant is the working folder. */
  readonly before?: () => void | Promise<void>;
  /** Below the working folder, for what would change the plant that runs. */
  readonly cwd?: string;
  /** 0 when it is left out; another where it is refused on purpose. */
  readonly code?: number;
  readonly says?: RegExp;
  /** What a person answers otherwise: added to the line. */
  readonly more?: string;
}

const at = (...names: string[]): string => join(suite.folder, ...names);
const plant = (...names: string[]): string => at('.keyline', ...names);
const secret = (name: string, text: string): void => {
  writeFileSync(at(name), `${text}\n`, { mode: 0o600 });
};

const environment = (): Record<string, string> => ({
  PATH: `${at('bin')}:${process.env['PATH'] ?? ''}`,
  HOME: at('home'),
  COLUMNS: '500',
});

/** In a shell where a shell has something to do; otherwise as the shell would hand it over, without a process for each of so many. */
function type(line: string, cwd = suite.folder): Promise<Ran> {
  return /[<>|&$]/.test(line) || !/^keyline (?!broker )/.test(line)
    ? typeInShell(line, cwd)
    : callProgram(wordsOf(line).slice(1), cwd);
}

function typeInShell(line: string, cwd: string): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd, env: environment(), timeout: 100_000 };
    const child = execFile('bash', ['-c', line], options, (error, out, err) => {
      const code = typeof error?.code === 'number' ? error.code : error === null ? 0 : -1;
      resolve({ code, said: `${out}${err}` });
    });
    child.stdin?.end();
  });
}

async function callProgram(args: readonly string[], cwd: string): Promise<Ran> {
  let said = '';
  const say = (text: string): void => void (said += text);
  const code = await runCli(args, {
    ...{ env: environment(), cwd, clock: systemClock, pid: process.pid },
    stdin: (async function* () {})(),
    signalProcess: () => false,
    terminal: { out: say, err: say, draw: say, interactive: false, canAsk: false },
    onStopSignal: () => () => undefined,
  });
  return { code, said };
}

function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, bare]) => quoted ?? bare ?? '');
}

/** Help needs nothing of the outside world, and there are so many. */
async function helpOf(program: Program, args: readonly string[]): Promise<string> {
  let said = '';
  const say = (text: string): void => void (said += text);
  if (program === 'keyline') return (await callProgram(args, suite.folder)).said;
  if (program === 'keyline-ca') {
    await runCa(args, { out: say, err: say } as Parameters<typeof runCa>[1]);
  } else if (program === 'keyline-root') {
    await runRoot(args, { terminal: { out: say, err: say } } as Parameters<typeof runRoot>[1]);
  } else {
    const made = createBrokerProgram(() => Promise.resolve(), { writeOut: say, writeErr: say });
    // It ends by throwing what commander has for "help was shown".
    await made.parseAsync(args, { from: 'user' }).catch(() => undefined);
  }
  return said;
}

/** The examples of a command and of all below it. */
async function examplesOf(program: Program, words: readonly string[] = []): Promise<string[]> {
  const said = await helpOf(program, [...words, '--help']);
  const examples = [...said.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = '']) => line);
  const list = /^Commands:\n((?: .*\n)+)/m.exec(said)?.[1] ?? '';
  const below = [...list.matchAll(/^ {2}([a-z][a-z-]*)/gm)]
    .map(([, name = '']) => name)
    // Its help is that of keyline-broker.
    .filter((name) => name !== 'help' && [...words, name].join(' ') !== 'broker serve');
  for (const name of below) examples.push(...(await examplesOf(program, [...words, name])));
  return [...new Set(examples)];
}

async function must(line: string, cwd?: string): Promise<void> {
  const { code, said } = await type(line, cwd);
  expect({ line, code, said: code === 0 ? '' : said }).toEqual({ line, code: 0, said: '' });
}

const rootPass = '--passphrase-file - --yes < .keyline/secrets/root.pass';
const inPlant = [
  // A folder of its own for what would move the plant that runs.
  {
    line: 'keyline init --data .keyline --host ca.example.org,192.0.2.10 --listen 0.0.0.0 --yes',
    cwd: 'fresh',
  },
  { line: 'keyline config check --data .keyline', cwd: 'fresh' },
  { line: 'keyline config check --config ca-config' },
  { line: 'keyline up --data .keyline', code: exitCodes.usage, says: /runs on .* already/ },

  { line: 'keyline token create --max-uses 3 --out token.txt' },
  { line: 'keyline device enroll --id pump-17 --token-file token.txt --out pump-17/' },
  { line: 'keyline device enroll --id pump-18 --token-file token.txt --kit pump-18.zip' },
  { line: 'keyline kit pump-17 --dir pump-17/ --out pump-17-kit.zip' },
  { line: 'keyline device list --expires-before 30d' },
  { line: 'keyline device show pump-17', says: /pump-17/ },
  { line: 'keyline device history pump-17 --json', says: /"seq"/ },
  { line: 'keyline ledger --since 1d --kind device-revoked', says: /No entry is like that/ },
  { line: 'keyline ledger --actor admin:admin@keyline --limit 10 --json', says: /"seq"/ },
  { line: 'keyline device renew --id pump-17 --dir pump-17/ --new-key' },
  { line: 'keyline device allow-renewal pump-17 --for 1h' },
  { line: 'keyline doctor', says: /All is well/ },
  { line: 'keyline device suspend pump-17 --wait' },
  { line: 'keyline device resume pump-17' },
  { line: 'keyline device revoke pump-17 --reason keyCompromise --wait' },
  { line: 'keyline device decommission pump-17 --reason cessationOfOperation' },

  { line: 'keyline token list --use api' },
  {
    line: 'keyline token revoke tok_4f1c0a7be2d95a3310c2f6aa',
    code: exitCodes.notFound,
    says: /tok_4f1c0a7be2d95a3310c2f6aa/,
  },
  {
    line: 'keyline batch create wo-2031 --quota 500 --type sensor --id-pattern "s-*" --ends-in 14d',
  },
  { line: 'keyline batch list', says: /wo-2031/ },
  { line: 'keyline batch show wo-2031' },
  {
    line: 'keyline batch sign wo-2031 --csr-dir csrs/ --out certs/',
    before: async () => {
      mkdirSync(at('csrs'));
      writeFileSync(at('csrs', 's-1.csr'), await createDeviceKey().csr('s-1'));
    },
    says: /1 signed/,
  },
  { line: 'keyline batch close wo-2031' },

  { line: 'keyline target list' },
  { line: 'keyline target compare broker' },
  { line: 'keyline target files --out hall-3/' },
  { line: 'keyline alerts list --all' },
  {
    line: 'keyline alerts acknowledge identity:press-7:not-on-record',
    code: exitCodes.notFound,
    says: /alerts list --json/,
  },

  {
    line: 'keyline login plant-1 --api https://ca.example.org:8443 --ca trust.pem --token-file api.token',
    before: () => {
      copyFileSync(plant('trust.pem'), at('trust.pem'));
      secret('api.token', 'kla_of-a-plant-that-is-not-here');
    },
    // .example.org leads nowhere (RFC 6761).
    code: exitCodes.notReachable,
  },
  { line: 'keyline login trial --endpoints .keyline/endpoints.json', says: /Saved as "trial"/ },
  { line: 'keyline context list', says: /trial/ },
  {
    line: 'keyline context use plant-1',
    before: () => must('keyline login plant-1 --endpoints .keyline/endpoints.json'),
  },
  { line: 'keyline context delete plant-1' },
  { line: 'keyline completion bash > keyline.bash' },

  { line: 'keyline ca list', says: /issuing-1/ },
  { line: 'keyline ca add issuing-2 > issuing-2.csr' },
  {
    line: 'keyline ca install issuing-2 --certificate issuing-2.crt --root root.crt',
    before: async () => {
      copyFileSync(at('issuing-2.csr'), plant('root', 'issuing-2.csr'));
      await must(
        `keyline-root sign-intermediate --dir .keyline/root --csr issuing-2.csr --out issuing-2.crt ${rootPass}`,
      );
      copyFileSync(plant('root', 'issuing-2.crt'), at('issuing-2.crt'));
      copyFileSync(plant('root', 'root.crt'), at('root.crt'));
    },
  },
  { line: 'keyline ca activate issuing-2 --profile device-client' },
  {
    line: 'keyline ca retire issuing-1',
    code: exitCodes.refused,
    // It still issues the profiles that were not given to issuing-2.
    says: /issuing-1/,
  },
  {
    line: 'keyline ca root-crl root.crl',
    before: async () => {
      await must(`keyline-root crl --dir .keyline/root ${rootPass}`);
      for (const name of ['root.crl', 'root.crl.ocsp']) copyFileSync(plant('root', name), at(name));
    },
  },
  {
    line: 'keyline ca trust next-root.crt',
    before: async () => {
      mkdirSync(at('next'), { mode: 0o700 });
      await must(
        'keyline-root init --dir next --common-name Next --passphrase-file - --yes < .keyline/secrets/root.pass',
      );
      copyFileSync(at('next', 'root.crt'), at('next-root.crt'));
    },
  },
  { line: 'keyline ca approvals' },
  { line: 'keyline ca approve apr_4f1c0a7be2d95a3310c2f6aa', code: exitCodes.notFound },
  { line: 'keyline ca reject apr_4f1c0a7be2d95a3310c2f6aa', code: exitCodes.notFound },
] satisfies readonly Step[];

const ofOtherPrograms = [
  {
    line: 'keyline-root init --dir /media/vault/root --common-name "Acme Root CA"',
    more: '--passphrase-file - --yes < root.pass',
  },
  {
    line: 'keyline-ca init --data ca --passphrase-file ca.pass --http-url http://127.0.0.1:8080',
    before: () => secret('ca.pass', 'a passphrase of the issuing key'),
  },
  {
    line: 'keyline-root sign-intermediate --dir /media/vault/root --csr issuing.csr --out issuing.crt',
    before: () => copyFileSync(at('ca', 'issuing.csr'), at('vault', 'issuing.csr')),
    more: '--passphrase-file - --yes < root.pass',
  },
  {
    line: 'keyline-root inspect --dir /media/vault/root issuing.csr',
    says: /CSR|request/i,
  },
  {
    line: 'keyline-root crl --dir /media/vault/root --validity 180d',
    more: '--passphrase-file - --yes < root.pass',
  },
  {
    line: 'keyline-ca install --data ca --certificate root/issuing.crt --root root/root.crt --config ca-config --admin-dir admin',
    before: () => symlinkSync(at('vault'), at('root')),
  },
  {
    line: 'keyline-root revoke --dir /media/vault/root --certificate issuing.crt --reason cACompromise',
    more: '--yes',
  },
  {
    line: 'keyline-broker serve --data broker --cert broker.crt --key broker.key --ca ca.pem --admin keyline@service',
    // Nothing listens in a test on a port that is everybody's: it is read, and its files are not there.
    code: exitCodes.badFile,
  },
] satisfies readonly Step[];

let examples: string[];
beforeAll(async () => {
  for (const name of ['bin', 'home', 'fresh', 'csr']) mkdirSync(at(name));
  for (const [name, path] of Object.entries(programs)) {
    symlinkSync(join(projectFolder, path), at('bin', name));
  }
  cpSync(join(projectFolder, 'ca-config'), at('ca-config'), { recursive: true });
  mkdirSync(at('vault'), { mode: 0o700 });
  secret('root.pass', 'a passphrase of the root key');
  const found = await Promise.all(
    (Object.keys(programs) as Program[]).map((program) => examplesOf(program)),
  );
  examples = [...new Set(found.flat())];
});

async function take({
  line,
  before,
  cwd,
  code = 0,
  says = /(?:)/,
  more = '',
}: Step): Promise<void> {
  await before?.();
  const typed = `${line.replace('/media/vault/root', at('vault'))} ${more}`;
  const ran = await type(typed, cwd === undefined ? undefined : at(cwd));
  expect({ line, ...ran }).toEqual({ line, code, said: expect.stringMatching(says) as unknown });
}

describe('the examples of --help', { timeout: 300_000 }, () => {
  it('are there, and each step below is one of them', () => {
    expect(examples.length).toBeGreaterThan(50);
    const steps = [...inPlant, ...ofOtherPrograms].map(({ line }) => line);
    expect(steps.filter((line) => !examples.includes(line))).toEqual([]);
  });

  it('work on a running plant as they stand, one after the other', async () => {
    for (const step of inPlant) await take(step);
  });

  it('work for the offline root, the issuing CA and the broker by themselves', async () => {
    for (const step of ofOtherPrograms) await take(step);
  });

  it('are understood, all others too: none ends with a usage error or a defect', async () => {
    const known = new Set<string>([...inPlant, ...ofOtherPrograms].map(({ line }) => line));
    for (const line of examples.filter((each) => !known.has(each))) {
      // Where nothing is: what would serve or make something finds nothing to do it with.
      const { code, said } = await type(
        line.replace('/media/vault/root', at('vault')),
        /^keyline(-ca|-broker)? (serve|up|init|move)\b/.test(line) ? at('csr') : undefined,
      );
      expect({ line, code, said }).not.toMatchObject({ code: exitCodes.usage });
      expect({ line, code, said }).not.toMatchObject({ code: exitCodes.internal });
      expect({ line, code, said }).not.toMatchObject({ code: -1 });
    }
  });
});
