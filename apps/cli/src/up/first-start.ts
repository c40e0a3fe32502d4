// Everything that must exist before the services can start, as a table of steps. A step that is done is left alone, so an
// interrupted first start is finished by the next one.
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import {
  createFolder,
  renameDurably,
  readText,
  readTextIfThere,
  replaceFile,
} from '@keyline/files';
import { formatDuration, KeylineError } from '@keyline/kernel';
import { keyHashOfCsr } from '@keyline/pki';
import type { Layout } from './layout.ts';
import { urlsOf, type Plan } from './plan.ts';
import { runProgram, type ProgramName } from './programs.ts';

export interface FirstStart {
  readonly layout: Layout;
  readonly plan: Plan;
  readonly config: string;
  /** Where the key of the root is. */
  readonly root: 'here' | 'offline';
  readonly env: NodeJS.ProcessEnv;
  readonly signal: AbortSignal;
  readonly say: (text: string) => void;
}

/** What work with the root needs. */
export type RootWork = Pick<FirstStart, 'layout' | 'env' | 'signal'>;

interface Step {
  readonly title: string;
  /** The file that the step makes last. */
  readonly makes: (layout: Layout) => string;
  /**
   * For the time until the issuing CA has its database. Later the root may have been taken away, as it should be, and a passphrase that is
   * missing is missing: another would open nothing, and another root would be trusted by nobody.
   */
  readonly isBeforeDatabase?: true;
  /** Of what the root signs: it is brought, where the root is on another machine. */
  readonly isOfRoot?: true;
  readonly run: (given: FirstStart) => Promise<void>;
}

const steps: readonly Step[] = [
  {
    title: 'the passphrase of the root key',
    makes: ({ secrets }) => secrets.root,
    isBeforeDatabase: true,
    isOfRoot: true,
    run: ({ layout }) => createSecret(layout.secrets.root),
  },
  {
    title: 'the passphrase of the issuing key',
    makes: ({ secrets }) => secrets.ca,
    isBeforeDatabase: true,
    run: ({ layout }) => createSecret(layout.secrets.ca),
  },
  {
    title: 'the root, offline',
    makes: ({ root }) => root.certificate,
    isBeforeDatabase: true,
    isOfRoot: true,
    run: createRoot,
  },
  {
    title: 'the issuing CA and its CSR',
    makes: ({ ca }) => ca.csr,
    isBeforeDatabase: true,
    run: createIssuing,
  },
  {
    title: 'the intermediate, signed by the root',
    makes: ({ ca }) => ca.certificate,
    isBeforeDatabase: true,
    isOfRoot: true,
    run: signIssuing,
  },
  {
    title: "the root's CRL",
    makes: ({ root }) => root.crl,
    isBeforeDatabase: true,
    isOfRoot: true,
    run: signRootCrl,
  },
  {
    title: 'the trust anchor',
    makes: ({ trust }) => trust,
    run: async ({ layout }) => {
      const root = await readText(layout.root.certificate, 'the root certificate');
      await replaceFile(layout.trust, root);
    },
  },
  {
    title: 'the database and the first admin',
    makes: ({ admin }) => admin.certificate,
    run: installIssuing,
  },
  {
    title: 'the CA bundle of the broker',
    makes: ({ broker }) => broker.ca,
    run: writeBrokerBundle,
  },
];

/** Does what is not done yet, and says each step. @throws {KeylineError} */
export async function createMissing(given: FirstStart): Promise<void> {
  const { layout, say } = given;
  const { secrets, ca, broker, run, logs } = layout;
  for (const folder of [secrets.folder, ca.folder, broker.folder, run, logs]) {
    await createFolder(folder, 0o700);
  }
  const hasBegun = existsSync(ca.database) || existsSync(layout.admin.certificate);
  for (const { title, makes, isBeforeDatabase, isOfRoot, run: make } of steps) {
    if (isBeforeDatabase === true && hasBegun) continue;
    if (isOfRoot === true && given.root === 'offline') {
      await assertBrought(given);
      continue;
    }
    if ((await readTextIfThere(makes(layout), title)) !== undefined) continue;
    given.signal.throwIfAborted();
    const begun = performance.now();
    try {
      await make(given);
    } catch (error) {
      // A program of an earlier start, which was killed, may have come to its end meanwhile.
      const isMade = (await readTextIfThere(makes(layout), title)) !== undefined;
      if (given.signal.aborted || !isMade) throw error;
    }
    say(`made ${title} (${formatMilliseconds(performance.now() - begun)})`);
  }
}

/** What the root signs on its own machine must be here, as soon as there is something for it to sign. @throws {KeylineError} FILE_NOT_FOUND */
async function assertBrought({ layout, plan, say }: FirstStart): Promise<void> {
  const { root, ca } = layout;
  const csr = await readTextIfThere(ca.csr, 'the CSR of the issuing CA');
  if (csr === undefined) return;
  const brought = [root.certificate, ca.certificate, root.crl];
  const missing = brought.filter((file) => !existsSync(file));
  if (missing.length === 0) return;
  await createFolder(root.folder, 0o700);
  const { http } = urlsOf(plan);
  say(`
The root is on another machine (keyline.yaml), and has to sign the request of this issuing CA:
  request      ${ca.csr}
  key SHA-256  ${keyHashOfCsr(csr)}

There, in the folder of the root (docs/key-ceremony.md; "keyline-root init" makes one):
  keyline-root inspect --dir ROOT issuing.csr        shows the same key SHA-256
  keyline-root sign-intermediate --dir ROOT --csr issuing.csr --out issuing.crt \\
    --crl-url ${http}/crl/root.crl --issuer-url ${http}/aia/root.cer --ocsp-url ${http}/ocsp
  keyline-root crl --dir ROOT

Bring issuing.crt, root.crt, root.crl and root.crl.ocsp into ${root.folder}, and start this again.
`);
  throw new KeylineError(
    'FILE_NOT_FOUND',
    `Not brought from the machine with the root yet: ${missing.join(', ')}.`,
  );
}

function formatMilliseconds(milliseconds: number): string {
  return milliseconds < 1000
    ? `${String(Math.round(milliseconds))} ms`
    : formatDuration(milliseconds);
}

/** 256 random bits, as text. */
async function createSecret(file: string): Promise<void> {
  // In one step: an empty file from an interrupted start would be taken for the secret.
  await replaceFile(file, `${randomBytes(32).toString('base64url')}\n`);
}

async function createRoot({ layout, ...given }: FirstStart): Promise<void> {
  // Made beside and moved in one step: half a root from an interrupted start would be in the way of the next.
  const beside = `${layout.root.folder}.part`;
  await rm(beside, { recursive: true, force: true });
  await runRoot({ layout, ...given }, ['init', ...['--dir', beside]]);
  await renameDurably(beside, layout.root.folder);
}

async function createIssuing({ layout, plan, ...given }: FirstStart): Promise<void> {
  await run(given, 'keyline-ca', [
    'init',
    ...['--data', layout.ca.folder],
    ...['--passphrase-file', layout.secrets.ca],
    ...['--http-url', urlsOf(plan).http],
  ]);
}

/** What it issues from now on names the address of now; it keeps the earlier ones in mind. Does nothing where nothing changed. */
export async function moveIssuing({
  layout,
  plan,
  say,
  ...given
}: Omit<FirstStart, 'config' | 'root'>): Promise<void> {
  const { http } = urlsOf(plan);
  const settings = await readText(layout.ca.settings, 'the settings of the issuing CA');
  const { httpUrl } = JSON.parse(settings) as { httpUrl?: unknown };
  if (httpUrl === http) return;
  await run(given, 'keyline-ca', [
    'move',
    ...['--data', layout.ca.folder],
    ...['--http-url', http],
  ]);
  say(
    `moved: new certificates name ${http} for CRL and OCSP; what names ${String(httpUrl)} goes on being answered`,
  );
}

async function signIssuing({ layout, plan, ...given }: FirstStart): Promise<void> {
  const { root, ca } = layout;
  const { http } = urlsOf(plan);
  await replaceFile(root.issuingCsr, await readText(ca.csr, 'the CSR of the issuing CA'));
  await runRoot({ layout, ...given }, [
    'sign-intermediate',
    ...['--dir', root.folder],
    ...['--csr', root.issuingCsr],
    // Where the issuing CA serves what is brought to it from the root.
    ...['--crl-url', `${http}/crl/root.crl`],
    ...['--issuer-url', `${http}/aia/root.cer`],
    ...['--ocsp-url', `${http}/ocsp`],
    ...['--out', ca.certificate],
  ]);
}

/** Good for a year; alerts say when it nears its end. */
export async function signRootCrl({ layout, ...given }: RootWork): Promise<void> {
  await runRoot({ layout, ...given }, ['crl', ...['--dir', layout.root.folder]]);
}

async function installIssuing({ layout, config, ...given }: FirstStart): Promise<void> {
  await run(given, 'keyline-ca', [
    'install',
    ...['--data', layout.ca.folder],
    ...['--certificate', layout.ca.certificate],
    ...['--root', layout.root.certificate],
    ...['--root-crl', layout.root.crl],
    ...['--config', config],
    ...['--admin-dir', layout.admin.folder],
  ]);
}

/** For an admin whose certificate has ended and who so can't ask for the next: made as the first was, while the service is down. */
export async function replaceAdmin({
  layout,
  config,
  ...given
}: Pick<FirstStart, 'layout' | 'config' | 'env' | 'signal'>): Promise<void> {
  await run(given, 'keyline-ca', [
    'admin',
    ...['--data', layout.ca.folder],
    ...['--config', config],
    ...['--admin-dir', layout.admin.folder],
  ]);
}

async function writeBrokerBundle({ layout }: FirstStart): Promise<void> {
  const issuing = await readText(layout.ca.certificate, 'the issuing certificate');
  const root = await readText(layout.root.certificate, 'the root certificate');
  await replaceFile(layout.broker.ca, `${issuing.trim()}\n${root.trim()}\n`);
}

/** The passphrase goes in by stdin: the sandbox of keyline-root sees no file outside the root's own folder. */
async function runRoot({ layout, env, signal }: RootWork, args: readonly string[]): Promise<void> {
  const input = await readText(layout.secrets.root, 'the passphrase of the root key');
  await runProgram('keyline-root', [...args, ...['--passphrase-file', '-'], '--json', '--yes'], {
    env,
    signal,
    input,
  });
}

function run(
  { env, signal }: Pick<FirstStart, 'env' | 'signal'>,
  name: ProgramName,
  args: readonly string[],
): Promise<void> {
  return runProgram(name, args, { env, signal });
}
