// `keyline quarantine list`, `adopt` and `revoke`.
import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { QuarantinedView } from '@keyline/api';
import { KeylineError, messageOf } from '@keyline/kernel';
import { openClient } from '../find-service.ts';
import type { ClientOptions } from '../command-line/client-options.ts';
import { printJson, type CliContext } from '../context.ts';
import { formatTable } from '../print/table.ts';
import { formatTimeAndDistance } from '../print/time.ts';

export interface ListQuarantineOptions extends ClientOptions {
  readonly all?: boolean;
}

export interface AdoptOptions extends ClientOptions {
  readonly certificate?: string;
  readonly type?: string;
}

export interface RevokeQuarantinedOptions extends ClientOptions {
  readonly reason?: 'unspecified' | 'keyCompromise' | 'superseded';
  readonly authority?: string;
}

export async function listQuarantine(
  context: CliContext,
  options: ListQuarantineOptions,
): Promise<void> {
  const client = await openClient(context, options);
  try {
    const items: QuarantinedView[] = [];
    let cursor: string | undefined;
    do {
      const page = await client.call('listQuarantine', {
        query: {
          ...(options.all === true ? { all: true } : {}),
          ...(cursor === undefined ? {} : { cursor }),
        },
      });
      items.push(...page.items);
      cursor = page.nextCursor ?? undefined;
    } while (cursor !== undefined);
    if (options.json === true) {
      printJson(context, { items, nextCursor: null });
      return;
    }
    if (items.length === 0) {
      context.terminal.err('Nothing is held: every certificate that was seen is on record.\n');
      return;
    }
    const now = context.clock.now();
    context.terminal.out(
      formatTable(
        ['SERIAL', 'NAMES', 'SEEN BY', 'FROM', 'FIRST (UTC)', 'STATE', 'CERTIFICATE'],
        items.map(({ serial, identity, seenBy, address, firstAt, state, certificate }) => [
          serial,
          identity,
          seenBy,
          address,
          formatTimeAndDistance(firstAt, now),
          state,
          certificate === null ? 'not seen yet' : 'seen',
        ]),
      ),
    );
  } finally {
    client.close();
  }
}

export async function adopt(
  context: CliContext,
  serial: string,
  options: AdoptOptions,
): Promise<void> {
  const { certificate, type } = options;
  const pem =
    certificate === undefined ? undefined : await readPem(resolve(context.cwd, certificate));
  const client = await openClient(context, options);
  try {
    const adopted = await client.call('adoptQuarantined', {
      params: { serial },
      body: {
        ...(pem === undefined ? {} : { certificate: pem }),
        ...(type === undefined ? {} : { type }),
      },
    });
    say(context, options, adopted);
  } finally {
    client.close();
  }
}

export async function revokeHeld(
  context: CliContext,
  serial: string,
  options: RevokeQuarantinedOptions,
): Promise<void> {
  const { reason, authority } = options;
  const client = await openClient(context, options);
  try {
    const revoked = await client.call('revokeQuarantined', {
      params: { serial },
      body: {
        ...(reason === undefined ? {} : { reason }),
        ...(authority === undefined ? {} : { authority }),
      },
    });
    say(context, options, revoked);
  } finally {
    client.close();
  }
}

function say(context: CliContext, { json }: ClientOptions, decided: QuarantinedView): void {
  if (json === true) printJson(context, decided);
  else context.terminal.out(`${decided.serial} of ${decided.identity} is ${decided.state}\n`);
}

async function readPem(file: string): Promise<string> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new KeylineError('FILE_NOT_FOUND', `${file} can't be read: ${messageOf(error)}.`);
  }
  // With the chain after it, the first is the device's.
  const first = /-----BEGIN CERTIFICATE-----[\s\S]*?-----END CERTIFICATE-----/.exec(text)?.[0];
  if (first !== undefined) return `${first}\n`;
  throw new KeylineError('FILE_UNREADABLE', `${file} is no certificate in PEM.`);
}
