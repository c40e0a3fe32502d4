// Alerts as POSTs in the shape of an Alertmanager webhook (version 4), so that whatever takes those takes ours.
import { formatInstant, KeylineError, messageOf, type Secret } from '@keyline/kernel';
import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { getCACertificates } from 'node:tls';
import type { AlertChange, AlertChannel } from './channel.ts';
import { parseAlertKey } from './finding.ts';
import type { WebhookChannelConfig } from './rules.ts';
import { sendRequest, type WebhookRequest } from './send-request.ts';

export interface WebhookChannelOptions {
  readonly config: Omit<WebhookChannelConfig, 'headersFile' | 'caFile'>;
  /** Whose certificates its server may have, PEM; asked for each time, because roots come and go. */
  readonly ca?: (() => readonly string[]) | undefined;
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
  const { ca = () => getCACertificates('default') } = options;
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  for (const [name, value] of options.headers ?? []) headers[name.toLowerCase()] = value.reveal();

  async function ask(
    what: Pick<WebhookRequest, 'method' | 'body'>,
    stop: AbortSignal | undefined,
  ): Promise<number> {
    const late = AbortSignal.timeout(config.timeout);
    try {
      return await sendRequest({
        ...what,
        url: config.url,
        headers,
        ca: ca(),
        signal: AbortSignal.any([late, ...(stop ? [stop] : [])]),
      });
    } catch (cause) {
      const reason = late.aborted
        ? `nothing within ${String(config.timeout)} ms`
        : messageOf(cause);
      throw new KeylineError(
        'TARGET_UNREACHABLE',
        `The webhook "${config.name}" at ${host} did not answer (${reason}).${adviceFor(cause)}`,
        { cause },
      );
    }
  }

  async function post(body: string, stop: AbortSignal | undefined): Promise<void> {
    const status = await ask({ method: 'POST', body }, stop);
    if (status >= 200 && status < 300) return;
    throw refused(status);
  }

  function refused(status: number): KeylineError {
    return new KeylineError(
      'TARGET_REFUSED',
      `The webhook "${config.name}" at ${host} answered ${String(status)}. Check its URL and its headers file.`,
    );
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
    async probe() {
      const status = await ask({ method: 'HEAD' }, undefined);
      // Many take POSTs only and say so; what matters is that it is there, and lets these headers in.
      if ([401, 403, 407].includes(status) || status >= 500) throw refused(status);
    },
    async deliver(changes, stop) {
      // One group an alert: "resolved" of one says nothing about another.
      for (const change of changes) {
        await postWithRetry(JSON.stringify(toPayload(change, config.name, externalUrl)), stop);
      }
    },
  };
}

function adviceFor(cause: unknown): string {
  const code = (cause as { code?: unknown } | null)?.code;
  const isUntrusted =
    typeof code === 'string' &&
    /SELF_SIGNED|UNABLE_TO_(?:GET_ISSUER|VERIFY)|CERT_(?:UNTRUSTED|SIGNATURE)/.test(code);
  return isUntrusted
    ? " Its certificate is of no public authority and none of Keyline's roots: give its CA as caFile in alerts.yaml."
    : '';
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
