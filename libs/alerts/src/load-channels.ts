// The channels of alerts.yaml, with the secrets of their headers files.
import { assertPrivate, isKeylineError, KeylineError, messageOf, Secret } from '@keyline/kernel';
import { X509Certificate } from 'node:crypto';
import { open, readFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { getCACertificates } from 'node:tls';
import type { AlertChannel, AlertLog } from './channel.ts';
import { createLogChannel } from './log-channel.ts';
import type { AlertRules } from './rules.ts';
import { createWebhookChannel } from './webhook-channel.ts';

const mostBytes = 16_384;

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, CONFIG_INVALID */
export async function loadAlertChannels(
  channels: AlertRules['channels'],
  options: {
    readonly log: AlertLog;
    readonly externalUrl?: string | undefined;
    /** Keyline's own roots as they are now, PEM: servers that have certificates of ours are believed. */
    readonly ownRoots?: (() => readonly string[]) | undefined;
  },
): Promise<AlertChannel[]> {
  const ownOrPublic = (): string[] => [
    ...getCACertificates('default'),
    ...(options.ownRoots?.() ?? []),
  ];
  const webhooks = await Promise.all(
    channels.webhooks.map(async ({ headersFile, caFile, ...config }) =>
      createWebhookChannel({
        config,
        ca: caFile === undefined ? ownOrPublic : await loadCa(caFile),
        headers: headersFile === undefined ? undefined : await loadWebhookHeaders(headersFile),
        externalUrl: options.externalUrl,
      }),
    ),
  );
  return channels.log ? [createLogChannel(options.log), ...webhooks] : webhooks;
}

/** @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, CONFIG_INVALID when there is no certificate in it */
async function loadCa(path: string): Promise<() => readonly string[]> {
  let text;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new KeylineError(
      missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      `The caFile ${path} of a webhook (alerts.yaml) ${missing ? 'is missing' : `can't be read: ${messageOf(cause)}`}.`,
      { cause },
    );
  }
  const pems = text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
  try {
    for (const pem of pems) new X509Certificate(pem);
    if (pems.length === 0) throw new Error('there is no certificate in it');
  } catch (cause) {
    throw new KeylineError(
      'CONFIG_INVALID',
      `The caFile ${path} of a webhook (alerts.yaml) is no list of CA certificates in PEM: ${messageOf(cause)}.`,
      { cause },
    );
  }
  return () => pems;
}

/**
 * A file with one `Name: value` a line; empty lines and lines that begin with `#` don't count.
 * @throws {KeylineError} FILE_NOT_FOUND, FILE_UNREADABLE, CONFIG_INVALID; never with a value in it
 */
export async function loadWebhookHeaders(path: string): Promise<ReadonlyMap<string, Secret>> {
  let text;
  try {
    const file = await open(path);
    try {
      const { size, mode } = await file.stat();
      assertPrivate({ path, what: 'headers file of a webhook', mode, platform: platform() });
      if (size > mostBytes) throw new Error(`it is larger than ${String(mostBytes)} bytes`);
      text = await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (cause) {
    if (isKeylineError(cause)) throw cause;
    const missing = (cause as NodeJS.ErrnoException).code === 'ENOENT';
    throw new KeylineError(
      missing ? 'FILE_NOT_FOUND' : 'FILE_UNREADABLE',
      `The headers file ${path} of a webhook (alerts.yaml) ${missing ? 'is missing' : `can't be read: ${messageOf(cause)}`}.`,
      { cause },
    );
  }
  const headers = new Map<string, Secret>();
  const complain = (line: number, what: string): KeylineError =>
    new KeylineError('CONFIG_INVALID', `${path}:${String(line)}: ${what}.`);
  for (const [index, line] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    if (line.trim() === '' || line.startsWith('#')) continue;
    const [, name, value] =
      /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\x20-\x7e]*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined || value === undefined) {
      throw complain(index + 1, 'not a header; write "Name: value"');
    }
    if (value === '') throw complain(index + 1, 'a header without a value');
    headers.set(name, new Secret(value));
  }
  return headers;
}
