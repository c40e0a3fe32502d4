// One thing (or one group of things) that needs somebody, as an evaluation sees it. Whether it is news is the engine's.
import type { AlertSeverity } from '@keyline/fleet';

/** What an alert is about: a kind of certificate, an authority, a CRL. */
export type AlertSubject =
  | 'device'
  | 'server'
  | 'service'
  | 'operator'
  | 'station'
  | 'ocsp'
  | 'authority'
  | 'crl'
  | 'target'
  | 'channel'
  | 'storage'
  | 'backup'
  | 'database';

export interface Finding {
  /** `expiry:device:sensor:7d`; stable, because it is what makes two findings the same alert. */
  readonly key: string;
  readonly subject: AlertSubject;
  /** Device type, owner, or id of an authority. */
  readonly group: string;
  readonly severity: AlertSeverity;
  readonly summary: string;
  readonly count: number;
  readonly examples: readonly string[];
}

export function alertKey(subject: AlertSubject, group: string, threshold: string): string {
  return `expiry:${subject}:${group}:${threshold}`;
}

/**
 * A finding about how something stands now, rather than when it ends: found anew at each evaluation, and resolved when it is not.
 * @param given.state one word, the last part of the key: `revoked`, `behind`
 */
export function conditionFinding(given: {
  readonly subject: AlertSubject;
  readonly group: string;
  readonly state: string;
  readonly severity: AlertSeverity;
  readonly summary: string;
}): Finding {
  const { subject, group, state, severity, summary } = given;
  const key = `state:${subject}:${group}:${state}`;
  return { key, subject, group, severity, summary, count: 1, examples: [group] };
}

/** The parts of a key that evaluations keep; undefined for an alert that somebody else keeps. Groups may hold colons, the other parts don't. */
export function parseAlertKey(
  key: string,
): { readonly subject: string; readonly group: string; readonly threshold: string } | undefined {
  const match = /^(?:expiry|state):([a-z]+):(.*):([^:]+)$/s.exec(key);
  const [, subject, group, threshold] = match ?? [];
  if (subject === undefined || group === undefined || threshold === undefined) return undefined;
  return { subject, group, threshold };
}
