// Alert rules with durations as milliseconds, thresholds in order, and what must hold between them.
import type { AlertRules, ShareThreshold, TimeThreshold } from '@keyline/alerts';
import { Duration, parseDuration } from '@keyline/kernel';
import { resolve } from 'node:path';
import type { Checked } from './check-schema.ts';
import type { Fault } from './service-config.ts';

/** @param dir the folder that files are relative to */
export function toAlertRules(raw: Checked<'alerts'>, dir: string): AlertRules {
  const byTime = (thresholds: Checked<'alerts'>['longLived']): TimeThreshold[] =>
    thresholds.map(({ within, severity }) => ({ within: parseDuration(within), severity }));
  return {
    evaluateEvery: parseDuration(raw.evaluateEvery),
    debounce: raw.debounceMilliseconds,
    shortLivedBelow: parseDuration(raw.shortLivedBelow),
    longLived: byTime(raw.longLived),
    shortLived: raw.shortLived,
    authorities: byTime(raw.authorities),
    crl: raw.crl,
    channels: {
      log: raw.channels.log,
      webhooks: (raw.channels.webhooks ?? []).map(({ headersFile, caFile, timeout, ...rest }) => ({
        ...rest,
        timeout: parseDuration(timeout),
        ...(headersFile === undefined ? {} : { headersFile: resolve(dir, headersFile) }),
        ...(caFile === undefined ? {} : { caFile: resolve(dir, caFile) }),
      })),
    },
  };
}

export function findAlertFaults(rules: AlertRules): Fault[] {
  const faults: Fault[] = [];
  if (rules.evaluateEvery < Duration.seconds(1) || rules.evaluateEvery > Duration.hours(1)) {
    faults.push({ path: ['evaluateEvery'], message: 'it must be from 1s to 1h' });
  }
  for (const key of ['longLived', 'authorities'] as const) {
    faults.push(...findOrderFaults(key, rules[key], ({ within }: TimeThreshold) => within));
    for (const [position, { within }] of rules[key].entries()) {
      if (within < Duration.seconds(1)) {
        faults.push({ path: [key, position, 'within'], message: 'it must be 1s or more' });
      }
    }
  }
  faults.push(
    ...findOrderFaults('shortLived', rules.shortLived, ({ share }: ShareThreshold) => share),
  );
  const longest = Math.max(...rules.longLived.map(({ within }) => within));
  if (longest >= rules.shortLivedBelow) {
    faults.push({
      path: ['shortLivedBelow'],
      message:
        'it must be above every threshold of longLived, or certificates would alert from their first day',
    });
  }
  // Each channel has a place of its own in the ledger, by its name.
  const names = new Set(['log']);
  for (const [position, { name, timeout }] of rules.channels.webhooks.entries()) {
    if (names.has(name)) {
      faults.push({
        path: ['channels', 'webhooks', position, 'name'],
        message: `a channel "${name}" is there already`,
      });
    }
    names.add(name);
    if (timeout < 1 || timeout > Duration.minutes(1)) {
      faults.push({
        path: ['channels', 'webhooks', position, 'timeout'],
        message: 'it must be from 1s to 1m',
      });
    }
  }
  return faults;
}

/** From early and mild to late and severe, as they are read. */
function findOrderFaults<Threshold extends TimeThreshold | ShareThreshold>(
  key: string,
  thresholds: readonly Threshold[],
  size: (threshold: Threshold) => number,
): Fault[] {
  const rank = { info: 0, warning: 1, critical: 2 } as const;
  return thresholds.flatMap((threshold, position) => {
    const earlier = thresholds[position - 1];
    if (earlier === undefined) return [];
    if (size(threshold) >= size(earlier)) {
      return [{ path: [key, position], message: 'thresholds go from the widest to the narrowest' }];
    }
    return rank[threshold.severity] < rank[earlier.severity]
      ? [{ path: [key, position, 'severity'], message: 'a later threshold must not be milder' }]
      : [];
  });
}
