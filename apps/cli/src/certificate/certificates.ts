// `keyline certificate list|show|revoke`.
import type { RouteInput } from '@keyline/client';
import { exitCodes } from '@keyline/kernel';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { parseTime } from '../device/list-devices.ts';
import { openClient } from '../find-service.ts';
import { readPages } from '../read-pages.ts';
import { formatEvidence, isComplete } from '../print/evidence.ts';
import { formatFacts, formatTable } from '../print/table.ts';
import { formatEnd, formatTimeAndDistance } from '../print/time.ts';

type Query = RouteInput<'listCertificates'>['query'];
type Reason = NonNullable<RouteInput<'revokeCertificate'>['body']['reason']>;

export interface CertificateListOptions extends ClientOptions {
  readonly kind?: NonNullable<Query['kind']>;
  readonly expiresBefore?: string;
  readonly query?: string;
  readonly limit?: number;
  readonly all?: boolean;
}

export interface RevokeCertificateOptions extends ClientOptions {
  readonly reason?: string;
  readonly wait?: boolean;
}

export async function listCertificates(
  context: CliContext,
  options: CertificateListOptions,
): Promise<void> {
  const { kind, query: q, expiresBefore } = options;
  const now = context.clock.now();
  const client = await openClient(context, options);
  try {
    const { items, nextCursor } = await readPages(options, (page) =>
      client.call('listCertificates', {
        query: {
          ...(kind === undefined ? {} : { kind }),
          ...(q === undefined ? {} : { q }),
          ...(expiresBefore === undefined ? {} : { expiresBefore: parseTime(expiresBefore, now) }),
          ...page,
        },
      }),
    );
    if (options.json === true) {
      printJson(context, { items, nextCursor });
      return;
    }
    if (items.length === 0) {
      context.terminal.err('No certificate is like that.\n');
      return;
    }
    context.terminal.out(
      formatTable(
        ['NAME', 'KIND', 'PROFILE', 'SERIAL', 'ENDS (UTC)'],
        items.map((one) => [
          one.owner,
          one.kind,
          one.profile,
          one.serial,
          formatEnd(one.notAfter, now),
        ]),
      ),
    );
    if (nextCursor !== null) context.terminal.err('There are more: --all, or a larger --limit.\n');
  } finally {
    client.close();
  }
}

export async function showCertificate(
  context: CliContext,
  serial: string,
  options: ClientOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const one = await client.call('getCertificate', { params: { serial } });
    if (options.json === true) {
      printJson(context, one);
      return;
    }
    const now = context.clock.now();
    const facts = formatFacts([
      ['serial', one.serial],
      ['owner', one.owner],
      ['kind', one.kind],
      ['profile', one.profile],
      ['authority', one.authority],
      ['state', one.reason === null ? one.state : `${one.state} (${one.reason})`],
      ['from', formatTimeAndDistance(one.notBefore, now)],
      ['ends', formatEnd(one.notAfter, now)],
    ]);
    context.terminal.out(`${facts}\n${one.certificate}`);
  } finally {
    client.close();
  }
}

/** @returns 7 where it was asked to wait, and something has not taken effect */
export async function revokeCertificate(
  context: CliContext,
  serial: string,
  options: RevokeCertificateOptions,
): Promise<number> {
  const { reason, wait } = options;
  const client = await openClient(context, options);
  try {
    const answer = await client.call('revokeCertificate', {
      params: { serial },
      body: {
        ...(reason === undefined ? {} : { reason: reason as Reason }),
        ...(wait === true ? { wait: true } : {}),
      },
    });
    const { certificate, evidence } = answer;
    if (options.json === true) printJson(context, answer);
    else {
      context.terminal.out(
        `The certificate ${certificate.serial} of ${certificate.owner} is revoked.\n\n${formatEvidence(evidence)}`,
      );
    }
    return wait === true && !isComplete(evidence) ? exitCodes.pending : exitCodes.ok;
  } finally {
    client.close();
  }
}
