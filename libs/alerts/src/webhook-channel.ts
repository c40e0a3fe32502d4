// Alerts as POSTs in the shape of an Alertmanager webhook (version 4), so that whatever takes those takes ours.
import { formatInstant, KeylineError, messageOf, type Secret } from '@keyline/kernel';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AlertChange, AlertChannel } from './channel.ts';
import { parseAlertKey } from './finding.ts';
import type { WebhookChannelConfig } from './rules.ts';

export interface WebhookChannelOptions {
  readonly config: Omit<WebhookChannelConfig, 'headersFile'>;
  /** From the headers file. @see loadWebhookHeaders */
  readonly headers?: ReadonlyMap<string, Secret> | undefined;
  /** Where a person finds the alerts; empty when there is no such page. */
  readonly externalUrl?: string | undefined;
  /** Milliseconds before the second attempt; doubles after each. */
  readonly firstPause?: number | undefined;
}

// How Alertmanager writes "not yet" (Go's zero time).
const notEnded = '0001-01-01T00:00:00Z';
const longestPause = 5000;

/** @throws {KeylineError} TARGET_UNREACHABLE, TARGET_REFUSED from `deliver`; neither names more of the URL than its host */
export function createWebhookChannel(options: WebhookChannelOptions): AlertChannel {
  const { config, externalUrl = '', firstPause = 500 } = options;
  const { host } = new URL(config.url);
  const headers = new Headers({ 'content-type': 'application/json' });
  for (const [name, value] of options.headers ?? []) headers.set(name, value.reveal());

  async function post(body: string, stop: AbortSignal | undefined): Promise<void> {
    let response;
    try {
      response = await fetch(config.url, {
        method: 'POST',
        headers,
        body,
        // A redirect would carry the headers to somebody else.
        redirect: 'manual',
        signal: AbortSignal.any([AbortSignal.timeout(config.timeout), ...(stop ? [stop] : [])]),
      });
    } catch (cause) {
      const reason = cause instanceof Error && cause.cause !== undefined ? cause.cause : cause;
      throw new KeylineError(
        'TARGET_UNREACHABLE',
        `The webhook "${config.name}" at ${host} did not answer (${messageOf(reason)}).`,
        { cause },
      );
    }
    await response.body?.cancel();
    if (!response.ok) {
      throw new KeylineError(
        'TARGET_REFUSED',
        `The webhook "${config.name}" at ${host} answered ${String(response.status)}. Check its URL and its headers file.`,
      );
    }
  }

  async function postWithRetry(body: string, stop: AbortSignal | undefined): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      try {
        await post(body, stop);
        return;
      } catch (error) {
        if (attempt >= config.attempts || stop?.aborted === true) throw error;
        await sleep(Math.min(longestPause, firstPause * 2 ** (attempt - 1)), undefined, {
          signal: stop,
        });
      }
    }
  }

  return {
    name: config.name,
    async deliver(changes, stop) {
      // One group an alert: "resolved" of one says nothing about another.
      for (const change of changes) {
        await postWithRetry(JSON.stringify(toPayload(change, config.name, externalUrl)), stop);
      }
    },
  };
}

/** @see https://prometheus.io/docs/alerting/latest/configuration/#webhook_config */
function toPayload(
  { status, at, alert }: AlertChange,
  receiver: string,
  externalURL: string,
): Record<string, unknown> {
  const { key, severity, summary, count, examples, firstAt } = alert;
  const parts = parseAlertKey(key);
  const labels = {
    alertname: 'KeylineExpiry',
    alert: key,
    severity,
    ...(parts === undefined
      ? {}
      : { subject: parts.subject, group: parts.group, threshold: parts.threshold }),
  };
  const annotations = { summary, count: String(count), examples: examples.join(', ') };
  const groupLabels = { alert: key };
  return {
    version: '4',
    groupKey: `{}:{alert=${JSON.stringify(key)}}`,
    truncatedAlerts: 0,
    status,
    receiver,
    groupLabels,
    commonLabels: labels,
    commonAnnotations: annotations,
    externalURL,
    alerts: [
      {
        status,
        labels,
        annotations,
        startsAt: formatInstant(firstAt),
        endsAt: status === 'resolved' ? formatInstant(at) : notEnded,
        generatorURL: externalURL,
        fingerprint: createHash('sha256').update(key).digest('hex').slice(0, 16),
      },
    ],
  };
}
