// `keyline batch sign`: a folder of CSRs in, a folder of certificates out; may be interrupted and called again at any time.
import { X509Certificate } from 'node:crypto';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SignLine, SignRequest } from '@keyline/api';
import { type ApiClient, joinChain } from '@keyline/client';
import { openClient } from '../find-service.ts';
import { createFolder, replaceFile, syncFolder } from '@keyline/files';
import { escapeLine, exitCodes, isKeylineError, KeylineError } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { createProgressBar } from '../print/progress-bar.ts';
import { listUnits, type LeftFile, type UnitFile } from './list-units.ts';
import { readCsr } from './read-csr.ts';
import { signStream } from './sign-stream.ts';

export interface SignBatchOptions extends ClientOptions {
  readonly csrDir: string;
  readonly out: string;
}

interface Refusal {
  /** Absent where a file says of no unit. */
  readonly id?: string;
  readonly file: string;
  readonly code: string;
  readonly detail: string;
}

interface Summary {
  signed: number;
  same: number;
  readonly refused: Refusal[];
  readonly passedOver: readonly LeftFile[];
}

const triesWithoutProgress = 5;

export async function signBatch(
  context: CliContext,
  batch: string,
  options: SignBatchOptions,
): Promise<number> {
  const csrFolder = resolve(context.cwd, options.csrDir);
  const outFolder = resolve(context.cwd, options.out);
  const { units, refused, passedOver } = await listUnits(csrFolder);
  const client = await openClient(context, options);
  const summary: Summary = {
    signed: 0,
    same: 0,
    refused: refused.map(({ file, why }) => ({ file, code: 'FILE_UNREADABLE', detail: why })),
    passedOver,
  };
  const progress = createProgressBar(context.terminal, units.length + refused.length);
  try {
    await createFolder(outFolder);
    const issuers = await loadIssuers(client);
    await replaceFile(join(outFolder, 'ca.pem'), await client.getText('/v1/trust-bundle'), {
      mode: 0o644,
    });
    const keep = async ({ id, file }: UnitFile, line: SignLine): Promise<void> => {
      if ('error' in line) {
        summary.refused.push({ id, file, code: line.error.code, detail: line.error.detail });
      } else {
        await replaceFile(join(outFolder, `${id}.crt`), withChain(line.certificate, issuers), {
          mode: 0o644,
          isOneOfMany: true,
        });
        if (line.status === 200) summary.same += 1;
        else summary.signed += 1;
      }
      progress.advanceTo(summary.signed + summary.same + summary.refused.length);
    };
    try {
      await signAll(context, { client, batch, csrFolder, units, summary, keep });
    } finally {
      await syncFolder(outFolder);
    }
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
  readonly units: readonly UnitFile[];
  readonly summary: Summary;
  readonly keep: (unit: UnitFile, line: SignLine) => Promise<void>;
}

/** Sends what has no answer yet, again after a broken connection: the same unit with the same key gets the same certificate. */
async function signAll(context: CliContext, signing: Signing): Promise<void> {
  let rest = signing.units;
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
  readonly rest: readonly UnitFile[];
  constructor(reason: KeylineError, rest: readonly UnitFile[]) {
    super(reason.message, { cause: reason });
    this.name = 'Interrupted';
    this.reason = reason;
    this.rest = rest;
  }
}

/** One stream. @throws {Interrupted} with the units that have no answer, and other errors as they are */
async function signOnce(signing: Signing, asked: readonly UnitFile[]): Promise<void> {
  const { client, batch, csrFolder, summary, keep } = signing;
  const sent: UnitFile[] = [];
  const settled = new Set<UnitFile>();
  async function* units(): AsyncGenerator<SignRequest> {
    for (const unit of asked) {
      const { id, file } = unit;
      let csr;
      try {
        csr = await readCsr(join(csrFolder, file));
      } catch (error) {
        if (!isKeylineError(error)) throw error;
        summary.refused.push({ id, file, code: error.code, detail: error.detail });
        settled.add(unit);
        continue;
      }
      sent.push(unit);
      yield { id, csr };
    }
  }
  const rest = (): UnitFile[] => asked.filter((unit) => !settled.has(unit));
  let position = 0;
  try {
    for await (const line of signStream(client, batch, units())) {
      const unit = sent[position];
      position += 1;
      if (unit === undefined) {
        throw new KeylineError('INTERNAL', 'The service answered more units than were sent to it.');
      }
      await keep(unit, line);
      settled.add(unit);
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

function report(
  context: CliContext,
  batch: string,
  summary: Summary,
  options: SignBatchOptions,
): void {
  const { signed, same, refused, passedOver } = summary;
  if (options.json === true) {
    printJson(context, {
      batch,
      signed,
      same,
      refused,
      passedOver,
      out: resolve(context.cwd, options.out),
    });
    return;
  }
  context.terminal.out(
    `Batch ${batch}: ${String(signed)} signed, ${String(same)} the same as before, ${String(refused.length)} refused. Certificates are in ${options.out}.\n`,
  );
  // Each by its name: somebody has to go to that unit.
  for (const { file, code, detail } of refused.toSorted((a, b) => (a.file < b.file ? -1 : 1))) {
    context.terminal.err(`refused ${escapeLine(file)}: ${detail} [${code}]\n`);
  }
  for (const { file, why } of passedOver) {
    context.terminal.err(`not looked at ${escapeLine(file)}: ${why}\n`);
  }
}
