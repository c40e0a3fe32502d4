// `keyline certificate issue`: names and files, and a PKCS#12 file for browsers besides.
import { randomInt } from 'node:crypto';
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { issueCertificate as issue } from '@keyline/client';
import { readSecretFile, replaceFile } from '@keyline/files';
import { KeylineError, Secret } from '@keyline/kernel';
import { encodePkcs12 } from '@keyline/keys';
import type { KeyAlgorithm } from '@keyline/x509';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { describeClock } from '../device/describe-clock.ts';
import { chooseService, findCaller } from '../find-service.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export interface IssueOptions extends ClientOptions {
  readonly profile: string;
  readonly name?: string;
  readonly dns?: readonly string[];
  readonly ip?: readonly string[];
  readonly out: string;
  readonly renew?: boolean;
  readonly pkcs12?: string;
  readonly pkcs12PasswordFile?: string;
  readonly pkcs12Compatible?: boolean;
  readonly algorithm: KeyAlgorithm;
  readonly validity?: string;
}

export async function issueCertificate(context: CliContext, options: IssueOptions): Promise<void> {
  const { profile, algorithm, validity, dns: dnsNames = [], ip: ipAddresses = [] } = options;
  const name = options.name ?? nameOfServer(options);
  const { clock, terminal } = context;
  const pkcs12 = await choosePkcs12(context, options);
  const chosen = await chooseService(context, options);
  const { answer, files, key, certificates, ...issued } = await issue({
    service: chosen.location,
    caller: await findCaller(context, options, chosen),
    ...{ profile, name, dnsNames, ipAddresses, algorithm, validity, clock },
    folder: resolve(context.cwd, options.out),
    fileName: fileNameOf(name),
    replace: options.renew === true,
  });
  const [certificate, ...chain] = certificates;
  if (pkcs12 !== undefined && certificate !== undefined) {
    const { file, password, form } = pkcs12;
    const content = encodePkcs12({ key, certificate, chain, name }, { password, form });
    await replaceFile(file, content, { mode: 0o600 });
  }
  terminal.err(describeClock(issued.clock));
  const shown = pkcs12?.isMade === true ? pkcs12.password.reveal() : undefined;
  if (options.json === true) {
    printJson(context, {
      ...{ name, ...answer },
      files: { ...files, ...(pkcs12 === undefined ? {} : { pkcs12: pkcs12.file }) },
      ...(shown === undefined ? {} : { pkcs12Password: shown }),
    });
    return;
  }
  const lines = [
    `${name} has a certificate: serial ${answer.serial}, ends ${formatTimeAndDistance(answer.notAfter, clock.now())}.`,
    `Files in ${options.out}: ${fileNameOf(name)}.key, ${fileNameOf(name)}.crt (leaf and chain), ca.pem`,
    ...(pkcs12 === undefined ? [] : [`For browsers: ${pkcs12.file}`]),
    ...(shown === undefined ? [] : [`Its import password, shown this once: ${shown}`]),
    'It does not renew by itself: the same command with --renew gives the next one, and an alert comes before it ends.',
  ];
  terminal.out(`${lines.join('\n')}\n`);
}

/** @throws {KeylineError} USAGE */
function nameOfServer({ dns = [], ip = [] }: IssueOptions): string {
  const first = dns[0] ?? ip[0];
  if (first === undefined) {
    throw new KeylineError(
      'USAGE',
      'Give --name (alice@operator, line-3@station), or for a server --dns or --ip.',
    );
  }
  // A CN has 64 characters at most, and nobody looks for a server's name there.
  const text = first.replaceAll('*', 'any').replaceAll(':', '-');
  return `${text.slice(0, 57)}@server`;
}

function fileNameOf(name: string): string {
  const [before = name] = name.split('@');
  return /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(before) ? before : 'certificate';
}

interface Pkcs12 {
  readonly file: string;
  readonly password: Secret;
  readonly isMade: boolean;
  readonly form: 'modern' | 'compatible';
}

/** @throws {KeylineError} USAGE, FILE_*: before anything is issued */
async function choosePkcs12(
  context: CliContext,
  options: IssueOptions,
): Promise<Pkcs12 | undefined> {
  const { pkcs12, pkcs12PasswordFile: passwordFile, pkcs12Compatible: isCompatible } = options;
  if (pkcs12 === undefined) {
    if (passwordFile === undefined && isCompatible === undefined) return undefined;
    throw new KeylineError('USAGE', 'Give --pkcs12 FILE too: what to write it to.');
  }
  const file = resolve(context.cwd, pkcs12);
  if (options.renew !== true && (await isThere(file))) {
    throw new KeylineError('FILE_EXISTS', `${file} exists. Choose another name for it.`);
  }
  const text =
    passwordFile === undefined
      ? makePassword()
      : await readSecretFile(context.cwd, passwordFile, 'PKCS#12 password file');
  return {
    file,
    password: new Secret(text),
    isMade: passwordFile === undefined,
    form: isCompatible === true ? 'compatible' : 'modern',
  };
}

/** Twenty letters and digits that nobody takes for others, in fives: 98 bits. */
function makePassword(): string {
  const alphabet = 'abcdefghijkmnpqrstuvwxyz23456789';
  const letters = Array.from({ length: 20 }, () => alphabet[randomInt(alphabet.length)] ?? '');
  return [0, 5, 10, 15].map((start) => letters.slice(start, start + 5).join('')).join('-');
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
