// `keyline batch sign`: a folder of CSRs in, a folder of certificates out; may be interrupted and called again at any time.
import { X509Certificate } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SignLine, SignRequest } from '@keyline/api';
import { isKeylineError, KeylineError, messageOf } from '@keyline/kernel';
import { encodePem } from '@keyline/x509';
import { openClient, type ApiClient } from '../client/api-client.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { exitCodes } from '../exit-code.ts';
import { joinChain } from '../device/device-key.ts';
import { readBounded } from '../files/read-file.ts';
import { createFolder, replaceFile } from '../files/write-file.ts';
import { createProgressBar } from '../print/progress-bar.ts';
import { signStream } from './sign-stream.ts';

export interface SignBatchOptions extends ClientOptions {
  readonly csrDir: string;
  readonly out: string;
}

interface Refusal {
  readonly id: string;
  readonly code: string;
  readonly detail: string;
}

interface Summary {
  signed: number;
  same: number;
  readonly refused: Refusal[];
}

const maxCsrBytes = 16_000;
const triesWithoutProgress = 5;

export async function signBatch(
  context: CliContext,
  batch: string,
  options: SignBatchOptions,
): Promise<number> {
  const csrFolder = resolve(context.cwd, options.csrDir);
  const outFolder = resolve(context.cwd, options.out);
  const ids = await listUnits(csrFolder);
  const client = await openClient(context, options);
  const summary: Summary = { signed: 0, same: 0, refused: [] };
  const progress = createProgressBar(context.terminal, ids.length);
  try {
    await createFolder(outFolder);
    const issuers = await loadIssuers(client);
    await replaceFile(join(outFolder, 'ca.pem'), await client.getText('/v1/trust-bundle'));
    const keep = async (id: string, line: SignLine): Promise<void> => {
      if ('error' in line) {
        summary.refused.push({ id, code: line.error.code, detail: line.error.detail });
      } else {
        await replaceFile(join(outFolder, `${id}.crt`), withChain(line.certificate, issuers));
        if (line.status === 200) summary.same += 1;
        else summary.signed += 1;
      }
      progress.advanceTo(summary.signed + summary.same + summary.refused.length);
    };
    await signAll(context, { client, batch, csrFolder, ids, summary, keep });
  } finally {
    progress.clear();
    client.close();
  }
  report(context, batch, summary, options);
  return summary.refused.length === 0 ? exitCodes.ok : exitCodes.refused;
}

interface Signing {
  readonly client: ApiClient;
  readonly batch: string;
  readonly csrFolder: string;
  readonly ids: readonly string[];
  readonly summary: Summary;
  readonly keep: (id: string, line: SignLine) => Promise<void>;
}

/** Sends what has no answer yet, again after a broken connection: the same unit with the same key gets the same certificate. */
async function signAll(context: CliContext, signing: Signing): Promise<void> {
  let rest = signing.ids;
  for (let tries = 0; rest.length > 0;) {
    const before = rest.length;
    try {
      await signOnce(signing, rest);
      return;
    } catch (error) {
      if (!(error instanceof Interrupted)) throw error;
      rest = error.rest;
      tries = rest.length < before ? 1 : tries + 1;
      if (tries >= triesWithoutProgress) throw error.reason;
      context.terminal.err(
        `\nThe connection broke; units to send again: ${String(rest.length)}.\n`,
      );
      await sleep(500 * 2 ** (tries - 1));
    }
  }
}

class Interrupted extends Error {
  readonly reason: KeylineError;
  readonly rest: readonly string[];
  constructor(reason: KeylineError, rest: readonly string[]) {
    super(reason.message, { cause: reason });
    this.name = 'Interrupted';
    this.reason = reason;
    this.rest = rest;
  }
}

/** One stream. @throws {Interrupted} with the units that have no answer, and other errors as they are */
async function signOnce(signing: Signing, ids: readonly string[]): Promise<void> {
  const { client, batch, csrFolder, summary, keep } = signing;
  const sent: string[] = [];
  const settled = new Set<string>();
  async function* units(): AsyncGenerator<SignRequest> {
    for (const id of ids) {
      let csr;
      try {
        csr = await readCsr(join(csrFolder, `${id}.csr`));
      } catch (error) {
        if (!isKeylineError(error)) throw error;
        summary.refused.push({ id, code: error.code, detail: error.detail });
        settled.add(id);
        continue;
      }
      sent.push(id);
      yield { id, csr };
    }
  }
  const rest = (): string[] => ids.filter((id) => !settled.has(id));
  let position = 0;
  try {
    for await (const line of signStream(client, batch, units())) {
      const id = sent[position];
      position += 1;
      if (id === undefined) {
        throw new KeylineError('INTERNAL', 'The service answered more units than were sent to it.');
      }
      await keep(id, line);
      settled.add(id);
    }
  } catch (error) {
    if (isKeylineError(error) && error.code === 'SERVICE_UNREACHABLE') {
      throw new Interrupted(error, rest());
    }
    throw error;
  }
  const left = rest();
  if (left.length > 0) {
    throw new Interrupted(
      new KeylineError(
        'SERVICE_UNREACHABLE',
        `The service ended the stream with ${String(left.length)} units to go. Call the same command again.`,
      ),
      left,
    );
  }
}

/** Unit ids by file name, in order. @throws {KeylineError} FILE_NOT_FOUND */
async function listUnits(folder: string): Promise<string[]> {
  let names;
  try {
    names = await readdir(folder);
  } catch (error) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `Can't read the folder ${folder} (--csr-dir): ${messageOf(error)}.`,
      {
        cause: error,
      },
    );
  }
  const ids = names.filter((name) => name.endsWith('.csr') && !name.startsWith('.'));
  if (ids.length === 0) {
    throw new KeylineError(
      'FILE_NOT_FOUND',
      `There is no CSR in ${folder}: files must be named <unit id>.csr.`,
    );
  }
  return ids.map((name) => name.slice(0, -'.csr'.length)).sort();
}

async function readCsr(path: string): Promise<string> {
  const bytes = await readBounded(path, 'the CSR', maxCsrBytes);
  const isPem = bytes.subarray(0, 1000).includes('-----BEGIN');
  return isPem ? bytes.toString('utf8') : encodePem('CERTIFICATE REQUEST', bytes);
}

/** Certificates of the issuing authorities, which bulk answers leave out. */
async function loadIssuers(
  client: ApiClient,
): Promise<{ pem: string; certificate: X509Certificate }[]> {
  const { items } = await client.call('listAuthorities', {});
  return items
    .filter(({ role }) => role === 'issuing')
    .map(({ certificate }) => ({
      pem: certificate,
      certificate: new X509Certificate(certificate),
    }));
}

function withChain(
  certificatePem: string,
  issuers: readonly { pem: string; certificate: X509Certificate }[],
): string {
  const leaf = new X509Certificate(certificatePem);
  const issuer = issuers.find(({ certificate }) => leaf.checkIssued(certificate));
  return joinChain(certificatePem, issuer === undefined ? [] : [issuer.pem]);
}

const shownRefusals = 10;

function report(
  context: CliContext,
  batch: string,
  summary: Summary,
  options: SignBatchOptions,
): void {
  const { signed, same, refused } = summary;
  if (options.json === true) {
    printJson(context, { batch, signed, same, refused, out: resolve(context.cwd, options.out) });
    return;
  }
  context.terminal.out(
    `Batch ${batch}: ${String(signed)} signed, ${String(same)} the same as before, ${String(refused.length)} refused. Certificates are in ${options.out}.\n`,
  );
  const byCode = Map.groupBy(refused, ({ code }) => code);
  for (const [code, refusals] of byCode) {
    const names = refusals.slice(0, shownRefusals).map(({ id }) => id);
    const more = refusals.length - names.length;
    context.terminal.err(
      `refused ${String(refusals.length)}: ${refusals[0]?.detail ?? ''} [${code}]\n  ${names.join(' ')}${more > 0 ? ` and ${String(more)} more` : ''}\n`,
    );
  }
}
